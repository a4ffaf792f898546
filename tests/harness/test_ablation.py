"""What an ablation compares, what it makes of the runs, and what it refuses."""

import csv
import json
from dataclasses import replace
from io import StringIO

import pytest
from experiments import TrialRecipe, build_experiment
from rich.console import Console
from slam_test_backends import CurveAdapter

from harness.ablation import AblationDirectory, plan_ablation, print_table, write_results
from harness.ablation.variants import Ablation, Variant
from harness.backends import BACKENDS
from harness.configuration import make_configuration
from harness.errors import ConfigurationError, ResultsError
from harness.planned import ExperimentPlan
from harness.record import Status

VARIANTS = ("odometry only", "+ loop closure", "+ mapping")
CONFIGURATION = make_configuration({"sequences": ["corridor"], "perception": ["sensor"]})


def runs(noises=(0.01, 0.012, 0.014), sequence="corridor", **changes):
    return [
        TrialRecipe(sequence, "sensor", "curve", run, noise=noise, **changes)
        for run, noise in enumerate(noises)
    ]


def failed(recipe):
    return replace(recipe, ends=(Status.FAILED, "the backend died"))


def results_of(path, *experiments):
    """The results of an ablation whose variants came to these trials."""
    variants = tuple(Variant(name=name, options={}) for name in VARIANTS[: len(experiments)])
    ablation = Ablation(backend="curve", configuration=CONFIGURATION, variants=variants)
    path.mkdir()
    (path / "variants.json").write_text(ablation.model_dump_json())
    for variant, trials in zip(variants, experiments, strict=True):
        build_experiment(path / variant.directory, trials)
    return write_results(AblationDirectory.open(path))


def numbers(path):
    return json.loads((path / "ablation.json").read_text())["rows"]


def column(results, heading):
    number = results.table.columns.index(heading)
    return [row[number].plain for row in results.table.rows]


def median_error(row):
    return row["ate_median_m"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ablation"


def test_every_variant_is_compared_with_the_one_before_it(path):
    results = results_of(path, runs((0.08, 0.09, 0.1)), runs((0.02, 0.03, 0.04)), runs((0.002, 0.003, 0.004)))
    assert column(results, "variant") == list(VARIANTS)
    assert column(results, "states") == ["3 ok"] * 3
    first, second, third = numbers(path)
    assert first["ate_factor"] is first["backend_ms_factor"] is None
    assert second["ate_factor"] == pytest.approx(median_error(second) / median_error(first))
    assert third["ate_factor"] == pytest.approx(median_error(third) / median_error(second))
    assert third["ate_min_m"] < third["ate_median_m"] < third["ate_max_m"] < second["ate_min_m"]
    assert third["backend_ms_factor"] == 1.0
    assert column(results, "ATE change") == ["–", *(f"×{row['ate_factor']:.2f}" for row in (second, third))]


def test_runs_that_are_not_ok_are_shown_and_compared_with_nothing(path):
    lost = runs()
    lost[1] = replace(lost[1], lost_after=0.5)
    died = runs()
    died[2] = failed(died[2])
    results = results_of(path, runs(), lost, died)
    assert column(results, "states") == ["3 ok", "2 ok, 1 partial", "2 ok, 1 failed"]
    assert column(results, "ATE change") == ["–", "–", "–"]
    assert [row["ate_factor"] for row in numbers(path)] == [None, None, None]
    assert [row["runs_failed"] for row in numbers(path)] == [0, 0, 1]
    partial = column(results, "ATE [cm]")[1]
    assert partial.count("‡") == 1, "the partial run stands beside the ok ones"
    kept = numbers(path)[1]
    assert kept["ate_max_m"] > kept["ate_min_m"], "of the two ok runs"


def test_without_an_ok_run_there_is_no_error(path):
    results = results_of(path, [failed(recipe) for recipe in runs()], runs())
    assert column(results, "ATE [cm]")[0] == "–"
    assert numbers(path)[0]["ate_median_m"] is None
    assert numbers(path)[1]["ate_factor"] is None


def test_a_change_that_runs_cannot_tell_from_chance_is_called_so(path):
    results = results_of(path, runs((0.01, 0.02, 0.03)), runs((0.011, 0.019, 0.031)))
    assert "may be chance" in column(results, "ATE change")[1]
    assert numbers(path)[1]["ate_factor_p"] > 0.05


def test_of_single_runs_nothing_is_said_about_chance(path):
    results = results_of(path, runs((0.01,)), runs((0.03,)))
    assert "chance" not in column(results, "ATE change")[1]
    assert numbers(path)[1]["ate_factor"] > 1


def test_unlike_conditions_are_not_compared(path):
    results = results_of(path, runs(), runs(frames=80))
    assert column(results, "ATE change") == ["–", "–"]


def test_several_sequences_have_a_mean_of_the_changes(path):
    both = [*runs((0.05, 0.06)), *runs((0.05, 0.06), "office-loop")]
    better = [*runs((0.01, 0.012)), *runs((0.02, 0.022), "office-loop")]
    died = [*runs((0.01, 0.012)), *map(failed, runs((0.02, 0.022), "office-loop"))]
    results = results_of(path, both, better, died)
    factors = [row["ate_factor"] for row in numbers(path) if row["variant"] == "+ loop closure"]
    assert column(results, "sequence")[-1] == "geometric mean"
    assert column(results, "sequence").count("geometric mean") == 1, "not of a variant that failed somewhere"
    assert column(results, "ATE change")[-1] == f"×{(factors[0] * factors[1]) ** 0.5:.2f}"


def test_the_same_figures_are_written_as_markdown_csv_and_json(path):
    results = results_of(path, runs(), runs())
    assert [file.name for file in results.files] == ["ablation.md", "ablation.csv", "ablation.json"]
    markdown = (path / "ablation.md").read_text()
    assert markdown.startswith("# Ablation of curve\n\n")
    _, rule, first, second = [line for line in markdown.splitlines() if line.startswith("|")]
    assert set(rule) == {"|", "-"}
    for line, ate in zip((first, second), column(results, "ATE [cm]"), strict=True):
        assert [cell.strip() for cell in line.split("|")][4] == ate
    with (path / "ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, figures in zip(rows, numbers(path), strict=True):
        assert float(row["ate_median_m"]) == figures["ate_median_m"]
        assert list(row) == list(figures)


def test_what_all_rows_share_stands_in_the_caption(path):
    table = results_of(path, runs()).table
    assert not {"perception", "alignment"} & set(table.columns)
    assert "perception: sensor" in table.caption
    assert "alignment: SE(3)" in table.caption


def test_no_line_of_the_printed_table_is_broken_where_there_is_no_terminal(path):
    results = results_of(path, runs(), runs())
    buffer = StringIO()
    print_table(results.table, Console(file=buffer, width=20))
    lines = buffer.getvalue().splitlines()
    assert sum(line.startswith("corridor") for line in lines) == 2
    assert all(ate in buffer.getvalue() for ate in column(results, "ATE [cm]"))


def refusal(backend, names=None, **values):
    configuration = make_configuration({"sequences": ["demo"], "perception": ["sensor"]} | values)
    with pytest.raises(ConfigurationError) as caught:
        plan_ablation(backend, configuration, names)
    return str(caught.value)


@pytest.fixture
def only_curve_declares_one(monkeypatch):
    monkeypatch.setattr(BACKENDS, "names", lambda: ["absent", "curve", "faulty", "witness"])
    for name in ("absent", "witness"):
        monkeypatch.setattr(BACKENDS.load(name), "ablation", {})


@pytest.mark.usefixtures("only_curve_declares_one")
def test_backends_without_an_ablation_are_refused_and_those_with_one_are_named():
    assert refusal("faulty") == "backend 'faulty' declares no ablation; those that do: curve"
    assert refusal("curvy") == (
        "unknown backend with an ablation 'curvy'. Did you mean 'curve'? There are: curve."
    )


def test_an_unknown_variant_is_refused_with_the_nearest():
    words = refusal("curve", ["+ loop closures"])
    assert "unknown variant of backend 'curve' '+ loop closures'. Did you mean '+ loop closure'?" in words


def test_options_that_cannot_be_are_refused_before_anything_runs(monkeypatch):
    assert "has no option noise" in refusal("curve", backend_options={"curve": {"noise": 1}})
    monkeypatch.setattr(CurveAdapter, "ablation", {"all": {}, "wrong": {"noise": 0}})
    assert "backend 'curve' has no option noise" in refusal("curve")


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"a/b": {}, "a b": {}}, "two variants whose directory would be the same: a_b, a_b"),
        ({"": {}}, "the ablation of backend 'curve' is not valid: name"),
        ({"a": {"noise_m": object()}}, "the ablation of backend 'curve' is not valid: options"),
        ({"a": None}, "the ablation of backend 'curve' is not valid: options"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(declared, complaint, monkeypatch):
    monkeypatch.setattr(CurveAdapter, "ablation", declared)
    assert complaint in refusal("curve")


def test_variants_are_taken_in_the_order_they_are_declared_in():
    ablation = plan_ablation("curve", CONFIGURATION, ["+ mapping", "odometry only"])
    assert [variant.name for variant in ablation.variants] == ["odometry only", "+ mapping"]


def test_options_of_a_variant_go_before_those_of_the_user():
    options = {"curve": {"noise_m": 7, "noise_seed": 3}}
    configuration = CONFIGURATION.model_copy(update={"backend_options": options})
    ablation = plan_ablation("curve", configuration, ["odometry only"])
    (variant,) = ablation.variants
    of_variant = ablation.configuration_of(variant)
    assert of_variant.backend_options == {"curve": {"noise_m": 0.05, "noise_seed": 3}}
    assert of_variant.backends == ("curve",)


def test_an_ablation_begins_only_once_and_not_when_a_plan_fails(path):
    ablation = plan_ablation("curve", CONFIGURATION)

    def fail(variant):
        if variant.name == "+ mapping":
            raise ConfigurationError("no")
        return ExperimentPlan(trials=())

    with pytest.raises(ConfigurationError):
        AblationDirectory.create(path, ablation, fail)
    assert not path.exists()
    AblationDirectory.create(path, ablation, lambda _: ExperimentPlan(trials=()))
    with pytest.raises(ResultsError, match="holds an ablation already; continue it with: harness ablate"):
        AblationDirectory.create(path, ablation, lambda _: ExperimentPlan(trials=()))


def test_what_is_no_ablation_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="is no directory of an ablation"):
        AblationDirectory.open(tmp_path)
    (tmp_path / "variants.json").write_text('{"backend": "curve"}')
    with pytest.raises(ResultsError, match=r"variants\.json is not valid: configuration: Field required"):
        AblationDirectory.open(tmp_path)
