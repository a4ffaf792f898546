"""``harness report``, ``baseline`` and ``check`` from the command line, on experiments that were run."""

import xml.etree.ElementTree as ElementTree

import pytest


def experiment(harness, name, *arguments):
    """Three runs with different noise each: run r draws from its own seed."""
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--backends", "curve"),
        *("--runs", "3", "--output", name, *arguments),
    )
    assert outcome.code == 0, outcome.err


@pytest.fixture
def stored(harness):
    """An experiment and its baseline."""
    experiment(harness, "before")
    assert harness("baseline", "save", "before", "first").code == 0
    return harness


def test_an_experiment_checked_against_itself_passes(stored):
    outcome = stored("check", "before", "--baseline", "first")
    assert outcome.code == 0, outcome.out
    assert "passed" in outcome.out


def test_a_larger_error_fails_the_check_and_is_told_with_figures(stored):
    experiment(stored, "after", "--set", "curve.noise_m=0.01")
    outcome = stored(
        "check", "after", "--baseline", "first", "--junit", "check.xml", "--markdown", "check.md"
    )
    assert outcome.code == 1
    assert "worse" in outcome.out
    suite = ElementTree.parse(stored.directory / "check.xml").getroot()
    assert suite.find(".//failure") is not None
    assert (stored.directory / "check.md").read_text() == outcome.out


def test_lost_coverage_fails_the_check(stored):
    experiment(stored, "after", "--set", "curve.share_tracked=0.5")
    outcome = stored("check", "after", "--baseline", "first")
    assert outcome.code == 1
    assert "coverage" in outcome.out


def test_a_group_that_was_not_run_is_missing_and_fails_the_check(stored):
    outcome = stored(
        *("run", "--seqs", str(stored.recording), "--perception", "none", "--backends", "curve"),
        *("--output", "other"),
    )
    assert outcome.code == 0
    outcome = stored("check", "other", "--baseline", "first")
    assert outcome.code == 1
    assert "missing" in outcome.out
    assert "nothing was compared" in outcome.out


def test_an_unknown_baseline_lists_what_there_is(stored):
    outcome = stored("check", "before", "--baseline", "frist")
    assert outcome.code == 2
    assert "Did you mean 'first'?" in outcome.err


def test_a_baseline_holds_no_place_of_the_machine(stored):
    text = (stored.directory / "results" / "baselines" / "first.json").read_text()
    assert str(stored.directory) not in text


def test_baselines_are_listed(stored):
    assert "first" in stored("baseline", "ls").out


def test_a_report_of_the_newest_experiment_needs_no_directory(harness):
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--backends", "curve,faulty"),
        *("--set", "faulty.fault=raise"),
    )
    assert outcome.code == 1
    outcome = harness("report")
    assert outcome.code == 0, outcome.err
    page = harness.directory / outcome.out.strip()
    assert page.is_file()
    text = page.with_name("report.md").read_text()
    assert "CUDA out of memory" in text
    assert "†" in text, "the curve backend gets ground truth, which must be marked"
    html = page.read_text()
    assert 'src="http' not in html
    assert "<link" not in html


def test_a_report_of_nothing_says_what_is_missing(harness):
    outcome = harness("report")
    assert outcome.code == 2
    assert "'harness run' makes one" in outcome.err
    outcome = harness("report", "nowhere")
    assert outcome.code == 2
    assert "nowhere is no experiment directory" in outcome.err


def test_the_suite_of_the_protocol_runs_from_the_command_line(harness):
    outcome = harness("backends", "check", "curve")
    assert outcome.code == 0, outcome.out
    assert "passed an answer for the wrong frame is refused" in outcome.out
    assert harness("backends", "check", "absent").code == 2


def test_lists_name_everything_that_is_installed(harness):
    assert "curve" in harness("backends", "ls").out
    assert "sensor" in harness("perception", "ls").out
    listed = harness("sequences", "ls").out
    assert "demo" in listed
    assert "tum_local" in listed
