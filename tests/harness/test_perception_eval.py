"""The command ``harness perception eval``: its files, tables and refusals, on a recording in TUM layout."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from m2hmx_weights import small, write_small_weights
from training_boxes import BoxViews
from tum_room import write_tum_room

from harness.cli.perception_eval import eval_command
from harness.errors import ConfigurationError, ResultsError
from perception.errors import ModuleFailedError, PerceptionError
from perception.training.view_sources import VIEW_SOURCES
from sequences.errors import SequenceError

FRAMES = 12


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_tum_room(tmp_path / "room", FRAMES)


def run(*arguments):
    return CliRunner(catch_exceptions=False).invoke(eval_command, [str(each) for each in arguments])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def evaluated(room, module, *arguments):
    said = run(room, "--module", module, "--output", room.parent / "out", *arguments)
    assert said.exit_code == 0, said.output
    return said, json.loads((room.parent / "out" / "evaluation.json").read_text())


def test_the_sensor_is_perfect_and_called_an_upper_bound(room):
    said, found = evaluated(room, "sensor")
    depth = found["together"]["depth"]
    assert (depth["pooled"]["rmse"], depth["coverage"], depth["truth_pixels"]) == (0, 1, FRAMES * 160 * 120)
    assert found["module"]["reads_sensor"]
    assert "upper bound" in said.output
    assert "No figures of semantics: the module does not predict it." in said.output


def test_a_constant_depth_has_the_errors_of_its_images(room):
    from sequences.reader import ReaderContext
    from sequences.sequence_sets import open_sequence, resolve

    _, found = evaluated(room, "constant:2", "--max-frames", 4)
    context = ReaderContext(None, room.parent / "cache")
    sequence = open_sequence(resolve([str(room)], context)[0], context)
    truth = np.concatenate([sequence.frame(index).depth.ravel() for index in range(4)]).astype(np.float64)
    pooled = found["together"]["depth"]["pooled"]
    assert pooled["rmse"] == pytest.approx(np.sqrt(np.mean((truth - 2) ** 2)))
    assert pooled["abs_rel"] == pytest.approx(np.mean(np.abs(truth - 2) / truth))
    assert found["together"]["depth"]["scale"] == pytest.approx(np.median(truth / 2), rel=1e-3)


def test_everything_to_repeat_it_is_in_the_file(room):
    _, found = evaluated(room, "constant:2", "--every", 2, "--max-depth", 4, "--set", "factor=1.5")
    assert found["options"] == {
        "every": 2,
        "max_frames": None,
        "min_depth": 0.1,
        "max_depth": 4.0,
        "label_space": None,
        "warm_up": 5,
    }
    assert found["module"]["choice"] == {"module": "constant", "argument": "2", "options": {"factor": 1.5}}
    assert found["module"]["details"] == {"metres": 3.0}
    (sequence,) = found["sequences"]
    assert (sequence["frames_in_sequence"], sequence["frames_evaluated"]) == (FRAMES, FRAMES // 2)
    assert sequence["entry"]["parameters"]["directory"] == str(room)
    assert found["environment"]["packages"]["numpy"] == np.__version__
    assert found["execution"]["cores"] >= 1


def test_a_network_is_known_by_the_digest_of_its_weights(room):
    weights = write_small_weights(room.parent / "small.safetensors")
    said, found = evaluated(room, f"m2hmx:{weights.path}", "--max-frames", 2, "--warm-up", 1)
    assert found["module"]["weights_digest"] == weights.digest
    assert found["execution"]["torch_threads"] >= 1
    assert found["together"]["latency"]["frames"] == 1
    assert "No figures of semantics: the sequence has no labels." in said.output


def test_rows_for_programs_hold_every_sequence_and_every_frame(room):
    other = write_tum_room(room.parent / "other", 3)
    evaluated(room, "constant:2", other)
    out = room.parent / "out"
    figures = {row["sequence"]: row for row in rows(out / "evaluation.csv")}
    assert set(figures) == {"room", "other", "all together"}
    assert int(figures["all together"]["depth.truth_pixels"]) == (FRAMES + 3) * 160 * 120
    assert float(figures["room"]["consistency.next_frame.predicted.moved"]) > 0
    frames = rows(out / "frames.csv")
    assert [(row["sequence"], row["index"]) for row in frames] == [
        *(("room", str(index)) for index in range(FRAMES)),
        *(("other", str(index)) for index in range(3)),
    ]
    assert {row["warm_up"] for row in frames[:5]} == {"True"}
    assert float(frames[0]["depth.rmse"]) > 0


def test_people_find_the_same_tables_in_the_terminal_and_in_markdown(room):
    said, found = evaluated(room, "constant:2")
    text = (room.parent / "out" / "evaluation.md").read_text()
    rmse = f"{found['together']['depth']['pooled']['rmse']:.4f}"
    for words in ("AbsRel", rmse, "pixels, scaled", "next frame", "a second", "median [ms]"):
        assert words in said.output
        assert words in text
    assert said.output.splitlines()[-1] == str(room.parent / "out")
    assert text.startswith("# Evaluation of constant:2\n")
    assert "room (12 of 12 frames)" in text


def test_published_rows_stand_below_ours_with_what_must_be_known(room):
    said, found = evaluated(room, "constant:2", "--published", "nyudv2")
    lines = said.output.splitlines()
    ours = next(line for line in lines if line.startswith("constant:2 "))
    assert f"{found['together']['depth']['pooled']['rmse']:.4f}" in ours
    paper = next(line for line in lines if line.startswith("M2H-MX-L "))
    assert paper.split()[-2:] == ["65.60", "0.3800"]
    assert any(line.startswith("Ours are of other data (room)") for line in lines)


def test_figures_of_trajectories_are_no_rows_beside_a_network(room):
    with pytest.raises(ConfigurationError, match=r"neither miou nor depth_rmse.*nyudv2"):
        run(room, "--module", "constant:2", "--published", "scannet", "--output", room.parent / "out")
    assert not (room.parent / "out").exists()


def test_without_output_there_is_a_new_directory_named_by_module_and_sequence(room):
    assert run(room, "--module", "constant:2").exit_code == 0
    (directory,) = (room.parent / "results" / "runs").iterdir()
    assert directory.name.endswith("perception-constant_2-room")
    assert (directory / "evaluation.json").exists()


def test_an_evaluation_is_not_overwritten(room):
    evaluated(room, "constant:2")
    before = (room.parent / "out" / "evaluation.json").read_bytes()
    with pytest.raises(ResultsError, match="holds an evaluation already"):
        run(room, "--module", "constant:3", "--output", room.parent / "out")
    assert (room.parent / "out" / "evaluation.json").read_bytes() == before


def test_a_place_that_cannot_be_written_is_found_out_before_predicting(room):
    (room.parent / "file").write_text("in the way")
    with pytest.raises(ResultsError, match=r"cannot write .*file/out"):
        run(room, "--module", "hanging", "--output", room.parent / "file" / "out")


def test_a_broken_image_ends_it_with_frame_and_file_and_nothing_is_written(room):
    image = sorted((room / "rgb").iterdir())[3]
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(SequenceError, match=rf"sequence 'room': frame 3: .*{image.name}"):
        run(room, "--module", "constant:2", "--output", room.parent / "out")
    assert not (room.parent / "out").exists()


def test_a_module_that_fails_ends_it_with_sequence_and_frame_and_nothing_is_written(room):
    with pytest.raises(ModuleFailedError, match="sequence 'room': frame 3: depth has NaN"):
        run(room, "--module", "nan-depth", "--output", room.parent / "out")
    assert not (room.parent / "out").exists()


def test_a_module_that_peeks_is_shown_nothing(room):
    _, found = evaluated(room, "peeking")
    assert found["together"]["depth"]["pooled"]["rmse"] > 0


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["nowhere", "--module", "constant:2"], SequenceError, "nowhere"),
        (["room", "--module", "nothing"], SequenceError, "unknown perception module 'nothing'"),
        # Before sequences are looked for, which may have to be generated.
        (["nowhere", "--module", "nothing"], SequenceError, "unknown perception module 'nothing'"),
        (["room", "--module", "constant"], PerceptionError, "needs a distance"),
        (
            ["room", "--module", "constant:2", "--min-depth", "9", "--max-depth", "3"],
            PerceptionError,
            "empty",
        ),
        (["room", "--module", "constant:2", "--set", "factor"], ConfigurationError, "expected OPTION=VALUE"),
    ],
)
def test_a_mistake_is_a_sentence(room, arguments, error, words):
    with pytest.raises(error, match=words):
        run(*arguments)


@pytest.fixture
def held_out_boxes(tmp_path, monkeypatch):
    """A configuration that holds out views of boxes, each by a camera of its own."""
    return holding_out_boxes(tmp_path, monkeypatch)


def holding_out_boxes(tmp_path, monkeypatch, kind="boxes"):
    """Such a configuration, with boxes that go by the name of another source."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(VIEW_SOURCES, "load", lambda name: ZoomedBoxViews)
    config = {
        "network": small(),
        "data": {"kind": kind},
        "evaluation": {"kind": kind, "parameters": {"count": 6}},
        "steps": 1,
        "batch_size": 1,
    }
    path = tmp_path / "boxes.yaml"
    path.write_text(json.dumps(config))
    return path


class ZoomedBoxViews(BoxViews):
    def view(self, index):
        view = super().view(index)
        camera = view.intrinsics
        return replace(
            view, intrinsics=replace(camera, fx=camera.fx * (1 + index), fy=camera.fy * (1 + index))
        )


def test_held_out_views_are_compared_each_with_its_own_camera(held_out_boxes, tmp_path):
    plain = write_small_weights(tmp_path / "plain.safetensors")
    canonical = write_small_weights(tmp_path / "canonical.safetensors", canonical_focal=0.5)
    ratios = []
    for weights in (plain, canonical):
        output = tmp_path / weights.path.stem
        said = run("--held-out", held_out_boxes, "--module", f"m2hmx:{weights.path}", "--output", output)
        assert said.exit_code == 0, said.output
        ratios.append([float(row["depth_ratio"]) for row in rows(output / "frames.csv")])
    camera = BoxViews(1).view(0).intrinsics
    factors = [camera.fx * (1 + index) / camera.width / 0.5 for index in range(6)]
    np.testing.assert_allclose(np.array(ratios[1]) / ratios[0], factors, rtol=1e-3)
    found = json.loads((tmp_path / "plain" / "evaluation.json").read_text())
    assert found["scale_drift"] is None
    assert found["together"]["semantics"]["label_space"] == "nyu40"
    assert "no frame has a ground-truth pose" in said.output


@pytest.mark.parametrize(("kind", "other"), [("nyudv2", False), ("boxes", True), ("scannet25k", True)])
def test_only_views_of_the_published_data_are_not_called_other_data(kind, other, tmp_path, monkeypatch):
    config = holding_out_boxes(tmp_path, monkeypatch, kind)
    output = tmp_path / "out"
    said = run("--held-out", config, "--module", "constant:2", "--published", "nyudv2", "--output", output)
    assert said.exit_code == 0, said.output
    for text in (said.output, (output / "evaluation.md").read_text()):
        assert "M2H-MX-L" in text
        assert ("Ours are of other data" in text) == other


def test_an_unknown_module_is_told_before_views_are_made(held_out_boxes, monkeypatch):
    def prepare(source, progress, processes):
        pytest.fail("views were made")

    monkeypatch.setattr(BoxViews, "prepare", prepare)
    with pytest.raises(SequenceError, match="unknown perception module 'nothing'"):
        run("--held-out", held_out_boxes, "--module", "nothing")
    with pytest.raises(PerceptionError, match="needs a distance"):
        run("--held-out", held_out_boxes, "--module", "constant")


def test_sequences_and_held_out_views_are_not_evaluated_together(held_out_boxes, room):
    for arguments in ((room, "--held-out", held_out_boxes), ()):
        said = run(*arguments, "--module", "constant:2")
        assert said.exit_code == 2
        assert "name sequences, or views with --held-out, and not both" in said.output


def test_a_training_that_holds_out_nothing_has_nothing_to_evaluate(tmp_path):
    path = tmp_path / "training.yaml"
    path.write_text(json.dumps({"network": small(), "data": {"kind": "boxes"}, "steps": 1, "batch_size": 1}))
    with pytest.raises(PerceptionError, match=r"training\.yaml holds out no views: it has no 'evaluation'"):
        run("--held-out", path, "--module", "constant:2")
