"""The report as a user gets it: tables and text against golden files, states kept apart, bad input."""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from experiments import SKIPPED_REASON, TrialRecipe, build_experiment

from harness.cli.report import report
from harness.errors import ResultsError
from harness.record import Status
from harness.report import write_report
from harness.store import RECORD_FILE, TRAJECTORY_FILE

GOLDEN = Path(__file__).parent / "golden" / "report"

# What follows is the configuration, whose fields are not the report's business.
CONFIGURATION_HEADING = "Configuration of"


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    experiment = build_experiment(tmp_path_factory.mktemp("runs") / "first")
    return write_report([experiment], maps=False)


def assert_golden(name, text):
    """Compare with a golden file; UPDATE_GOLDEN=1 in the environment writes it anew."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def report_of(tmp_path, *trials):
    return write_report([build_experiment(tmp_path / "runs", list(trials))], maps=False)


def rows_of(markdown, heading_start):
    """Rows of the first Markdown table whose heading row begins so."""
    lines = markdown.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(heading_start))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_the_markdown_report_is_as_before(reported):
    assert_golden("report.md", reported.markdown.read_text().split(CONFIGURATION_HEADING)[0])


@pytest.mark.parametrize("name", ["ate_se3.tex", "ate_sim3.tex", "details.tex", "states.tex", "timing.tex"])
def test_latex_tables_are_as_before(reported, name):
    written = {path.name: path for path in reported.tables}
    assert_golden(name, written[name].read_text())


@pytest.mark.parametrize("name", ["ate.csv", "timing.csv", "trials.csv"])
def test_csv_tables_are_as_before(reported, name):
    written = {path.name: path for path in reported.tables}
    content = written[name].read_text()
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(content)
    # Another processor may round the last digit otherwise.
    pd.testing.assert_frame_equal(pd.read_csv(written[name]), pd.read_csv(GOLDEN / name), rtol=1e-9)


def test_the_same_results_give_the_same_report(reported, tmp_path):
    again = write_report([build_experiment(tmp_path / "first")], maps=False)
    assert again.html.read_bytes() == reported.html.read_bytes()


def test_the_page_needs_no_other_file_and_no_network(reported):
    page = reported.html.read_text()
    addresses = re.findall(r"""(?:src|href)=["']([^"']{1,40})""", page)
    assert len([each for each in addresses if each.startswith("data:image/png;base64,")]) == len(
        reported.figures
    )
    assert all(each.startswith(("data:", "#")) for each in addresses)
    assert "url(" not in page
    assert "<script" not in page


def test_every_picture_of_the_markdown_exists(reported):
    links = re.findall(r"\]\((figures/[^)]+)\)", reported.markdown.read_text())
    assert sorted(links) == sorted(f"figures/{path.name}" for path in reported.figures)
    assert all((reported.markdown.parent / link).read_bytes().startswith(b"\x89PNG") for link in links)


def test_a_partial_trial_is_shown_with_its_mark_and_averaged_nowhere(tmp_path):
    files = report_of(
        tmp_path,
        TrialRecipe("corridor", "sensor", "orbslam3", 0),
        TrialRecipe("corridor", "sensor", "orbslam3", 1, noise=0.3, lost_after=0.5),
        TrialRecipe("corridor", "sensor", "rgbd-odometry", 0, noise=0.1),
    )
    (row,) = rows_of(files.markdown.read_text(), "| sequence | perception | orbslam3")
    trials = pd.read_csv(next(path for path in files.tables if path.name == "trials.csv"))
    ok, partial = (100 * trials["ate_se3_rmse_m"][number] for number in (0, 1))
    assert row[2] == f"{ok:.2f} (1 of 2 runs; {partial:.2f}‡)"
    assert row[3] == "100 (50.0‡)"
    ate = pd.read_csv(next(path for path in files.tables if path.name == "ate.csv"))
    assert ate["ate_median_m"][0] == pytest.approx(ok / 100)


def test_a_backend_with_a_run_that_is_not_ok_is_never_the_best(tmp_path):
    files = report_of(
        tmp_path,
        TrialRecipe("corridor", "sensor", "a", 0, noise=0.001),
        TrialRecipe("corridor", "sensor", "a", 1, ends=(Status.FAILED, "it died")),
        TrialRecipe("corridor", "sensor", "b", 0, noise=0.02),
        TrialRecipe("corridor", "sensor", "c", 0, noise=0.1),
    )
    (row,) = rows_of(files.markdown.read_text(), "| sequence | perception | a")
    assert [cell.startswith("**") for cell in row[2::2]] == [False, True, False]


def test_a_backend_that_is_given_ground_truth_is_marked_and_never_the_best(tmp_path):
    files = report_of(
        tmp_path,
        TrialRecipe("corridor", "sensor", "posed", noise=0.001, record={"ground_truth_is_input": True}),
        TrialRecipe("corridor", "sensor", "a", noise=0.02),
        TrialRecipe("corridor", "sensor", "b", noise=0.1),
    )
    text = files.markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | a")
    assert row[2].startswith("**")
    assert row[6].endswith("†")
    assert "† the backend receives ground truth in some form; never ranked." in text


def test_means_are_of_backends_that_are_complete_on_every_sequence(tmp_path):
    files = report_of(
        tmp_path,
        *(TrialRecipe(name, "sensor", "whole") for name in ("corridor", "office-loop")),
        TrialRecipe("corridor", "sensor", "half"),
        TrialRecipe("office-loop", "sensor", "half", ends=(Status.FAILED, "it died")),
    )
    *_, mean = rows_of(files.markdown.read_text(), "| sequence | perception | half")
    medians = pd.read_csv(next(path for path in files.tables if path.name == "ate.csv")).query(
        "backend == 'whole'"
    )["ate_median_m"]
    assert mean == ["mean of medians", "sensor", "–", "–", f"{100 * medians.mean():.2f}", "100"]


def test_alignments_have_tables_of_their_own(reported):
    text = reported.markdown.read_text()
    assert text.count("ATE after SE(3) alignment") == 1
    assert text.count("ATE after Sim(3) alignment") == 1
    perceptions = {row[1] for row in rows_of(text.split("ATE after Sim(3)")[1], "| sequence")}
    assert perceptions == {"none"}


def test_every_trial_that_is_not_ok_is_listed_with_its_reason(reported):
    rows = rows_of(reported.markdown.read_text(), "| sequence | perception | backend | run")
    assert ["corridor", "none", "rgbd-odometry", "0, 1, 2", "skipped", SKIPPED_REASON] in rows
    assert [row[4] for row in rows] == ["skipped", "partial", "failed", "partial"]


def test_an_experiment_without_an_ok_trial_has_a_report_without_figures(tmp_path):
    files = report_of(
        tmp_path,
        TrialRecipe("corridor", "sensor", "a", ends=(Status.FAILED, "it died")),
        TrialRecipe("corridor", "sensor", "b", ends=(Status.SKIPPED, "it is not installed")),
    )
    text = files.markdown.read_text()
    assert rows_of(text, "| sequence | perception | a") == [
        ["corridor", "sensor", "failed", "–", "skipped", "–"]
    ]
    assert "1 trial, 1 failed." in text
    assert "nan" not in text.lower()
    assert files.figures == ()
    assert files.html.is_file()


def test_an_experiment_of_partial_trials_shows_them_and_ranks_none(tmp_path):
    files = report_of(tmp_path, *(TrialRecipe("corridor", "sensor", name, lost_after=0.5) for name in "ab"))
    (row,) = rows_of(files.markdown.read_text(), "| sequence | perception | a")
    assert [cell[-1] for cell in row[2:]] == ["‡"] * 4
    assert "**" not in "".join(row)
    assert len(files.figures) == 2


def test_experiments_with_the_same_trials_stand_side_by_side(tmp_path):
    trials = [TrialRecipe("corridor", "sensor", "orbslam3", run) for run in range(2)]
    experiments = [
        build_experiment(tmp_path / name, trials, seed) for seed, name in enumerate(("before", "after"))
    ]
    text = write_report(experiments, tmp_path / "out", maps=False).markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | orbslam3 (after) [cm] | cov. [%] | orbslam3 (before)")
    assert row[2].strip("*")[:4] != row[4].strip("*")[:4]
    assert "Configuration of before" in text
    assert "Configuration of after" in text


def two_experiments(tmp_path, before, after):
    """The same backend twice, with other fields each time."""
    return [
        build_experiment(tmp_path / name, [TrialRecipe("corridor", "sensor", "orbslam3", **fields)])
        for name, fields in (("before", before), ("after", after))
    ]


def test_experiments_over_different_numbers_of_frames_are_shown_and_not_ranked(tmp_path):
    experiments = two_experiments(tmp_path, {}, {"frames": 20})
    files = write_report(experiments, tmp_path / "out", maps=False)
    text = files.markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | orbslam3 (after)")
    assert [re.sub(r"^[0-9.]+", "ATE", cell) for cell in row[2::2]] == ["ATE (20 frames)", "ATE (160 frames)"]
    sentence = (
        "corridor with perception sensor cannot be compared: "
        "the number of frames is 20 for orbslam3 (after), 160 for orbslam3 (before)."
    )
    tables = [next(path for path in files.tables if path.name == "ate_se3.tex"), files.html, files.markdown]
    assert all(sentence in path.read_text() for path in tables)


def test_contenders_that_can_be_compared_are_ranked_beside_one_that_cannot(tmp_path):
    text = report_of(
        tmp_path,
        TrialRecipe("corridor", "sensor", "a", noise=0.001),
        TrialRecipe("corridor", "sensor", "b", noise=0.1),
        TrialRecipe("corridor", "sensor", "c", frames=40, lost_after=0.5),
    ).markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | a")
    assert [cell.startswith("**") for cell in row[2::2]] == [True, False, False]
    assert "the number of frames is 160 for a and b, 40 for c." in text


def test_experiments_over_different_sequences_of_one_name_are_not_ranked(tmp_path):
    seeds = ({"record": {"sequence": {"source": {"seed": seed}, "frames": 160}}} for seed in (1, 2))
    files = write_report(two_experiments(tmp_path, *seeds), tmp_path / "out", maps=False)
    text = files.markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | orbslam3 (after)")
    assert "**" not in "".join(row)
    assert "cannot be compared: the sequence is another one (seed)." in text


def test_a_trial_with_little_ground_truth_is_not_ranked_and_its_frames_are_counted(tmp_path):
    files = report_of(tmp_path, TrialRecipe("corridor", "sensor", "a", ground_truth_until=0.2))
    trials = pd.read_csv(next(path for path in files.tables if path.name == "trials.csv"))
    assert [trials[name][0] for name in ("status", "frames", "frames_with_ground_truth", "coverage")] == [
        *("partial", 160, 32, 1.0)
    ]
    text = files.markdown.read_text()
    (row,) = rows_of(text, "| sequence | perception | backend | alignment")
    heading = next(
        line for line in text.splitlines() if line.startswith("| sequence | perception | backend | al")
    )
    cells = dict(zip(heading.strip("| ").split(" | "), row, strict=True))
    assert (cells["frames"], cells["with ground truth"]) == ("160‡", "32‡")
    assert "32 of 160 frames have ground truth; 50 % are needed" in text


def test_a_comparison_leaves_the_reports_of_its_experiments_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiments = two_experiments(tmp_path, {}, {})
    own = write_report(experiments[:1], maps=False)
    content = own.html.read_bytes()
    assert own.html == tmp_path / "before" / "report" / "report.html"

    said = CliRunner().invoke(report, ["--no-maps", "before", "after"])

    assert re.fullmatch(r"results/reports/\d{8}-\d{6}-before-after/report\.html\n", said.stdout)
    assert (tmp_path / said.stdout.strip()).is_file()
    assert own.html.read_bytes() == content
    assert not (tmp_path / "after" / "report").exists()


def test_the_name_of_a_comparison_of_many_experiments_stays_short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trials = [TrialRecipe("corridor", "sensor", "orbslam3")]
    experiments = [build_experiment(tmp_path / name, trials) for name in "abcd"]
    assert write_report(experiments, maps=False).html.parent.name.endswith("-a-b-and-2-more")


def test_experiments_with_different_trials_share_the_backend_s_column(tmp_path):
    experiments = [
        build_experiment(tmp_path / name, [TrialRecipe(name, "sensor", "orbslam3")])
        for name in ("corridor", "office-loop")
    ]
    text = write_report(experiments, tmp_path / "out", maps=False).markdown.read_text()
    names = [row[0] for row in rows_of(text, "| sequence | perception | orbslam3 [cm] | cov. [%] |")]
    assert names == ["corridor", "office-loop", "mean of medians"]


def test_a_missing_trajectory_is_reported_and_the_rest_is_complete(tmp_path):
    experiment = build_experiment(
        tmp_path / "runs", [TrialRecipe("corridor", "sensor", name) for name in ("a", "b")]
    )
    gone = next(experiment.path.glob(f"trials/corridor/sensor/a/run-0/{TRAJECTORY_FILE}"))
    gone.unlink()
    files = write_report([experiment], maps=False)
    problem = next(each for each in files.problems if "corridor / sensor / a / run 0" in each)
    assert str(gone) in problem
    assert problem in files.html.read_text()
    assert len(files.figures) == 2


def test_a_record_of_a_newer_version_is_refused_by_name(tmp_path):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    file = next(experiment.path.glob(f"trials/*/*/*/*/{RECORD_FILE}"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": 99}))
    with pytest.raises(ResultsError, match="schema_version") as refusal:
        write_report([experiment], maps=False)
    assert str(file) in str(refusal.value)


def test_an_experiment_in_which_nothing_has_ended_is_refused(tmp_path):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    next(experiment.path.glob(f"trials/*/*/*/*/{RECORD_FILE}")).unlink()
    with pytest.raises(ResultsError, match=r"no trial in .* has ended yet"):
        write_report([experiment], maps=False)


def test_the_same_experiment_twice_is_refused(tmp_path):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    with pytest.raises(ResultsError, match="given twice"):
        write_report([experiment, experiment], maps=False)


def test_names_cannot_break_markup(tmp_path):
    reason = "bad | option <b>x</b> & 50 % of $HOME_DIR"
    files = report_of(tmp_path, TrialRecipe("corridor", "sensor", "a_b", ends=(Status.FAILED, reason)))
    (row,) = rows_of(files.markdown.read_text(), "| sequence | perception | backend | run")
    assert row[-1] == r"bad \| option \<b\>x\</b\> & 50 % of $HOME\_DIR"
    assert "bad | option &lt;b&gt;x&lt;/b&gt; &amp; 50 %" in files.html.read_text()
    states = next(path for path in files.tables if path.name == "states.tex")
    assert r"a\_b & 0" in states.read_text()
