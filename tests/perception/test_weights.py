"""Files of weights: what was written is read again, and nothing else is taken for it."""

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from perception.weights import WeightsError, read_tensors, read_weights_info, tensors_digest, write_weights

TENSORS = {
    "b.weight": torch.arange(6.0).reshape(2, 3),
    "a.bias": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor(3),
    "nothing": torch.zeros(0, 4),
}


def write(path, tensors=TENSORS):
    return write_weights(path, tensors, "net", {"width": 3, "taps": [1, 2]}, {"file": "x.pth"})


def test_what_was_written_is_read_again(tmp_path):
    written = write(tmp_path / "w.safetensors")
    info = read_weights_info(tmp_path / "w.safetensors")
    assert info == written
    assert (info.network, info.configuration, info.source) == (
        "net",
        {"width": 3, "taps": [1, 2]},
        {"file": "x.pth"},
    )
    found = read_tensors(info)
    assert found.keys() == TENSORS.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
        for name, tensor in TENSORS.items()
    )


def test_tensors_that_are_views_are_written_as_they_read(tmp_path):
    info = write(tmp_path / "w.safetensors", {"turned": TENSORS["b.weight"].T})
    assert torch.equal(read_tensors(info)["turned"], TENSORS["b.weight"].T)


@given(st.permutations(list(TENSORS)))
def test_the_digest_does_not_depend_on_the_order(names):
    assert tensors_digest({name: TENSORS[name] for name in names}) == tensors_digest(TENSORS)


@pytest.mark.parametrize(
    "change",
    [
        {"b.weight": TENSORS["b.weight"] + torch.eye(2, 3) * 1e-6},
        {"b.weight": TENSORS["b.weight"].reshape(3, 2)},
        {"a.bias": TENSORS["a.bias"].view(torch.float16)},
        {"count": torch.tensor(4)},
        {"nothing": torch.zeros(0, 5)},
        {"another": torch.zeros(0)},
    ],
    ids=["value", "shape", "type", "number", "empty shape", "name"],
)
def test_every_change_changes_the_digest(change):
    assert tensors_digest(TENSORS | change) != tensors_digest(TENSORS)


def test_tensors_that_were_changed_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    info = read_weights_info(path)
    with pytest.raises(WeightsError, match=r"w\.safetensors is damaged"):
        read_tensors(info)


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="cannot read the weights"):
        read_weights_info(path)


@pytest.mark.parametrize("content", [b"", b"no weights at all", bytes(100)], ids=str)
def test_what_is_no_safetensors_file_is_refused(content, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot read the weights"):
        read_weights_info(tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        read_weights_info(tmp_path / "missing.safetensors")


def test_foreign_safetensors_are_refused_with_the_command_to_type(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "hub.safetensors")
    with pytest.raises(WeightsError, match="harness perception import-weights FILE --config PRESET"):
        read_weights_info(tmp_path / "hub.safetensors")


@pytest.mark.parametrize(
    "metadata", [{}, {"network": "net", "configuration": "{", "source": "{}", "digest": "0"}], ids=str
)
def test_a_file_that_says_only_half_of_what_it_is_is_refused(metadata, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path, {"format": "slam-harness weights, version 1"} | metadata)
    with pytest.raises(WeightsError, match="incomplete"):
        read_weights_info(path)


def test_the_directory_is_made(tmp_path):
    write(tmp_path / "new" / "directory" / "w.safetensors")
    assert read_weights_info(tmp_path / "new" / "directory" / "w.safetensors").network == "net"


@pytest.mark.parametrize("place", ["a file/w.safetensors", "a directory"])
def test_where_nothing_can_be_written_nothing_is_left(place, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    (tmp_path / "a directory").mkdir()
    with pytest.raises(WeightsError, match="cannot write"):
        write(tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a directory", "a file"]


def test_a_failed_writing_leaves_the_older_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write(path)
    before = path.read_bytes()

    def full(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("perception.weights.save_file", full)
    with pytest.raises(WeightsError, match="No space left"):
        write(path, {"other": torch.ones(1)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_the_file_may_be_read_by_whom_the_umask_allows(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        write(tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == mode


def test_other_programs_read_the_tensors_too(tmp_path):
    write(tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors").keys() == TENSORS.keys()
