"""What needs no engine: whose a container is, what it is told, what it wrote, what its image is made of."""

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from slam_test_backends import CurveAdapter
from slam_test_fault_adapters import FaultAdapter

from adapters.backend import CameraIntrinsics, Mode, StartRequest
from adapters.errors import BackendUnavailableError
from adapters.images.context import ImageError, build_context
from adapters.images.image import image_reference
from adapters.runtimes.container import ContainerRuntime, _User, container_settings
from adapters.runtimes.engine import OWNER_LABEL, TRIAL_LABEL, EngineError, engine
from adapters.runtimes.output_limit import OutputWatch, bytes_on_disk
from adapters.runtimes.ownership import hand_over, own_mark, owner_is_gone
from adapters.runtimes.runtime import LaunchRequest

GIBIBYTE = 1024**3


def test_a_process_that_lives_is_not_gone():
    assert not owner_is_gone(own_mark())


def test_a_process_that_has_ended_is_gone():
    command = "from adapters.runtimes.ownership import own_mark; print(own_mark())"
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert owner_is_gone(ended.stdout.strip())


def test_a_process_id_that_was_given_to_another_process_is_gone():
    boot, namespace, pid, ticks = own_mark().split("/")
    assert owner_is_gone("/".join([boot, namespace, pid, str(int(ticks) - 1)]))


def test_every_process_of_another_boot_is_gone():
    _, *rest = own_mark().split("/")
    assert owner_is_gone("/".join(["another-boot", *rest]))


def test_what_cannot_be_looked_at_is_not_taken_for_gone():
    boot, _, pid, ticks = own_mark().split("/")
    assert not owner_is_gone("/".join([boot, "pid:[1]", pid, str(int(ticks) - 1)]))


@pytest.mark.parametrize("mark", ["", "nonsense", "a/b/c/d", "a/b/c/d/e", "///"])
def test_a_mark_that_is_none_says_nothing(mark):
    assert not owner_is_gone(mark)


def test_a_sparse_file_counts_as_what_it_takes(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(GIBIBYTE)
    assert 0 < bytes_on_disk(tmp_path) < 100_000
    assert bytes_on_disk(tmp_path / "sparse") == bytes_on_disk(tmp_path)


def test_what_a_link_leads_to_is_not_counted(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(bytes(10**6))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").symlink_to(tmp_path / "elsewhere" / "large")
    (tmp_path / "here" / "directory").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "nowhere").symlink_to("nowhere")
    assert bytes_on_disk(tmp_path / "here") < 100_000 < 10**6 < bytes_on_disk(tmp_path)
    assert bytes_on_disk(tmp_path / "here" / "directory") < 100_000


def test_files_in_directories_count_and_so_do_those_without_content(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(10**6))
    full = bytes_on_disk(tmp_path)
    assert full >= 10**6
    for number in range(100):
        (tmp_path / f"{number}").touch()
    assert bytes_on_disk(tmp_path) >= full + 100 * 4096


def test_what_is_not_there_takes_nothing(tmp_path):
    assert bytes_on_disk(tmp_path / "nothing") == 0


@pytest.fixture
def deep(tmp_path):
    """A directory with a megabyte far below where paths end; neither Python nor pytest could remove it."""
    top = tmp_path / "deep"
    top.mkdir()
    program = (
        "import os\n"
        "for _ in range(3000):\n os.mkdir('dd')\n os.chdir('dd')\n"
        "open('f', 'wb').write(bytes(10**6))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=top, check=True)
    yield top
    subprocess.run(["rm", "-rf", str(top)], check=True)


def test_nothing_lies_too_deep_to_be_counted_or_handed_over(deep):
    before = len(os.listdir("/proc/self/fd"))
    assert bytes_on_disk(deep) >= 10**6 + 3000 * 4096
    assert len(os.listdir("/proc/self/fd")) == before
    if os.geteuid() == 0:
        hand_over(deep, 65532, 65532)
        owners = subprocess.run(
            ["find", str(deep), "-printf", "%U\n"], capture_output=True, text=True, check=True
        )
        assert set(owners.stdout.split()) == {"65532"}


def test_handing_over_follows_no_link_and_takes_rights_of_others_away(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    outside = tmp_path / "outside"
    outside.write_text("of somebody else")
    output = tmp_path / "output"
    (output / "below").mkdir(parents=True)
    (output / "below" / "link").symlink_to(outside)
    program = output / "below" / "program"
    program.write_text("#!/bin/sh\n")
    os.chown(program, 65532, 65532)
    program.chmod(0o4755)
    hand_over(output, 0, 0)
    assert program.stat().st_uid == 0
    assert not program.stat().st_mode & 0o4000
    hand_over(output, 65532, 65532)
    assert outside.stat().st_uid == 0
    assert (output / "below" / "link").lstat().st_uid == 65532


def test_excess_is_told_once_with_what_is_taken(tmp_path):
    told = []
    watch = OutputWatch([tmp_path, tmp_path / "not-there"], 10**6, told.append)
    (tmp_path / "file").write_bytes(bytes(2 * 10**6))
    watch._thread.join(10)
    watch.stop()
    (taken,) = told
    assert taken >= 2 * 10**6


@pytest.fixture
def request_of_a_launch(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("words")
    return LaunchRequest(
        FaultAdapter(),
        tmp_path / "socket" / "s",
        tmp_path / "output",
        tmp_path / "backend.log",
        memory_limit_bytes=GIBIBYTE,
        output_limit_bytes=GIBIBYTE // 2,
        options=FaultAdapter.default_options | {"given": str(words)},
    )


USER = _User(1234, 5678, may_give_away=False)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("network_mode", "none"),
        ("read_only", True),
        ("cap_drop", ["ALL"]),
        ("security_opt", ["no-new-privileges"]),
        ("user", "1234:5678"),
        ("mem_limit", GIBIBYTE),
        ("memswap_limit", GIBIBYTE),
        ("nano_cpus", 10**9),
        ("pids_limit", 1024),
        ("tmpfs", {"/tmp": "size=1073741824,mode=1777,nosuid,nodev"}),
        ("working_dir", "/slam-harness/output"),
        ("command", ["slam_test_faults:FaultBackend", "--endpoint", "ipc:///slam-harness/socket/s"]),
    ],
)
def test_a_container_is_told(request_of_a_launch, setting, value):
    assert container_settings(request_of_a_launch, USER, "mark")[setting] == value


def test_a_container_is_told_nothing_that_would_widen_what_it_may_do(request_of_a_launch):
    told = container_settings(request_of_a_launch, USER, "mark")
    widening = (
        "privileged",
        "cap_add",
        "devices",
        "volumes",
        "ports",
        "pid_mode",
        "ipc_mode",
        "userns_mode",
        "group_add",
    )
    assert not set(widening) & set(told)
    assert "device_requests" not in told
    assert not {"HARNESS_DATA", "DOCKER_HOST"} & set(told["environment"])
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in told["ulimits"]}
    assert (limits["fsize"], limits["core"]) == ((GIBIBYTE // 2, GIBIBYTE // 2), (0, 0))
    assert told["labels"] == {OWNER_LABEL: own_mark(), TRIAL_LABEL: "mark"}


def test_a_container_sees_its_socket_its_output_and_its_inputs(request_of_a_launch, tmp_path):
    mounts = container_settings(request_of_a_launch, USER, "mark")["mounts"]
    assert {mount["Target"]: (mount["Source"], mount["ReadOnly"], mount["Type"]) for mount in mounts} == {
        "/slam-harness/socket": (str(tmp_path / "socket"), True, "bind"),
        "/slam-harness/output": (str(tmp_path / "output"), False, "bind"),
        "/slam-harness/input/given/words.txt": (str(tmp_path / "words.txt"), True, "bind"),
    }


def test_an_option_without_a_file_is_no_mount(request_of_a_launch, tmp_path):
    for given in ("", None, str(tmp_path / "not-there")):
        options = FaultAdapter.default_options | {"given": given}
        mounts = container_settings(replace(request_of_a_launch, options=options), USER, "mark")["mounts"]
        assert len(mounts) == 2


def test_gpus_are_handed_over_by_number_and_only_when_there_are_some(request_of_a_launch):
    (asked,) = container_settings(replace(request_of_a_launch, gpus=("0", "2")), USER, "mark")[
        "device_requests"
    ]
    assert asked["DeviceIDs"] == ["0", "2"]
    assert asked["Capabilities"] == [["gpu"]]


def test_the_backend_is_told_the_paths_that_its_container_has(request_of_a_launch, tmp_path):
    told = StartRequest(
        intrinsics=CameraIntrinsics(30, 30, 15, 11, 32, 24),
        mode=Mode.MONO,
        seed=0,
        frame_rate_hz=10.0,
        options=dict(request_of_a_launch.options),
        output_directory=tmp_path / "output",
    )
    inside = ContainerRuntime().as_seen_inside(told, FaultAdapter())
    assert inside.output_directory == Path("/slam-harness/output")
    assert inside.options == told.options | {"given": "/slam-harness/input/given/words.txt"}


@pytest.fixture
def no_engine_yet():
    engine.cache_clear()
    yield
    engine.cache_clear()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:2375", "DOCKER_HOST is tcp://127.0.0.1:2375: frames pass through a Unix socket"),
        ("ssh://somebody@somewhere", "the engine must be on this machine; unset it"),
        (
            "unix:///nowhere/docker.sock",
            "no container engine: /nowhere/docker.sock does not exist; install and",
        ),
    ],
)
def test_an_engine_that_cannot_be_used_is_told_with_what_to_do(monkeypatch, no_engine_yet, address, words):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineError) as caught:
        engine()
    assert words in str(caught.value)
    assert words in ContainerRuntime().unavailable(FaultAdapter())


def test_a_socket_at_which_nobody_answers_is_told(monkeypatch, no_engine_yet, tmp_path):
    (tmp_path / "docker.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(EngineError, match=r"the container engine at .*/docker.sock does not answer"):
        engine()


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """The adapter of somebody else's backend, with a package and an image folder of their own."""
    package = tmp_path / "their_slam"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "backend.py").write_text("import json\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "backend.pyc").write_text("left out")
    image = tmp_path / "image"
    image.mkdir()
    (image / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    class Theirs(CurveAdapter):
        server = "their_slam.backend:Backend"
        image_folder = image

    return Theirs(), package, image


def test_a_context_holds_the_image_folder_the_protocol_and_the_package_of_the_backend(theirs):
    adapter, package, image = theirs
    files = build_context(adapter).files
    assert files["Dockerfile"] == image / "Dockerfile"
    assert files["their_slam/backend.py"] == package / "backend.py"
    assert {"adapters/server.py", "adapters/protocol.py", "system_packages.py", "constraints.txt"} <= set(
        files
    )
    assert not [name for name in files if "runtimes" in name or "images" in name or "__pycache__" in name]


def test_the_digest_follows_contents_and_not_times(theirs):
    adapter, package, image = theirs
    first = build_context(adapter).digest()
    os.utime(package / "backend.py", (0, 0))
    assert build_context(adapter).digest() == first
    (package / "backend.py").write_text("import yaml\n")
    second = build_context(adapter).digest()
    (image / "requirements.txt").write_text("numpy\n")
    third = build_context(adapter).digest()
    (image / "requirements.txt").rename(image / "other.txt")
    assert len({first, second, third, build_context(adapter).digest()}) == 4


def test_an_image_is_named_by_backend_and_digest(theirs):
    adapter, _, _ = theirs
    assert image_reference(adapter) == f"slam-harness/curve:{build_context(adapter).digest()[:12]}"


def test_wheels_are_sent_and_are_no_part_of_the_digest(theirs, tmp_path):
    adapter, _, _ = theirs
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "slam-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (wheels / "notes.txt").write_text("stays here")
    context = build_context(adapter)
    digest, stream = context.digest(), io.BytesIO()
    context.write_tar(stream, wheels)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        sent = {member.name: member for member in tar}
    assert set(sent) == {*context.files, "wheels/slam-1.0-py3-none-any.whl"}
    assert {(member.uid, member.mtime) for name, member in sent.items() if not name.endswith(".whl")} == {
        (0, 0)
    }
    assert context.digest() == digest


def test_a_backend_without_an_image_or_without_a_dockerfile_says_so(theirs):
    adapter, _, image = theirs
    (image / "Dockerfile").unlink()
    with pytest.raises(ImageError, match="has no Dockerfile; images are built from a checkout"):
        build_context(adapter)
    with pytest.raises(ImageError, match="its adapter names no image_folder"):
        build_context(CurveAdapter())


def test_an_input_that_others_cannot_read_is_refused_where_files_are_given_away(tmp_path):
    closed = tmp_path / "closed"
    closed.write_text("")
    closed.chmod(0o600)
    with pytest.raises(BackendUnavailableError, match=r"option given: .*: chmod -R o\+rX"):
        _User(65532, 65532, may_give_away=True).require_readable("given", closed)
    _User(1000, 1000, may_give_away=False).require_readable("given", closed)
