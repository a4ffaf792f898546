"""``harness backends``: which SLAM backends there are, and whether they keep to the protocol."""

import click
from rich.markup import escape
from rich.table import Table

from harness.backends import BACKENDS, choose_runtime, create_adapter, why_not_here
from harness.cli.console import OUTPUT
from harness.configuration import RuntimeChoice
from harness.conformance import CheckState, run_suite
from harness.environment import cache_directory
from harness.errors import ConfigurationError
from sequences.errors import SequenceError

_COLOURS = {CheckState.PASSED: "green", CheckState.FAILED: "red", CheckState.NOT_APPLICABLE: "dim"}


@click.group()
def backends() -> None:
    """SLAM systems behind the protocol."""


@backends.command("ls")
def list_backends() -> None:
    """List the backends, what they can do and whether they can run here."""
    table = Table("backend", "version", "modes", "deterministic", "runs here", box=None, pad_edge=False)
    for name in BACKENDS.names():
        try:
            adapter = create_adapter(name)
        except (SequenceError, ConfigurationError) as error:
            table.add_row(name, "", "", "", f"[red]no[/]: {escape(str(error))}")
            continue
        capabilities = adapter.capabilities()
        runtime, _ = choose_runtime(adapter, RuntimeChoice.AUTO)
        reason = why_not_here(adapter)
        table.add_row(
            name,
            escape(capabilities.version),
            ", ".join(mode.value for mode in capabilities.modes),
            "yes" if capabilities.deterministic else "no",
            f"[green]{runtime.name}[/]" if runtime and not reason else f"[red]no[/]: {escape(reason or '')}",
        )
    OUTPUT.print(table)


@backends.command("check")
@click.argument("name")
@click.option(
    "--runtime",
    type=click.Choice([choice.value for choice in RuntimeChoice]),
    default="auto",
    show_default=True,
)
def check_backend(name: str, runtime: str) -> None:
    """Run the conformance suite against backend NAME.

    Exit codes: 0 every check passed, 1 one failed, 2 the backend cannot run here.
    """
    adapter = create_adapter(name)
    chosen, _ = choose_runtime(adapter, RuntimeChoice(runtime))
    reason = why_not_here(adapter, RuntimeChoice(runtime))
    if chosen is None or reason:
        raise ConfigurationError(f"backend '{name}' cannot run here: {reason}")
    options = adapter.prepare({}, cache_directory())
    failed = 0
    for outcome in run_suite(adapter, chosen, options):
        failed += outcome.state is CheckState.FAILED
        state = f"[{_COLOURS[outcome.state]}]{outcome.state.value}[/]"
        detail = f": {escape(outcome.detail)}" if outcome.detail else ""
        OUTPUT.print(
            f"{state} {outcome.name} ({outcome.seconds:.1f} s){detail}", highlight=False, soft_wrap=True
        )
    raise SystemExit(1 if failed else 0)
