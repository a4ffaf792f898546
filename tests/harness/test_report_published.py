"""Published figures in a report: like beside like, nothing ranked, nothing averaged that is not complete."""

import os
from pathlib import Path

import experiments
import pandas as pd
import pytest
from click.testing import CliRunner
from experiments import TrialRecipe, build_experiment, corridor
from sample_records import record
from test_published import ERROR_ROW, FRAMES_ROW, write_csv

from harness.cli.report import report
from harness.errors import ConfigurationError
from harness.published import load_published
from harness.record import Alignment, Status
from harness.report import write_report
from harness.report.comparison import Comparison, Contender, Group, Trial
from harness.report.published_table import make_published_section, published_table

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "report" / "published_scannet.md"

SCANNET = load_published("scannet", ROOT / "results" / "published")


def scannet_record(scene, run=0, ate=0.05, *, perception="sensor", backend="orbslam3", **fields):
    """A record of one scene; the sensor's depth is read by perception ``sensor`` alone."""
    fields = {"frames": SCANNET.frames.get(scene, 100)} | fields
    made = record(run, ate, group=(scene, perception, backend), **fields)
    return made.model_copy(
        update={"perception": {"name": perception, "reads_sensor": perception == "sensor"}}
    )


def all_scenes(**fields):
    return [scannet_record(scene, **fields) for scene in SCANNET.sequences]


def compared(*records):
    members = {}
    for each in records:
        members.setdefault(each.key.group(), []).append(Trial("runs", Path("nowhere"), each))
    groups = tuple(
        Group(sequence, perception, Contender(backend), tuple(trials))
        for (sequence, perception, backend), trials in members.items()
    )
    return Comparison((), tuple(trial for group in groups for trial in group.trials), groups)


def table_of(*records, published=SCANNET):
    return published_table(compared(*records), published)


def rows_of(table):
    """Cells as text, by method, input and alignment."""
    return {
        tuple(cell.text for cell in (row[0], row[2], row[3])): dict(
            zip(table.columns[4:], (cell.plain for cell in row[4:]), strict=True)
        )
        for row in table.rows
    }


def ours(table):
    return {key: cells for key, cells in rows_of(table).items() if ", perception " in key[0]}


def test_published_rows_stand_by_input_and_alignment_with_their_figures_as_printed():
    table = table_of(*all_scenes(alignment=Alignment.SIM3, perception="none"))
    rows = rows_of(table)
    assert [key for key in rows if ", perception " not in key[0]] == [
        ("iMAP", "RGB-D", "SE(3)"),
        ("NICE-SLAM", "RGB-D", "SE(3)"),
        ("GO-SLAM", "RGB-D", "Sim(3)"),
        ("DROID-SLAM (VO)", "RGB-D", "not known"),
        ("DROID-SLAM", "RGB-D", "not known"),
        ("GO-SLAM", "monocular", "Sim(3)"),
        ("ORB-SLAM3", "monocular", "not known"),
        ("DROID-SLAM (VO)", "monocular", "not known"),
        ("DROID-SLAM", "monocular", "not known"),
        ("Mono-Hydra + M2H-MX", "monocular", "not known"),
    ]
    assert rows["iMAP", "RGB-D", "SE(3)"]["scene0106_00"] == "17.50"
    assert table.columns[4:] == (*SCANNET.sequences, "mean")


def test_the_printed_mean_stands_beside_the_one_it_differs_from_and_nowhere_else():
    rows = rows_of(table_of(*all_scenes()))
    beside = {key: cells["mean"] for key, cells in rows.items() if "prints" in cells["mean"]}
    assert beside == {("GO-SLAM", "monocular", "Sim(3)"): "17.14 (the paper prints 17.59)"}
    assert rows["NICE-SLAM", "RGB-D", "SE(3)"]["mean"] == "13.05"


def test_a_published_row_with_ground_truth_as_input_is_marked_and_has_what_is_printed():
    table = table_of(*all_scenes())
    row = rows_of(table)["Mono-Hydra + M2H-MX", "monocular", "not known"]
    assert row == dict.fromkeys(SCANNET.sequences, "–") | {"mean": "6.91† (as printed)"}
    assert [mark for mark, _ in table.footnotes] == ["†"]
    assert any(note.startswith("Mono-Hydra + M2H-MX (monocular): only the mean") for note in table.notes)


def test_our_row_stands_once_beside_each_alignment_of_its_input():
    table = table_of(*all_scenes(ate=0.05))
    label = "orbslam3, perception sensor"
    assert list(ours(table)) == [(label, "RGB-D", "SE(3)"), (label, "RGB-D", "Sim(3)")]
    # What the records hold for the other alignment is 9 m.
    means = [cells["mean"] for cells in ours(table).values()]
    assert means == ["5.00", "900.00"]
    names = [(row[0].text, row[1].text) for row in table.rows[:5]]
    assert names == [
        ("iMAP", "published"),
        ("NICE-SLAM", "published"),
        (label, "measured here"),
        ("GO-SLAM", "published"),
        (label, "measured here"),
    ]


def test_a_trajectory_without_scale_is_shown_by_sim3_alone():
    rows = ours(table_of(*all_scenes(perception="none", alignment=Alignment.SIM3)))
    assert list(rows) == [("orbslam3, perception none", "monocular", "Sim(3)")]


def test_predicted_depth_is_monocular_input_and_keeps_the_alignment_of_metric_depth():
    rows = ours(table_of(*all_scenes(perception="m2hmx", alignment=Alignment.SE3)))
    label = "orbslam3, perception m2hmx"
    assert list(rows) == [(label, "monocular", "SE(3)"), (label, "monocular", "Sim(3)")]


def test_depth_of_the_sensor_that_a_backend_is_not_fed_is_no_input():
    rows = ours(table_of(*all_scenes(perception="sensor", alignment=Alignment.SIM3)))
    assert list(rows) == [("orbslam3, perception sensor", "monocular", "Sim(3)")]


def test_our_cells_hold_median_spread_and_coverage():
    records = [scannet_record("scene0000_00", run, ate) for run, ate in enumerate((0.05, 0.06, 0.08))]
    (cells, _) = ours(table_of(*records)).values()
    assert cells["scene0000_00"] == "6.00 (5.00–8.00; coverage 100 %)"
    assert cells["scene0054_00"] == "–"


def test_a_partial_trial_is_shown_with_its_mark_and_keeps_the_mean_away():
    records = all_scenes()
    records[2] = scannet_record("scene0233_00", ate=0.01, coverage=0.4, status=Status.PARTIAL, reason="lost")
    (cells, _) = ours(table_of(*records)).values()
    assert cells["scene0233_00"] == "1.00‡ (coverage 40.0‡ %)"
    assert cells["mean"] == "–"


@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED])
def test_a_state_stands_in_place_of_a_figure_and_keeps_the_mean_away(status):
    records = all_scenes()
    records[0] = scannet_record("scene0000_00", status=status, reason="it is not here")
    (cells, _) = ours(table_of(*records)).values()
    assert cells["scene0000_00"] == status.value
    assert cells["mean"] == "–"


def test_one_failed_run_among_several_keeps_the_mean_away():
    records = [*all_scenes(), scannet_record("scene0000_00", 1, status=Status.FAILED, reason="it died")]
    (cells, _) = ours(table_of(*records)).values()
    assert cells["scene0000_00"] == "5.00 (1 of 2 runs; coverage 100 %)"
    assert cells["mean"] == "–"


def test_a_contender_that_never_started_has_one_row_without_input_and_alignment():
    records = [
        record(group=(scene, "sensor", "go-slam"), status=Status.SKIPPED, reason="no GPU").model_copy(
            update={"mode": None}
        )
        for scene in SCANNET.sequences
    ]
    table = table_of(*records)
    assert ours(table) == {
        ("go-slam, perception sensor", "–", "–"): dict.fromkeys(SCANNET.sequences, "skipped") | {"mean": "–"}
    }
    assert table.rows[-1][0].text == "go-slam, perception sensor"


def test_a_scene_that_is_missing_keeps_the_mean_away():
    assert {cells["mean"] for cells in ours(table_of(*all_scenes()[:-1])).values()} == {"–"}


def test_ours_is_marked_where_ground_truth_is_its_input():
    cells = next(iter(ours(table_of(*all_scenes(ground_truth_is_input=True))).values()))
    assert cells["scene0000_00"] == "5.00† (coverage 100 %)"
    assert cells["mean"] == "5.00†"


def test_another_number_of_frames_than_published_is_said_at_the_figure_and_below():
    table = table_of(*all_scenes()[1:], scannet_record("scene0000_00", frames=200))
    (cells, _) = ours(table).values()
    assert cells["scene0000_00"] == "5.00 (200 frames; coverage 100 %)"
    assert cells["scene0054_00"] == "5.00 (coverage 100 %)"
    assert cells["mean"] == "5.00 (other numbers of frames)"
    sentence = "Numbers of frames that are not the published ones: scene0000_00 200 here, 5578 published."
    assert sentence in table.notes


def test_the_published_number_of_frames_needs_no_word():
    assert not any("Numbers of frames" in note for note in table_of(*all_scenes()).notes)


def test_no_row_is_the_best_of_a_table_that_the_harness_did_not_run_whole():
    table = table_of(*all_scenes(ate=0.001), *all_scenes(ate=0.002, backend="rgbd-odometry"))
    assert not any(cell.best for row in table.rows for cell in row)
    assert "Published rows were not run by this harness" in table.caption


def test_a_report_without_any_of_the_sequences_shows_published_rows_and_says_so():
    table = table_of(record())
    assert ours(table) == {}
    assert len(table.rows) == 10
    assert any("no trial on any of these sequences" in note for note in table.notes)


def test_sources_are_named_with_the_rows_they_are_the_source_of():
    sources = [note for note in table_of(record()).notes if note.startswith("Source of")]
    assert sources == [
        "Source of iMAP, NICE-SLAM, DROID-SLAM (VO), DROID-SLAM, GO-SLAM, ORB-SLAM3: "
        "GO-SLAM, arXiv 2309.02436, Table 3.",
        "Source of Mono-Hydra + M2H-MX: M2H-MX, arXiv 2603.29236, Table IV.",
    ]


def test_a_row_of_which_nobody_knows_whether_ground_truth_was_an_input_is_named(tmp_path):
    path = write_csv(tmp_path / "lab.csv", ERROR_ROW | {"ground_truth_is_input": "unknown"})
    table = table_of(record(), published=load_published(str(path), tmp_path))
    assert "Whether ground truth was part of the input is not known of ours (RGB-D)." in table.notes
    assert table.footnotes == []


def test_figures_that_are_not_of_trajectories_are_refused():
    networks = load_published("nyudv2", ROOT / "results" / "published")
    with pytest.raises(ConfigurationError, match="'nyudv2' hold miou, depth_rmse and no ate_rmse"):
        table_of(record(), published=networks)


def test_the_frame_holds_the_same_figures_in_metres():
    section = make_published_section(compared(*all_scenes(ate=0.05)), SCANNET)
    ((name, frame),) = section.frames
    assert name == "published_scannet.csv"
    means = frame.query("method == 'GO-SLAM' and input == 'mono' and kind != 'per_sequence'")
    assert means["kind"].tolist() == ["mean_recomputed", "mean_printed"]
    assert means["ate_m"].tolist() == pytest.approx([0.171375, 0.1759])
    measured = frame.query("figures == 'measured' and alignment == 'se3'")
    assert measured["ate_m"].tolist() == pytest.approx([0.05] * 9)
    assert measured["kind"].tolist() == ["per_sequence"] * 8 + ["mean_recomputed"]
    published = frame.query("figures == 'published' and kind == 'per_sequence'")
    assert len(published) == 72
    assert published["frames"].tolist() == [*SCANNET.frames.values()] * 9


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Short trials under the names of the scenes: complete, partial, failed, skipped, missing, monocular."""
    trials = []
    for number, scene in enumerate(SCANNET.sequences):
        sensor = {"record": {"perception": {"name": "sensor", "reads_sensor": True}}}
        none = {"record": {"perception": {"name": "none", "reads_sensor": False}}}
        trials += [
            TrialRecipe(scene, "sensor", "orbslam3", noise=0.01 + 0.001 * number, **sensor),
            TrialRecipe(scene, "sensor", "rgbd-odometry", drift=0.1, **sensor),
            TrialRecipe(scene, "none", "orbslam3", noise=0.02, **none),
            TrialRecipe(scene, "sensor", "go-slam", ends=(Status.SKIPPED, "there is no GPU")),
        ]
    replaced = {
        (SCANNET.sequences[1], "sensor", "rgbd-odometry"): {"lost_after": 0.5},
        (SCANNET.sequences[3], "sensor", "rgbd-odometry"): {"ends": (Status.FAILED, "it died")},
    }
    trials = [
        TrialRecipe(**(vars(each) | replaced.get((each.sequence, each.perception, each.backend), {})))
        for each in trials
        if (each.sequence, each.perception) != (SCANNET.sequences[7], "none")
    ]
    with pytest.MonkeyPatch.context() as patch:
        for scene in SCANNET.sequences:
            patch.setitem(experiments.PATHS, scene, corridor)
        experiment = build_experiment(tmp_path_factory.mktemp("runs") / "first", trials)
        return write_report([experiment], maps=False, published=SCANNET)


def section_of(markdown):
    return markdown.split("## Published figures\n")[1].split("\n## ")[0]


def test_the_markdown_table_is_as_before(reported):
    text = section_of(reported.markdown.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_the_table_is_written_in_every_form(reported):
    written = {path.name: path for path in reported.tables}
    latex = written["published_scannet.tex"].read_text()
    assert r"scene0000\_00" in latex
    assert r"17.14 (the paper prints 17.59)" in latex
    assert r"\textbf" not in latex
    page = reported.html.read_text()
    assert '<section id="published">' in page
    assert '<a href="#published">' in page
    assert "<small>the paper prints 17.59</small>" in page
    assert len(pd.read_csv(written["published_scannet.csv"])) > 90


def test_a_report_that_nobody_asked_for_published_figures_has_none(tmp_path):
    files = write_report(
        [build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])], maps=False
    )
    assert "ublished" not in files.markdown.read_text() + files.html.read_text().split("</style>")[1]
    assert not [path for path in files.tables if path.name.startswith("published")]


def test_the_command_takes_the_name_of_a_table_of_the_project(tmp_path, monkeypatch):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])

    said = CliRunner().invoke(
        report, ["--no-maps", "--published", "scannet", str(experiment.path)], catch_exceptions=False
    )

    assert said.exit_code == 0
    assert "## Published figures" in (experiment.path / "report" / "report.md").read_text()


def test_the_command_takes_a_file_of_one_s_own(tmp_path, monkeypatch):
    experiment = build_experiment(tmp_path / "runs", [TrialRecipe("corridor", "sensor", "a")])
    write_csv(tmp_path / "our lab.csv", ERROR_ROW, FRAMES_ROW)
    monkeypatch.chdir(tmp_path)

    said = CliRunner().invoke(
        report, ["--no-maps", "--published", "our lab.csv", "runs"], catch_exceptions=False
    )

    assert said.exit_code == 0
    written = experiment.path / "report"
    text = section_of((written / "report.md").read_text())
    assert "| ours | published | RGB-D | SE(3) | 1.50 | 1.50 |" in text
    assert "| a, perception sensor | measured here |" in text
    assert (written / "tables" / "published_our_lab.tex").is_file()


def test_the_command_refuses_an_unknown_name_before_it_reads_any_trial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="Did you mean 'scannet'"):
        CliRunner().invoke(report, ["--published", "scanet", "no-such-experiment"], catch_exceptions=False)
