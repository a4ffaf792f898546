"""A check's verdicts as Markdown for people and JUnit XML for CI systems."""

import io

import numpy as np
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from adapters.printable import printable
from harness.baseline import GroupFigures
from harness.check import PASSING, CheckResult, GroupVerdict, Verdict
from harness.statistics import SIGNIFICANCE_LEVEL

NOTHING_COMPARED = "nothing was compared: the experiment and the baseline have no scored group in common"

# A failure is a result that is wrong, an error a result that is not there.
_JUNIT_RESULTS = {
    Verdict.WORSE: Failure,
    Verdict.INCONCLUSIVE: Failure,
    Verdict.FAILED: Error,
    Verdict.MISSING: Error,
    Verdict.NEW: Skipped,
}


def headline(result: CheckResult) -> str:
    """The outcome in one sentence."""
    if not result.compared:
        return f"Check against baseline '{result.baseline}' failed: {NOTHING_COMPARED}."
    counts = {verdict: sum(group.verdict is verdict for group in result.groups) for verdict in Verdict}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"Check against baseline '{result.baseline}' {'passed' if result.passed else 'failed'}: {summary}."


def to_markdown(result: CheckResult) -> str:
    """A summary for a pull request or a CI page: the outcome, then a table, worst first."""
    lines = [
        f"## {headline(result)}",
        "",
        f"Worse means: median ATE above {result.limits.factor:g} times the baseline's, or median coverage "
        f"more than {100 * result.limits.coverage_drop:g} points below it, and significant over the runs "
        f"(Mann-Whitney U, one-sided, {100 * SIGNIFICANCE_LEVEL:g} %).",
        "",
        "| verdict | sequence | perception | backend | ATE, cm | baseline | coverage, % | baseline | why |",
        "|---|---|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [_markdown_row(group) for group in result.groups]
    return "\n".join(lines) + "\n"


def to_junit_xml(result: CheckResult) -> str:
    """A test report with one case per group.

    ``worse`` and ``inconclusive`` are failures, ``failed`` and ``missing`` errors, ``new`` is skipped, since
    there is nothing to test it against; ``ok`` and ``better`` pass. A check that compared nothing has a
    failing case of its own.
    """
    suite = TestSuite(f"harness check against {result.baseline}")
    for group in result.groups:
        case = TestCase(f"{group.perception} / {group.backend}", classname=f"check.{group.sequence}")
        if kind := _JUNIT_RESULTS.get(group.verdict):
            case.result = [kind(message=printable(group.explanation), type_=group.verdict.value)]
        else:
            case.system_out = f"{group.verdict}: {printable(group.explanation)}"
        suite.add_testcase(case)
    if not result.compared:
        case = TestCase("anything compared", classname="check")
        case.result = [Failure(message=NOTHING_COMPARED, type_="nothing-compared")]
        suite.add_testcase(case)
    report = JUnitXml()
    report.add_testsuite(suite)
    text = io.BytesIO()
    report.write(text, pretty=True)
    return text.getvalue().decode()


def _markdown_row(group: GroupVerdict) -> str:
    verdict = group.verdict.value if group.verdict in PASSING else f"**{group.verdict.value}**"
    cells = [
        verdict,
        group.sequence,
        group.perception,
        group.backend,
        _median_ate_cm(group.now),
        _median_ate_cm(group.then),
        _median_coverage(group.now),
        _median_coverage(group.then),
        group.explanation,
    ]
    # A bar or a line break in a reason would end the cell.
    one_line = (" ".join(printable(cell).split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(one_line)} |"


def _median_ate_cm(figures: GroupFigures | None) -> str:
    return f"{100 * np.median(figures.ate_rmse_m):.2f}" if figures and figures.ate_rmse_m else "–"


def _median_coverage(figures: GroupFigures | None) -> str:
    return f"{100 * np.median(figures.coverage):.1f}" if figures and figures.coverage else "–"
