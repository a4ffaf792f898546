"""``harness backends``: which SLAM backends there are, their images, whether they keep to the protocol."""

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from adapters.adapter import Adapter
from adapters.errors import AdapterError
from adapters.images.build import BuildSettings, build_image
from adapters.images.image import BackendImage, find_image
from adapters.runtimes.engine import EngineError
from harness.backends import BACKENDS, choose_runtime, create_adapter, lacking_hardware, why_not_here
from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.progress import progress_bars
from harness.configuration import RuntimeChoice
from harness.conformance import CheckState, run_suite
from harness.environment import cache_directory
from harness.errors import ConfigurationError
from sequences.errors import SequenceError

_COLOURS = {CheckState.PASSED: "green", CheckState.FAILED: "red", CheckState.NOT_APPLICABLE: "dim"}
_DIGEST_DIGITS = 12


@click.group()
def backends() -> None:
    """SLAM systems behind the protocol."""


@backends.command("ls")
def list_backends() -> None:
    """List the backends, what they can do, whether they can run here, and their images."""
    columns = ("backend", "version", "modes", "deterministic", "GPU", "runs as", "image", "size")
    table = Table(*columns, box=None, pad_edge=False)
    remarks: dict[str, str] = {}
    for name in BACKENDS.names():
        try:
            adapter = create_adapter(name)
        except (SequenceError, ConfigurationError) as error:
            table.add_row(name, "", "", "", "", "[red]no[/]")
            remarks[name] = str(error)
            continue
        capabilities = adapter.capabilities()
        runtime, _ = choose_runtime(adapter, RuntimeChoice.AUTO)
        reason = why_not_here(adapter)
        if reason:
            remarks[name] = reason
        image, size = _image_cells(adapter)
        table.add_row(
            name,
            escape(capabilities.version),
            ", ".join(mode.value for mode in capabilities.modes),
            "yes" if capabilities.deterministic else "no",
            str(adapter.needs.gpus) if adapter.needs.gpus else "no",
            f"[green]{runtime.name}[/]" if runtime and not reason else "[red]no[/]",
            image,
            size,
        )
    OUTPUT.print(table)
    for name, remark in remarks.items():
        OUTPUT.print(f"[bold]{name}[/]: {escape(remark)}", highlight=False, soft_wrap=True)


def _image_cells(adapter: Adapter) -> tuple[str, str]:
    """The image's digest and size, or that it has not been built of this code, or that there is none."""
    if adapter.image_folder is None:
        return "[dim]none[/]", ""
    try:
        image = find_image(adapter)
    except EngineError:
        return "[dim]no engine[/]", ""
    except AdapterError:
        return "[dim]not built[/]", ""
    return image.digest.removeprefix("sha256:")[:_DIGEST_DIGITS], f"{image.size_bytes / 1e9:.2f} GB"


@backends.command("build")
@click.argument("name")
@click.option("--base-image", metavar="IMAGE", help="Instead of the base that the Dockerfile pins.")
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of wheels for the image; pip then asks no index.",
)
@click.option("--network", metavar="MODE", help="For the steps of the build, as in docker build.")
@click.option("--no-cache", is_flag=True, help="Do every step again.")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
def build_backend(
    name: str,
    base_image: str | None,
    wheels: Path | None,
    network: str | None,
    no_cache: bool,
    arguments: tuple[str, ...],
) -> None:
    """Build the container image of backend NAME.

    Exit codes: 0 it is built, 2 it could not be. The log of the build is kept; where is said.
    """
    settings = BuildSettings(base_image, wheels, network, no_cache, dict(map(_build_argument, arguments)))
    adapter = create_adapter(name)
    log_file = cache_directory() / "image-builds" / f"{name}.log"
    image = _build(adapter, settings, log_file)
    say(ERRORS, f"log: {log_file}")
    say(OUTPUT, f"{image.reference} {image.digest} {image.size_bytes / 1e9:.2f} GB")


def _build(adapter: Adapter, settings: BuildSettings, log_file: Path) -> BackendImage:
    with progress_bars(ERRORS) as bars:
        task = bars.add_task("", total=None)

        def show(step: str, done: int, total: int) -> None:
            bars.update(task, description=escape(step[:60]), completed=done, total=total)
            if not ERRORS.is_terminal:
                say(ERRORS, f"[{done}/{total}] {step}")

        return build_image(adapter, settings, log_file, show)


def _build_argument(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ConfigurationError(f"--build-arg {text}: expected NAME=VALUE")
    return name, value


@backends.command("check")
@click.argument("name")
@click.option(
    "--runtime",
    type=click.Choice([choice.value for choice in RuntimeChoice]),
    default="auto",
    show_default=True,
)
@click.option("--image", help="A container image instead of the backend's own.")
def check_backend(name: str, runtime: str, image: str | None) -> None:
    """Run the conformance suite against backend NAME.

    Exit codes: 0 every check passed, 1 one failed, 2 the backend cannot run here.
    """
    if image and RuntimeChoice(runtime) is RuntimeChoice.PROCESS:
        raise ConfigurationError("an image is given, and --runtime process starts none: leave one out")
    adapter = create_adapter(name)
    chosen, reason = choose_runtime(adapter, RuntimeChoice(runtime), image)
    reason = lacking_hardware(adapter.needs) or reason
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
