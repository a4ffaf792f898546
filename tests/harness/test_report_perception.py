"""Perception in the report: what modules saw, how good it was, what it did to trajectories."""

import shutil
from functools import partial

import cv2
import experiments
import numpy as np
import pandas as pd
import pytest
from evaluated_room import module_class
from experiments import TrialRecipe, build_experiment
from room_sequence import CAMERA, FRAMES, room_poses, write_room_sequence
from test_report import assert_golden

from harness import report
from harness.record import Status
from harness.report.style import png
from perception.module import PERCEPTION_MODULES, Prediction
from sequences.reader import ReaderContext

WALL, FLOOR = 1, 2

write_report = partial(report.write_report, maps=False, perception=True)


@pytest.fixture(autouse=True)
def _room_is_known(monkeypatch):
    monkeypatch.setitem(experiments.PATHS, "room", room_poses)


@pytest.fixture
def context(tmp_path):
    return ReaderContext(data_directory=None, cache_directory=tmp_path / "cache")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A room with depth and labels: wall on the left, floor on the right."""
    directory = tmp_path_factory.mktemp("recordings") / "room"
    write_room_sequence(directory)
    labels = np.full((CAMERA.height, CAMERA.width), WALL, dtype=np.uint8)
    labels[:, CAMERA.width // 2 :] = FLOOR
    (directory / "labels").mkdir()
    (directory / "labels" / "LABEL_SPACE").write_text("nyu40\n")
    for number in range(FRAMES):
        cv2.imwrite(str(directory / "labels" / f"{number:03d}.png"), labels)
    return directory


@pytest.fixture
def room(recorded, tmp_path):
    """A recording of one's own, to be damaged."""
    return shutil.copytree(recorded, tmp_path / "room")


@pytest.fixture
def drawn(monkeypatch):
    """The figures of the section, beside their pictures."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return png(figure)

    monkeypatch.setattr("harness.report.perception_section.png", keep)
    return figures


def in_room(directory, perception, backend="a", run=0, *, record=None, **fields):
    """A trial in the room with a module as ``--perception`` names it."""
    module, colon, argument = perception.partition(":")
    entry = {"name": "room", "reader": "tum", "parameters": {"directory": str(directory)}}
    as_recorded = {
        "sequence": {"entry": entry, "frames": FRAMES},
        "perception": {
            "name": perception,
            "choice": {"module": module, "argument": argument if colon else None},
        },
    }
    return TrialRecipe("room", perception, backend, run, record=as_recorded | (record or {}), **fields)


def reported(tmp_path, context, *trials, **options):
    return write_report([build_experiment(tmp_path / "runs", list(trials))], context=context, **options)


def table_of(files, name):
    return pd.read_csv(next(path for path in files.tables if path.name == name))


def figure_names(files):
    return [path.name for path in files.figures if path.name.startswith(("perception", "ate_against"))]


def captions(figure):
    return [text for panel in figure.axes if (text := panel.get_xlabel())]


DEGRADED = ("degraded:bias=0.1", "degraded:bias=-0.3", "degraded:bias=0.4+label_noise=0.25")


def test_the_section_and_its_table_are_as_before(room, context, tmp_path):
    files = reported(tmp_path, context, *(in_room(room, name) for name in ("sensor", *DEGRADED)))
    section = files.markdown.read_text().split("## Perception")[1].split("## Trajectories")[0]
    assert_golden("perception.md", section)
    written = {path.name: path for path in files.tables}
    assert_golden("perception.tex", written["perception.tex"].read_text())
    page = files.html.read_text()
    assert '<section id="perception">' in page
    assert '<a href="#perception">' in page


def test_errors_are_those_that_were_put_in(room, context, tmp_path):
    files = reported(tmp_path, context, *(in_room(room, name) for name in DEGRADED))
    table = table_of(files, "perception.csv").set_index("perception")
    assert table["frames"].tolist() == [FRAMES] * 3
    for name, bias in zip(DEGRADED, (0.1, -0.3, 0.4), strict=True):
        assert table["abs_rel"][name] == pytest.approx(abs(bias), abs=1e-6)
        assert table["scale"][name] == pytest.approx(1 + bias, abs=1e-4)
    assert [table["delta1"][name] for name in DEGRADED] == [1.0, 0.0, 0.0]
    assert table["miou"][DEGRADED[0]] == 1.0
    assert table["miou"][DEGRADED[2]] < 0.8
    assert table["pixel_accuracy"][DEGRADED[2]] == pytest.approx(0.75, abs=0.02)


def test_pixels_without_a_prediction_are_told_and_no_error(room, context, tmp_path):
    files = reported(tmp_path, context, in_room(room, "degraded:holes=0.3"))
    (row,) = table_of(files, "perception.csv").to_dict("records")
    assert row["depth_coverage"] == pytest.approx(0.7, abs=0.05)
    assert row["abs_rel"] == pytest.approx(0.0, abs=1e-6)


def test_sensor_alone_is_shown_as_what_was_recorded_and_has_no_errors(room, context, tmp_path, drawn):
    files = reported(tmp_path, context, in_room(room, "sensor"))
    assert figure_names(files) == ["perception-room.png"]
    (figure,) = drawn
    assert captions(figure)[:3] == ["frame 2", "recorded (sensor)", "recorded (sensor)"]
    assert "perception.csv" not in [path.name for path in files.tables]
    assert files.problems == ("Maps were not asked for.",)


@pytest.mark.parametrize("modules", [1, 3, 4, 8])
def test_every_module_is_beside_the_recording_in_every_frame(room, context, tmp_path, drawn, modules):
    names = [f"degraded:bias=0.0{number + 1}" for number in range(modules)]
    reported(tmp_path, context, *(in_room(room, name) for name in names))
    grid = drawn[0].axes[0].get_gridspec()
    assert grid.ncols <= 5
    shown = captions(drawn[0])
    for number, name in enumerate(names):
        assert shown.count(f"{name}\nAbsRel 0.0{number + 1}0") == 3
        assert shown.count(f"{name}\n100 % right") == 3
    assert [text for text in shown if text.startswith("frame")] == ["frame 2", "frame 8", "frame 12"]
    assert shown.count("recorded") == 6


def test_a_frame_s_errors_stand_below_its_pictures(room, context, tmp_path, drawn):
    reported(tmp_path, context, in_room(room, "degraded:bias=0.4+label_noise=0.25"))
    texts = " ".join(captions(drawn[0]))
    assert texts.count("AbsRel 0.400") == 3
    assert texts.count("% right") == 3
    assert "100 % right" not in texts


def test_a_module_is_asked_once_for_all_backends_and_runs(room, context, tmp_path):
    counted = tmp_path / "counted"
    trials = [in_room(room, f"counting:{counted}", backend, run) for backend in "abc" for run in range(2)]
    reported(tmp_path, context, *trials)
    assert sorted(map(int, counted.read_text().split())) == list(range(FRAMES))
    # Nor is it asked again for what was kept, as by the trials themselves.
    reported(tmp_path / "again", context, *trials)
    assert len(counted.read_text().split()) == FRAMES


def test_of_a_long_sequence_frames_spread_over_it_are_asked_for(room, context, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.perception_section.MOST_FRAMES", 4)
    counted = tmp_path / "counted"
    files = reported(tmp_path, context, in_room(room, f"counting:{counted}"))
    assert counted.read_text().split() == ["0", "5", "10", "15"]
    assert table_of(files, "perception.csv")["frames"].tolist() == [4]


def test_frames_that_the_trials_left_out_are_not_looked_at(room, context, tmp_path):
    counted = tmp_path / "counted"
    trial = in_room(room, f"counting:{counted}")
    trial.record["sequence"]["frames"] = 5
    reported(tmp_path, context, trial)
    assert counted.read_text().split() == list("01234")


def test_several_experiments_with_the_same_modules_ask_them_once(room, context, tmp_path):
    counted = tmp_path / "counted"
    made = [
        build_experiment(tmp_path / name, [in_room(room, f"counting:{counted}")])
        for name in ("before", "after")
    ]
    files = write_report(made, tmp_path / "out", context=context)
    assert len(counted.read_text().split()) == FRAMES
    assert len(table_of(files, "perception.csv")) == 1


def test_another_number_of_frames_is_another_sequence(room, context, tmp_path):
    made = []
    for name, frames in (("long", FRAMES), ("short", 6)):
        trial = in_room(room, "constant:2")
        trial.record["sequence"]["frames"] = frames
        made.append(build_experiment(tmp_path / name, [trial]))
    files = write_report(made, tmp_path / "out", context=context)
    table = table_of(files, "perception.csv")
    assert table["sequence"].tolist() == ["room (long)", "room (short)"]
    assert table["frames"].tolist() == [FRAMES, 6]
    assert figure_names(files) == ["perception-room__long_.png", "perception-room__short_.png"]


def test_modules_of_one_name_that_are_not_the_same_are_told_apart(room, context, tmp_path):
    made = []
    for name, factor in (("one", 1.0), ("two", 2.0)):
        trial = in_room(room, "constant:2")
        trial.record["perception"]["choice"]["options"] = {"factor": factor}
        made.append(build_experiment(tmp_path / name, [trial]))
    table = table_of(write_report(made, tmp_path / "out", context=context), "perception.csv")
    assert table["perception"].tolist() == ["constant:2 (one)", "constant:2 (two)"]
    assert table["scale"][1] == pytest.approx(2 * table["scale"][0], rel=1e-3)


def test_progress_is_told(room, context, tmp_path):
    told = []
    reported(tmp_path, context, in_room(room, "constant:2"), progress=lambda *step: told.append(step))
    assert ("constant:2 on room", 0, FRAMES) in told
    assert ("constant:2 on room", FRAMES, FRAMES) in told


def test_depth_and_the_picture_go_without_labels_that_nobody_explains(room, context, tmp_path, drawn):
    files = reported(tmp_path, context, in_room(room, "unnamed-labels"))
    assert "Labels of unnamed-labels on room are not shown: the module does not say" in files.problems[0]
    assert table_of(files, "perception.csv")["miou"].isna().all()
    assert sum(text.startswith("unnamed-labels") for text in captions(drawn[0])) == 3


def test_labels_of_a_space_that_is_not_here_are_not_shown(room, context, tmp_path, drawn):
    (room / "labels" / "LABEL_SPACE").write_text("unheard-of\n")
    files = reported(tmp_path, context, in_room(room, "degraded:bias=0.1"))
    assert "there is no label space 'unheard-of' here" in files.problems[0]
    assert table_of(files, "perception.csv")["miou"].isna().all()
    assert sum(text.startswith("degraded") for text in captions(drawn[0])) == 3


def labelling(label_space):
    """A module that says wall everywhere and nothing of depth."""

    def predict(frame):
        labels = np.full(frame.rgb.shape[:2], np.uint8(WALL))
        return Prediction(semantics=labels, label_space=label_space)

    return module_class(predict, ("semantics",), label_space)


def test_labels_alone_are_compared_and_shown(room, context, tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(PERCEPTION_MODULES, "load", lambda name: labelling("nyu40"))
    files = reported(tmp_path, context, in_room(room, "labeller"))
    (row,) = table_of(files, "perception.csv").to_dict("records")
    # Half of the pixels are right: wall has IoU 1/2, floor has 0.
    assert row["pixel_accuracy"] == 0.5
    assert row["miou"] == 0.25
    assert np.isnan(row["abs_rel"])
    assert captions(drawn[0]).count("labeller\n50.0 % right") == 3


def test_labels_that_cannot_be_compared_are_shown_and_the_report_says_so(
    room, context, tmp_path, drawn, monkeypatch
):
    (room / "labels" / "LABEL_SPACE").write_text("cityscapes19\n")
    monkeypatch.setattr(PERCEPTION_MODULES, "load", lambda name: labelling("nyud20"))
    files = reported(tmp_path, context, in_room(room, "labeller"))
    assert files.problems[0].startswith("Labels of labeller on room are not compared: ")
    assert captions(drawn[0]).count("labeller") == 3


def test_without_recorded_depth_there_are_pictures_and_no_figures(room, context, tmp_path, drawn):
    (room / "depth.txt").unlink()
    shutil.rmtree(room / "depth")
    shutil.rmtree(room / "labels")
    trials = [in_room(room, f"constant:{metres}") for metres in (1, 2, 3)]
    files = reported(tmp_path, context, *trials)
    assert figure_names(files) == ["perception-room.png"]
    expected = [f"frame {index}" for index in (2, 8, 12)]
    shown = captions(drawn[0])
    assert [text for text in shown if not text.startswith("constant")] == [*expected, "depth [m]"]
    assert shown.count("constant:3") == 3
    assert not [path for path in files.tables if path.name.startswith(("perception", "ate_against"))]
    assert files.problems == ("Maps were not asked for.",)


def test_a_module_that_predicts_nothing_has_no_section(room, context, tmp_path):
    files = reported(tmp_path, context, in_room(room, "none"))
    assert "Perception" not in files.markdown.read_text()
    assert files.problems == ("Maps were not asked for.",)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("m9", "unknown perception module 'm9'"),
        ("constant", "perception 'constant': it needs a distance, as in constant:2"),
        ("nan-depth", "frame 3: depth has NaN, infinite or negative values"),
        ("hanging", "hanging: no prediction came within 0.2 s, which is the limit"),
    ],
)
def test_a_module_that_cannot_be_used_any_more_is_named_and_the_others_are_shown(
    room, context, tmp_path, module, reason
):
    configuration = {"coverage_floor": 0.9, "predict_limit_s": 0.2}
    files = reported(
        tmp_path,
        context,
        in_room(room, module, record={"configuration": configuration}),
        in_room(room, "constant:2"),
    )
    problem, _ = files.problems
    assert problem.startswith(f"Predictions of {module} on room are not shown: ")
    assert reason in problem
    assert problem.split(":")[0] in files.markdown.read_text()
    assert table_of(files, "perception.csv")["perception"].tolist() == ["constant:2"]


def test_a_sequence_that_is_gone_is_named_once_and_the_rest_is_complete(room, context, tmp_path):
    trials = [in_room(room, name) for name in ("sensor", *DEGRADED)]
    experiment = build_experiment(tmp_path / "runs", trials)
    shutil.rmtree(room)
    files = write_report([experiment], context=context)
    problem, _ = files.problems
    assert problem.startswith("Predictions on room are not shown: ")
    assert str(room) in problem
    assert "## Perception" in files.markdown.read_text()
    assert figure_names(files) == []
    assert len(files.figures) == 5


def test_a_module_of_which_no_trial_says_what_it_is_is_named(room, context, tmp_path):
    nameless = {"perception": {"name": "m2hmx:lost"}}
    files = reported(
        tmp_path,
        context,
        in_room(room, "m2hmx:lost", record=nameless, ends=(Status.FAILED, "it died")),
        in_room(room, "m2hmx:never", record=nameless, ends=(Status.SKIPPED, "torch is not installed")),
    )
    problem, _ = files.problems
    assert problem.startswith("Predictions of m2hmx:lost on room are not shown: no trial came far enough")


def test_a_module_with_other_weights_than_in_its_trials_is_named(room, context, tmp_path):
    trial = in_room(room, "constant:2")
    trial.record["perception"]["details"] = {"metres": 1.9}
    problem, _ = reported(tmp_path, context, trial).problems
    assert problem == (
        "constant:2 on room is not quite what it was in its trials; it says something else of itself under: "
        "metres."
    )


def test_without_frames_being_read_again_there_is_no_section(room, context, tmp_path):
    files = reported(tmp_path, context, in_room(room, "constant:2"), perception=None)
    assert "## Perception" not in files.markdown.read_text()


def errors_against_depth(room, *, failing=()):
    """Three modules in two backends, two runs each; the later runs of some fail."""
    return [
        in_room(room, name, backend, run, noise=noise * (1 + run), ends=ends)
        for name, noise in (("sensor", 0.002), ("degraded:bias=0.1", 0.01), ("degraded:bias=0.3", 0.03))
        for backend in "ab"
        for run in range(2)
        for ends in [(Status.FAILED, "it died") if (name, backend) in failing and run else None]
    ]


def lines_of(figure, label, points):
    """The lines of so many points of a contender, which the legend's sample tells by its colour."""
    lines = figure.axes[0].lines
    (colour,) = (line.get_markeredgecolor() for line in lines if line.get_label() == label)
    return [
        line for line in lines if line.get_markeredgecolor() == colour and len(line.get_xdata()) == points
    ]


def test_trajectory_errors_stand_over_the_error_of_depth(room, context, tmp_path, drawn):
    files = reported(tmp_path, context, *errors_against_depth(room))
    table = table_of(files, "ate_against_depth_error.csv")
    ate = table_of(files, "ate.csv")
    assert table["abs_rel"].tolist() == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.0, 0.0], abs=1e-6)
    pd.testing.assert_frame_equal(table.drop(columns="abs_rel"), ate)
    assert figure_names(files) == ["perception-room.png", "ate_against_depth_error-room.png"]
    of_a = table[table["backend"] == "a"].assign(abs_rel=table["abs_rel"].round(3)).set_index("abs_rel")
    medians, intervals = of_a["ate_median_m"], of_a[["ate_interval_low_m", "ate_interval_high_m"]]
    for line in lines_of(drawn[1], "a, SE(3)", 1):
        assert line.get_ydata()[0] == pytest.approx(100 * medians[round(line.get_xdata()[0], 3)])
    for line in lines_of(drawn[1], "a, SE(3)", 2):
        assert tuple(line.get_ydata()) == pytest.approx(100 * intervals.loc[round(line.get_xdata()[0], 3)])
    assert [len(lines_of(drawn[1], "a, SE(3)", points)) for points in (1, 2)] == [3, 3]


def test_what_is_not_ok_is_marked_and_counted(room, context, tmp_path, drawn):
    files = reported(
        tmp_path,
        context,
        *errors_against_depth(room, failing=[("degraded:bias=0.3", "b")]),
        in_room(room, "degraded:bias=0.1", "c", lost_after=0.5),
    )
    assert "Of 13 trials: 11 ok, 1 partial, 1 failed" in files.markdown.read_text()
    marks = [text.get_text() for text in drawn[1].axes[0].texts]
    assert "× 1/2" in marks
    assert "‡ 1/1" in marks
    hollow = {
        round(line.get_xdata()[0], 3): line.get_markerfacecolor() == "white"
        for line in lines_of(drawn[1], "b, SE(3)", 1)
    }
    assert hollow == {0.0: False, 0.1: False, 0.3: True}


def test_modules_that_all_fail_are_still_in_the_figure(room, context, tmp_path, drawn):
    died = (Status.FAILED, "it died")
    files = reported(tmp_path, context, *(in_room(room, name, ends=died) for name in DEGRADED))
    assert "ate_against_depth_error-room.png" in figure_names(files)
    assert [text.get_text() for text in drawn[1].axes[0].texts].count("× 1/1") == 3


def test_a_module_without_depth_is_named_below_the_figure(room, context, tmp_path):
    files = reported(tmp_path, context, *errors_against_depth(room), in_room(room, "none"))
    text = files.markdown.read_text()
    assert "Not shown, having no depth that could be compared: none." in text


def test_two_modules_are_too_few_for_a_figure(room, context, tmp_path):
    files = reported(tmp_path, context, in_room(room, "sensor"), in_room(room, "degraded:bias=0.1"))
    assert figure_names(files) == ["perception-room.png"]
    assert len(table_of(files, "ate_against_depth_error.csv")) == 2


def test_errors_of_depth_far_apart_have_a_logarithmic_axis_that_reaches_sensor(
    room, context, tmp_path, drawn
):
    names = ("sensor", "degraded:bias=0.01", "degraded:bias=1")
    reported(tmp_path, context, *(in_room(room, name) for name in names))
    panel = drawn[1].axes[0]
    assert panel.get_xscale() == "symlog"
    assert panel.get_xlim()[0] < 0
    labels = [text.get_text() for text in panel.texts]
    assert labels == list(names)
