"""The check: worse, missing and failed are different things, and too few runs say nothing."""

import re
from pathlib import Path

import pytest
from sample_records import GROUP, record, runs

from harness.baseline import load_baseline, save_baseline
from harness.check import CheckLimits, CheckResult, Verdict, check
from harness.errors import ConfigurationError
from harness.record import Alignment, Status

OTHER_GROUP = ("demo/house", "sensor", "orbslam3")
STABLE = (0.0110, 0.0112, 0.0114)


@pytest.fixture
def checked(tmp_path: Path):
    """Check an experiment against a baseline that goes through its file."""

    def run(now, then, **limits) -> CheckResult:
        save_baseline(then, "main", tmp_path)
        return check(now, load_baseline("main", tmp_path), CheckLimits(**limits))

    return run


def only(result: CheckResult):
    (group,) = result.groups
    return group


def test_the_same_figures_pass(checked):
    result = checked(runs(*STABLE), runs(*STABLE))

    assert result.passed
    assert only(result).verdict is Verdict.OK
    assert only(result).explanation == (
        "ATE SE(3) median 1.12 cm against 1.12 cm: 1.00 times; coverage median 100.0 % against 100.0 %"
    )


def test_an_error_beyond_the_factor_in_three_runs_of_three_is_worse(checked):
    result = checked(runs(0.0161, 0.0162, 0.0163), runs(*STABLE))

    assert not result.passed
    assert only(result).verdict is Verdict.WORSE
    assert only(result).explanation == (
        "ATE SE(3) median 1.62 cm against 1.12 cm: 1.45 times, limit 1.25, p = 0.05 over 3 and 3 runs"
    )


def test_an_error_beyond_the_factor_that_is_within_the_scatter_is_not_worse(checked):
    result = checked(runs(0.0111, 0.0162, 0.0163), runs(*STABLE))

    assert result.passed
    assert only(result).explanation.startswith(
        "ATE SE(3) median 1.62 cm against 1.12 cm: 1.45 times, limit 1.25, p = 0.2 over 3 and 3 runs, "
        "not significant"
    )


def test_a_significant_difference_within_the_factor_is_not_worse(checked):
    assert only(checked(runs(0.0120, 0.0121, 0.0122), runs(*STABLE))).verdict is Verdict.OK


def test_an_error_below_the_factor_in_all_runs_is_better(checked):
    result = checked(runs(0.0061, 0.0062, 0.0063), runs(*STABLE))

    assert result.passed
    assert only(result).verdict is Verdict.BETTER


@pytest.mark.parametrize(
    ("now", "then", "advice"),
    [
        ((0.0162,), STABLE, "1 run against 3 runs cannot show whether that is chance; repeat with --runs 3"),
        ((0.0162, 0.0163), STABLE, "2 runs against 3 runs cannot show .* repeat with --runs 3"),
        (
            (0.0162,),
            (0.0112,),
            "1 run against 1 run .* save the baseline from 3 runs and repeat with --runs 3",
        ),
    ],
)
def test_too_few_runs_beyond_the_factor_are_inconclusive_and_fail(checked, now, then, advice):
    result = checked(runs(*now), runs(*then))

    assert not result.passed
    assert only(result).verdict is Verdict.INCONCLUSIVE
    assert re.search(advice, only(result).explanation)


def test_too_few_runs_do_not_make_an_improvement_fail(checked):
    result = checked(runs(0.005), runs(*STABLE))

    assert result.passed
    assert only(result).verdict is Verdict.OK


def test_one_run_of_a_deterministic_backend_is_enough(checked):
    result = checked(runs(0.0162, deterministic=True), runs(0.0112, deterministic=True))

    assert only(result).verdict is Verdict.WORSE
    assert only(result).explanation.endswith("limit 1.25, and the backend is deterministic")


def test_a_backend_that_calls_itself_deterministic_and_scatters_needs_runs_like_any_other(checked):
    result = checked(runs(0.0162, 0.0163, deterministic=True), runs(0.0112, deterministic=True))

    assert only(result).verdict is Verdict.INCONCLUSIVE


def test_differences_between_nearly_perfect_trajectories_do_not_count(checked):
    assert (
        only(checked(runs(5e-15, deterministic=True), runs(1e-16, deterministic=True))).verdict is Verdict.OK
    )


def test_coverage_beyond_the_drop_is_worse_though_every_run_is_complete(checked):
    result = checked(runs(*STABLE, coverage=0.92), runs(*STABLE))

    assert only(result).verdict is Verdict.WORSE
    assert only(result).explanation == (
        "coverage median 92.0 % against 100.0 %, limit 5 points, p = 0.05 over 3 and 3 runs"
    )


def test_coverage_at_the_drop_itself_is_not_worse(checked):
    assert only(checked(runs(*STABLE, coverage=0.95), runs(*STABLE))).verdict is Verdict.OK


def test_coverage_that_rises_is_better(checked):
    assert only(checked(runs(*STABLE), runs(*STABLE, coverage=0.92))).verdict is Verdict.BETTER


def test_runs_that_are_no_longer_complete_are_worse_and_their_error_is_not_compared(checked):
    partial = runs(0.001, coverage=0.4, status=Status.PARTIAL)

    result = checked(partial, runs(*STABLE))

    assert only(result).verdict is Verdict.WORSE
    assert only(result).explanation == (
        "most runs were complete and are not now: "
        "coverage median 40.0 % against 100.0 % (1 of 1 run partial); ATE not compared"
    )


def test_two_partial_runs_of_three_are_worse_though_the_third_is_as_good_as_ever(checked):
    now = [record(0, 0.011), *[record(run, 0.001, 0.5, Status.PARTIAL) for run in (1, 2)]]

    assert only(checked(now, runs(*STABLE))).verdict is Verdict.WORSE


def test_runs_that_became_complete_are_better(checked):
    then = [*runs(*STABLE, coverage=0.4, status=Status.PARTIAL), *runs(0.01, group=OTHER_GROUP)]

    result = checked([*runs(*STABLE), *runs(0.01, group=OTHER_GROUP)], then)

    assert [group.verdict for group in result.groups] == [Verdict.BETTER, Verdict.OK]
    assert result.passed


def test_a_partial_run_among_complete_ones_is_mentioned_and_its_error_left_out(checked):
    now = [*runs(*STABLE), record(3, 0.0001, 0.5, Status.PARTIAL)]

    result = checked(now, runs(*STABLE))

    assert only(result).verdict is Verdict.OK
    assert "1.00 times" in only(result).explanation
    assert "(1 of 4 runs partial)" in only(result).explanation


def test_one_more_failed_run_than_in_the_baseline_has_failed(checked):
    now = [*runs(0.0112, 0.0113), record(2, status=Status.FAILED, reason="the backend died")]

    result = checked(now, runs(*STABLE))

    assert not result.passed
    assert only(result).verdict is Verdict.FAILED
    assert only(result).explanation == "1 of 3 runs failed, 0 of 3 in the baseline: the backend died"


def test_a_group_that_failed_in_the_baseline_as_well_is_no_worse(checked):
    failing = [record(status=Status.FAILED, reason="died", group=OTHER_GROUP)]

    result = checked([*failing, *runs(*STABLE)], [*failing, *runs(*STABLE)])

    assert result.passed
    assert [group.verdict for group in result.groups] == [Verdict.OK, Verdict.OK]


def test_a_group_that_was_not_run_is_missing(checked):
    result = checked(runs(*STABLE), [*runs(*STABLE), *runs(0.01, group=OTHER_GROUP)])

    assert not result.passed
    missing, _ = result.groups
    assert (missing.sequence, missing.verdict) == ("demo/house", Verdict.MISSING)
    assert missing.explanation == "in the baseline, not in this experiment"


def test_a_group_that_was_skipped_is_missing_with_the_reason(checked):
    skipped = record(status=Status.SKIPPED, reason="orbslam3 is not installed", group=OTHER_GROUP)

    result = checked([*runs(*STABLE), skipped], [*runs(*STABLE), *runs(0.01, group=OTHER_GROUP)])

    assert result.groups[0].verdict is Verdict.MISSING
    assert result.groups[0].explanation == "skipped: orbslam3 is not installed"


def test_a_group_that_the_baseline_lacks_is_new_and_passes(checked):
    result = checked([*runs(*STABLE), *runs(0.5, group=OTHER_GROUP)], runs(*STABLE))

    assert result.passed
    assert result.groups[0].verdict is Verdict.NEW


def test_a_check_with_nothing_in_common_fails(checked):
    result = checked(runs(*STABLE, group=OTHER_GROUP), runs(*STABLE))

    assert result.compared == 0
    assert not result.passed


def test_an_experiment_without_records_fails(checked):
    assert not checked([], runs(*STABLE)).passed


@pytest.mark.parametrize(
    ("properties", "difference"),
    [
        ({"alignment": Alignment.SIM3}, "mode is mono, was rgbd, alignment is sim3, was se3"),
        ({"frames": 50}, "number of frames is 50, was 100"),
        ({"ground_truth_is_input": True}, "ground truth as input is True, was False"),
        ({"source": {"reader": "synthetic", "seed": 2}}, "the sequence is another one (seed)"),
    ],
)
def test_figures_of_another_kind_are_not_compared(checked, properties, difference):
    result = checked(runs(*STABLE, **properties), runs(*STABLE))

    assert not result.passed
    assert only(result).verdict is Verdict.INCONCLUSIVE
    assert only(result).explanation == f"not comparable with the baseline: {difference}"


def test_a_sequence_in_another_directory_is_the_same_sequence(checked):
    here, there = ({"reader": "tum", "directory": directory} for directory in ("/data", "/elsewhere"))

    assert checked(runs(*STABLE, source=here), runs(*STABLE, source=there)).passed


def test_a_wider_factor_lets_more_pass(checked):
    result = checked(runs(0.0161, 0.0162, 0.0163), runs(*STABLE), factor=1.5)

    assert only(result).verdict is Verdict.OK


@pytest.mark.parametrize("limits", [{"factor": 1.0}, {"coverage_drop": -0.1}, {"coverage_drop": 1.0}])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(ConfigurationError, match="must"):
        CheckLimits(**limits)


def test_the_worst_comes_first(checked):
    names = {verdict: (f"{verdict}", "sensor", "orbslam3") for verdict in Verdict}
    then = [
        record
        for verdict in Verdict
        if verdict is not Verdict.NEW
        for record in runs(*STABLE, group=names[verdict])
    ]
    now = [
        *runs(*STABLE, group=names[Verdict.OK]),
        *runs(*STABLE, group=names[Verdict.NEW]),
        *runs(0.005, 0.005, 0.005, group=names[Verdict.BETTER]),
        *runs(0.03, group=names[Verdict.INCONCLUSIVE]),
        *runs(0.03, 0.03, 0.03, group=names[Verdict.WORSE]),
        *[record(status=Status.FAILED, reason="died", group=names[Verdict.FAILED])],
    ]

    result = checked(now, then)

    assert [group.verdict for group in result.groups] == list(Verdict)
    assert [group.sequence for group in result.groups] == [verdict.value for verdict in Verdict]


def test_groups_are_told_apart_by_sequence_module_and_backend(checked):
    sequence, perception, backend = GROUP
    groups = [
        GROUP,
        ("other", perception, backend),
        (sequence, "none", backend),
        (sequence, perception, "other"),
    ]
    then = [record for group in groups for record in runs(*STABLE, group=group)]
    worse = [record for group in groups[:1] for record in runs(0.03, 0.03, 0.03, group=group)]

    result = checked([*worse, *then[3:]], then)

    assert [group.verdict for group in result.groups] == [Verdict.WORSE, *[Verdict.OK] * 3]
