"""Ratios between contenders, and what backends say of their own work, as a report shows them."""

import re

import pandas as pd
import pytest
from experiments import TrialRecipe, build_experiment

from harness.record import Status
from harness.report import write_report

STAGES = {
    "tracking": {"median": 12.0, "p95": 20.5, "count": 160},
    "mapping": {"median": 40.0, "p95": 61.0, "count": 32},
}


def reported(tmp_path, *trials):
    return write_report([build_experiment(tmp_path / "runs", list(trials))], maps=False)


def rows_below(text, caption):
    """The rows of the Markdown table under a caption, by heading."""
    if caption not in text:
        return []
    lines = text[text.index(caption) :].splitlines()[2:]
    table = [line.strip("| ").split(" | ") for line in lines[: lines.index("")] if line.startswith("|")]
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


def ratios(files):
    return rows_below(files.markdown.read_text(), "In relation to")


def with_statistics(backend, **statistics):
    record = {"backend": {"options": {}, "capabilities": {}, "statistics": statistics}}
    return TrialRecipe("corridor", "sensor", backend, record=record)


def test_errors_and_speeds_are_divided_by_those_of_the_first_backend(tmp_path):
    files = reported(
        tmp_path,
        TrialRecipe("corridor", "sensor", "orbslam3", noise=0.01),
        TrialRecipe("corridor", "sensor", "rgbd-odometry", noise=0.05),
    )
    assert "In relation to orbslam3" in files.markdown.read_text()
    (row,) = ratios(files)
    ate = pd.read_csv(next(path for path in files.tables if path.name == "ate.csv")).set_index("backend")
    ratio = ate["ate_median_m"]["rgbd-odometry"] / ate["ate_median_m"]["orbslam3"]
    assert row == {
        "sequence": "corridor",
        "perception": "sensor",
        "rgbd-odometry ATE": f"{ratio:.2f}",
        "rgbd-odometry speed": f"{48 / 95:.2f}",
    }
    assert "ratios.tex" in [path.name for path in files.tables]


def test_the_mean_over_sequences_is_geometric(tmp_path):
    trials = [
        TrialRecipe(sequence, "sensor", backend, noise=noise)
        for sequence in ("corridor", "office-loop")
        for backend, noise in (("a", 0.01), ("b", 0.04))
    ]
    first, second, mean = (float(row["b ATE"]) for row in ratios(reported(tmp_path, *trials)))
    assert mean == pytest.approx((first * second) ** 0.5, abs=0.01)


def test_the_backend_that_the_user_named_first_is_the_one_to_compare_with(tmp_path, monkeypatch):
    experiment = build_experiment(
        tmp_path / "runs", [TrialRecipe("corridor", "sensor", name) for name in ("a", "b")]
    )
    file = experiment.path / "experiment.json"
    swapped = re.sub(r'"a",\s*"b"', '"b", "a"', file.read_text())
    assert swapped != file.read_text()
    file.write_text(swapped)
    assert "In relation to b" in write_report([experiment], maps=False).markdown.read_text()


@pytest.mark.parametrize(
    "other",
    [
        {"ends": (Status.FAILED, "it died")},
        {"lost_after": 0.5},
        {"frames": 80},
        {"record": {"ground_truth_is_input": True}},
    ],
    ids=["failed", "partial", "other frames", "ground truth as input"],
)
def test_what_cannot_be_compared_has_no_ratio(tmp_path, other):
    files = reported(
        tmp_path,
        TrialRecipe("corridor", "sensor", "a"),
        TrialRecipe("corridor", "sensor", "b", **other),
    )
    assert ratios(files) == []


def test_a_backend_on_its_own_has_no_ratio(tmp_path):
    assert ratios(reported(tmp_path, TrialRecipe("corridor", "sensor", "a"))) == []


def test_stages_are_shown_of_backends_that_time_them(tmp_path):
    files = reported(tmp_path, with_statistics("mapper", stage_ms=STAGES), with_statistics("plain", loops=2))
    (row,) = rows_below(files.markdown.read_text(), "Time per call of the stages")
    assert row == {
        "sequence": "corridor",
        "perception": "sensor",
        "backend": "mapper",
        "tracking": "12.0 (20.5)",
        "mapping": "40.0 (61.0)",
    }
    assert "Time per call of the stages" in files.html.read_text()
    csv = pd.read_csv(next(path for path in files.tables if path.name == "stages.csv"))
    assert csv[["stage", "median_ms", "p95_ms", "count"]].values.tolist() == [
        ["tracking", 12.0, 20.5, 160],
        ["mapping", 40.0, 61.0, 32],
    ]


@pytest.mark.parametrize(
    "stage_ms", [None, [], "fast", {"tracking": 3.0}, {"tracking": {"median": "slow"}}, {"tracking": {}}]
)
def test_statistics_of_another_form_are_passed_over(tmp_path, stage_ms):
    files = reported(tmp_path, with_statistics("mapper", stage_ms=stage_ms))
    assert "Time per call of the stages" not in files.markdown.read_text()
    assert "stages.csv" not in [path.name for path in files.tables]


def test_loops_and_lost_frames_are_shown_of_backends_that_count_them(tmp_path):
    counts = {"loop_closures_accepted": 3, "loop_closures_rejected": 0, "frames_lost": 2}
    files = reported(tmp_path, with_statistics("mapper", **counts), with_statistics("plain"))
    (row,) = rows_below(files.markdown.read_text(), "What backends counted")
    assert row == {
        "sequence": "corridor",
        "perception": "sensor",
        "backend": "mapper",
        "keyframes": "–",
        "frames lost": "2",
        "frames interpolated": "–",
        "loops accepted": "3",
        "loops rejected": "0",
    }
