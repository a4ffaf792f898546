"""The check's two output formats, held to files that a person has read."""

from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from sample_records import record, runs

from harness.baseline import load_baseline, save_baseline
from harness.check import CheckResult, check
from harness.check_formats import to_junit_xml, to_markdown
from harness.record import Alignment, Status

GOLDEN = Path(__file__).with_name("golden")
STABLE = (0.0110, 0.0112, 0.0114)


@pytest.fixture
def result(tmp_path: Path) -> CheckResult:
    """One group for every verdict."""
    orb, odometry = "orbslam3", "rgbd-odometry"
    then = [
        *runs(*STABLE, group=("flat", "sensor", orb)),
        *runs(0.031, 0.031, group=("flat", "sensor", odometry), deterministic=True),
        *runs(0.006, 0.007, 0.008, group=("flat", "none", orb), alignment=Alignment.SIM3),
        *runs(*STABLE, group=("house", "sensor", orb)),
        *runs(*STABLE, group=("house", "none", orb)),
        *runs(0.02, 0.021, 0.022, group=("house", "sensor", odometry)),
    ]
    now = [
        *runs(0.0161, 0.0162, 0.0163, group=("flat", "sensor", orb)),
        *runs(0.021, 0.021, group=("flat", "sensor", odometry), deterministic=True),
        *runs(0.0062, 0.0071, 0.0081, group=("flat", "none", orb), alignment=Alignment.SIM3),
        record(0, 0.011, group=("house", "sensor", orb)),
        record(
            1, status=Status.FAILED, group=("house", "sensor", orb), reason="silent for 60 s | killed\x1b[0m"
        ),
        *runs(0.02, group=("house", "none", orb)),
        *runs(0.05, coverage=0.93, group=("garden", "sensor", orb)),
    ]
    save_baseline(then, "main", tmp_path)
    return check(now, load_baseline("main", tmp_path))


@pytest.fixture
def nothing_compared(tmp_path: Path) -> CheckResult:
    save_baseline(runs(*STABLE, group=("flat", "sensor", "orbslam3")), "main", tmp_path)
    return check(runs(*STABLE, group=("house", "sensor", "orbslam3")), load_baseline("main", tmp_path))


def test_the_markdown_summary_is_the_one_that_was_read(result):
    assert to_markdown(result) == (GOLDEN / "check.md").read_text()


def test_the_junit_report_is_the_one_that_was_read(result):
    assert to_junit_xml(result) == (GOLDEN / "check.xml").read_text()


def test_a_ci_system_sees_wrong_results_as_failures_and_absent_ones_as_errors(result):
    (suite,) = JUnitXml.fromstring(to_junit_xml(result).encode())

    kinds = {case.result[0].type: type(case.result[0]) for case in suite if case.result}
    assert kinds == {
        "failed": Error,
        "missing": Error,
        "worse": Failure,
        "inconclusive": Failure,
        "new": Skipped,
    }
    assert (suite.tests, suite.errors, suite.failures, suite.skipped) == (7, 2, 2, 1)


def test_a_check_that_compared_nothing_fails_in_both_formats(nothing_compared):
    (suite,) = JUnitXml.fromstring(to_junit_xml(nothing_compared).encode())

    assert suite.failures == 1
    assert to_markdown(nothing_compared).startswith(
        "## Check against baseline 'main' failed: nothing was compared"
    )
