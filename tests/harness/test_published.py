"""Published figures: those of the project are whole and add up, and a wrong file is refused by line."""

from decimal import Decimal
from pathlib import Path

import pytest

from harness.errors import ConfigurationError, ResultsError
from harness.published import PublishedFigure, load_published
from harness.record import Alignment

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
COLUMNS = list(PublishedFigure.model_fields)

ERROR_ROW = {
    "metric": "ate_rmse",
    "unit": "cm",
    "kind": "per_sequence",
    "method": "ours",
    "input": "rgbd",
    "sequence": "corridor",
    "value": "1.50",
    "alignment": "se3",
    "ground_truth_is_input": "false",
    "paper": "a report",
    "where": "Table 1",
}
FRAMES_ROW = {
    "metric": "frames",
    "unit": "frames",
    "kind": "per_sequence",
    "sequence": "corridor",
    "value": "160",
    "paper": "a report",
    "where": "unknown",
}
NETWORK_ROW = {
    "metric": "miou",
    "unit": "%",
    "kind": "overall",
    "method": "ours",
    "value": "60.0",
    "paper": "a report",
    "where": "Table 2",
}


def write_csv(path, *rows):
    lines = [",".join(COLUMNS), *(",".join(row.get(name, "") for name in COLUMNS) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def load(tmp_path, *rows):
    return load_published(str(write_csv(tmp_path / "lab.csv", *rows)), tmp_path)


def scannet():
    return load_published("scannet", PUBLISHED)


def test_every_table_of_the_project_is_read_by_its_name():
    names = sorted(path.stem for path in PUBLISHED.glob("*.csv"))
    assert names == ["ablation_nyudv2", "model_cost", "nyudv2", "scannet"]
    assert [len(load_published(name, PUBLISHED).figures) for name in names] == [16, 16, 22, 90]


def test_the_scannet_table_has_eight_scenes_with_their_frames():
    table = scannet()
    assert table.frames == {
        "scene0000_00": 5578,
        "scene0054_00": 6629,
        "scene0233_00": 7643,
        "scene0465_00": 6306,
        "scene0059_00": 1807,
        "scene0106_00": 2324,
        "scene0169_00": 2034,
        "scene0181_00": 2349,
    }
    assert table.sequences == tuple(table.frames)


def test_all_rows_but_one_have_the_mean_that_their_paper_prints():
    table = scannet()
    differing = {
        (method.name, method.input): (round(method.mean_cm(table.sequences), 2), method.printed_mean_cm)
        for method in table.methods
        if method.mean_is_printed_otherwise(table.sequences)
    }
    assert differing == {("GO-SLAM", "mono"): (Decimal("17.14"), Decimal("17.59"))}
    recomputed = [each for each in table.methods if each.mean_cm(table.sequences) is not None]
    assert len(recomputed) == 9
    assert all(each.printed_mean_cm is not None for each in table.methods)


def test_alignments_are_stated_as_far_as_they_are_known():
    alignments = {(method.name, method.input): method.alignment for method in scannet().methods}
    known = {key: alignment for key, alignment in alignments.items() if alignment}
    assert known == {
        ("iMAP", "rgbd"): Alignment.SE3,
        ("NICE-SLAM", "rgbd"): Alignment.SE3,
        ("GO-SLAM", "rgbd"): Alignment.SIM3,
        ("GO-SLAM", "mono"): Alignment.SIM3,
    }
    assert len(alignments) == 10


def test_the_row_that_takes_ground_truth_as_input_says_so_and_has_a_mean_only():
    table = scannet()
    (given,) = [method for method in table.methods if method.ground_truth_is_input]
    assert given.name == "Mono-Hydra + M2H-MX"
    assert given.ate_cm == {}
    assert (given.mean_cm(table.sequences), given.printed_mean_cm) == (None, Decimal("6.91"))


def test_every_figure_says_which_paper_prints_it():
    names = (path.stem for path in PUBLISHED.glob("*.csv"))
    figures = [figure for name in names for figure in load_published(name, PUBLISHED).figures]
    assert {figure.source for figure in figures if figure.metric != "frames"} == {
        "GO-SLAM, arXiv 2309.02436, Table 3",
        "M2H, arXiv 2510.17363",
        "M2H-MX, arXiv 2603.29236, Table I",
        "M2H-MX, arXiv 2603.29236, Table III",
        "M2H-MX, arXiv 2603.29236, Table IV",
        "M2H-MX, arXiv 2603.29236, Table V",
    }


def test_tables_agree_on_the_network_that_stands_in_two_of_them():
    of_l = [
        {
            figure.metric: figure.value
            for figure in load_published(name, PUBLISHED).figures
            if figure.method == "M2H-MX-L"
        }
        for name in ("nyudv2", "ablation_nyudv2")
    ]
    assert of_l[0] == of_l[1] == {"miou": Decimal("65.60"), "depth_rmse": Decimal("0.3800")}


def test_figures_of_one_s_own_are_read_by_their_path_and_keep_their_digits(tmp_path):
    table = load(tmp_path, ERROR_ROW, FRAMES_ROW)
    (method,) = table.methods
    assert table.name == "lab"
    assert f"{method.ate_cm['corridor']:f}" == "1.50"
    assert table.frames == {"corridor": 160}


def test_a_mean_is_recomputed_only_from_a_figure_of_every_sequence(tmp_path):
    table = load(
        tmp_path,
        ERROR_ROW,
        ERROR_ROW | {"sequence": "office", "value": "2.50"},
        ERROR_ROW | {"method": "theirs"},
    )
    assert [method.mean_cm(table.sequences) for method in table.methods] == [Decimal(2), None]


@pytest.mark.parametrize(
    ("printed", "differs"),
    [("2.00", False), ("2.01", True), ("2", False), ("2.0", False), ("2.1", True), ("1.995", False)],
)
def test_a_printed_mean_may_be_off_by_half_of_its_last_digit(tmp_path, printed, differs):
    # The mean of the figures is 1.995.
    rows = [
        ERROR_ROW | {"value": "1.99"},
        ERROR_ROW | {"sequence": "office", "value": "2.00"},
        ERROR_ROW | {"kind": "mean_printed", "sequence": "", "value": printed},
    ]
    table = load(tmp_path, *rows)
    (method,) = table.methods
    assert method.mean_is_printed_otherwise(table.sequences) is differs


def test_a_method_that_stands_there_by_two_alignments_has_two_rows(tmp_path):
    table = load(tmp_path, ERROR_ROW, ERROR_ROW | {"alignment": "sim3", "value": "1.20"})
    assert [method.alignment for method in table.methods] == [Alignment.SE3, Alignment.SIM3]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (ERROR_ROW | {"value": "n/a"}, "value"),
        (ERROR_ROW | {"value": "NaN"}, "value"),
        (ERROR_ROW | {"value": "-1"}, "value"),
        (ERROR_ROW | {"unit": "m"}, "the unit of ate_rmse is cm, not 'm'"),
        (ERROR_ROW | {"alignment": "SE(3)"}, "alignment"),
        (ERROR_ROW | {"alignment": ""}, "perhaps 'unknown'"),
        (ERROR_ROW | {"ground_truth_is_input": "no"}, "ground_truth_is_input"),
        (ERROR_ROW | {"sequence": ""}, "a sequence is named where kind is per_sequence"),
        (ERROR_ROW | {"kind": "mean_printed"}, "a sequence is named where kind is per_sequence"),
        (ERROR_ROW | {"kind": "overall", "sequence": ""}, "kind overall does not go with ate_rmse"),
        (ERROR_ROW | {"method": ""}, "the method is missing"),
        (ERROR_ROW | {"paper": ""}, "paper"),
        (ERROR_ROW | {"arxiv": "https://arxiv"}, "arxiv"),
        (FRAMES_ROW | {"value": "12.5"}, "frames are a whole number"),
        (FRAMES_ROW | {"method": "ours"}, "frames are a whole number"),
        (NETWORK_ROW | {"alignment": "se3"}, "leave them empty"),
        (NETWORK_ROW | {"kind": "per_sequence", "sequence": "corridor"}, "does not go with miou"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, complaint):
    with pytest.raises(ResultsError, match=r"lab\.csv, line 3 ") as refusal:
        load(tmp_path, ERROR_ROW | {"sequence": "office"}, row)
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_row_of_another_length_is_named_by_file_and_line(tmp_path):
    path = write_csv(tmp_path / "lab.csv", ERROR_ROW)
    path.write_text(path.read_text() + "ate_rmse,cm\n")
    with pytest.raises(ResultsError, match=rf"lab\.csv, line 3 has 2 columns, expected {len(COLUMNS)}"):
        load_published(str(path), tmp_path)


def test_the_same_figure_twice_is_refused_with_both_lines(tmp_path):
    with pytest.raises(ResultsError, match=r"line 4 says again what line 2 says"):
        load(tmp_path, ERROR_ROW, ERROR_ROW | {"sequence": "office"}, ERROR_ROW | {"value": "9"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "line 1 must name the columns metric,unit,"),
        (b"method,value\nours,1\n", "line 1 must name the columns metric,unit,"),
        (",".join(COLUMNS).encode() + b"\n", "holds no figures"),
        (",".join(COLUMNS).encode() + b'\n"ate_rmse"x,cm\n', "line 2 is not CSV"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_of_figures_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "lab.csv"
    path.write_bytes(content)
    with pytest.raises(ResultsError) as refusal:
        load_published(str(path), tmp_path)
    assert str(path) in str(refusal.value)
    assert complaint in str(refusal.value)


def test_an_unknown_name_is_refused_with_the_tables_there_are():
    with pytest.raises(ConfigurationError) as refusal:
        load_published("scanet", PUBLISHED)
    assert "Did you mean 'scannet'?" in str(refusal.value)
    assert "ablation_nyudv2, model_cost, nyudv2, scannet" in str(refusal.value)
    assert str(PUBLISHED) in str(refusal.value)
