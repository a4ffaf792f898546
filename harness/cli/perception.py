"""``harness perception``: which modules there are, what a network costs, and its weights in and out."""

import inspect
import json
import re
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from harness.cli.console import ERRORS, OUTPUT, say
from harness.cli.perception_eval import eval_command
from harness.cli.perception_train import train
from harness.cli.progress import StepProgress
from harness.errors import ConfigurationError
from perception.choice import parse_choice
from perception.inference.canonical_camera import USUAL_FIELD_OF_VIEW_DEG
from perception.module import PERCEPTION_MODULES

_FILE = click.Path(path_type=Path)


@click.group()
def perception() -> None:
    """Perception modules: what turns a frame into depth and semantics."""


perception.add_command(train)
perception.add_command(eval_command)


@perception.command("ls")
def list_modules() -> None:
    """List the modules that are installed, and the presets of networks."""
    from perception.m2hmx import preset_names
    from sequences.errors import SequenceError

    table = Table("module", "what it does", box=None, pad_edge=False)
    for name in PERCEPTION_MODULES.names():
        try:
            summary = inspect.getdoc(PERCEPTION_MODULES.load(name)) or ""
        except SequenceError as error:
            summary = f"cannot be used here: {error}"
        table.add_row(name, escape(summary.partition("\n")[0]))
    OUTPUT.print(table)
    OUTPUT.print(f"\npresets of the network m2hmx: {', '.join(preset_names())}", highlight=False)


@perception.command()
@click.argument("name")
@click.option("--size", metavar="HxW", help="Image size for which operations are counted (default 384x512).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def describe(name: str, size: str | None, as_json: bool) -> None:
    """Print parameters and multiply-accumulates of NAME: a preset, a YAML file or a file of weights."""
    from perception.m2hmx.description import PAPERS_IMAGE_SIZE, describe_network, plain_cost
    from perception.m2hmx.weights import read_config, read_info

    is_weights = Path(name).suffix == ".safetensors"
    config = read_info(Path(name))[1] if is_weights else read_config(name)
    cost = describe_network(config, _parse_image_size(size) if size else PAPERS_IMAGE_SIZE)
    if as_json:
        configuration = config.model_dump(mode="json")
        say(OUTPUT, json.dumps({"name": name, "configuration": configuration} | plain_cost(cost), indent=2))
        return
    table = Table("part", "parameters", "trainable", "GMACs", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for part in cost.parts:
        table.add_row(part.name, f"{part.parameters:,}", f"{part.trainable:,}", f"{part.macs / 1e9:.2f}")
    table.add_row("in all", f"{cost.parameters:,}", f"{cost.trainable:,}", f"{cost.macs / 1e9:.2f}")
    OUTPUT.print(table)
    height, width = cost.image_size
    say(OUTPUT, f"\nmultiply-accumulates for one image of {height}x{width} pixels:")
    say(
        OUTPUT,
        f"  {cost.macs / 1e9:8.2f} G counting all products: convolutions, linear layers, attention "
        f"({cost.attention_macs / 1e9:.2f} G) and 4.5 for every cell of a selective scan "
        f"({cost.scan_macs / 1e9:.2f} G)",
    )
    say(
        OUTPUT,
        f'  {cost.macs_by_papers_rule / 1e9:8.2f} G by the rule of the paper\'s "GFLOPs": as fvcore counts, '
        "no products of attention, of Mamba only the first projection; norms at 5 a value, resizing at 4",
    )


@perception.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--module", required=True, metavar="NAME[:FILE]", help="As for 'harness run --perception'.")
@click.option("--output", required=True, type=_FILE, help="Directory for what is predicted.")
@click.option(
    "--field-of-view",
    type=click.FloatRange(1, 179),
    default=USUAL_FIELD_OF_VIEW_DEG,
    show_default=True,
    metavar="DEGREES",
    help="Of the camera, horizontally; some networks need it to tell how far away things are.",
)
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of the module.")
def predict(
    images: tuple[Path, ...], module: str, output: Path, field_of_view: float, settings: tuple[str, ...]
) -> None:
    """Predict IMAGES (files or directories): depth, labels and a picture to look at of each."""
    from harness.cli.module_options import module_options
    from harness.predict import predict_images

    options = module_options(settings)
    with StepProgress(ERRORS) as progress:
        pictures = predict_images(
            parse_choice(module, options), images, output, progress, field_of_view_deg=field_of_view
        )
    for picture in pictures:
        say(OUTPUT, str(picture))


@perception.command("import-weights")
@click.argument("checkpoint", type=_FILE)
@click.option("--config", required=True, metavar="PRESET", help="A preset, or a YAML file like one.")
@click.option("--output", type=_FILE, help="Default: CHECKPOINT with the ending .m2hmx.safetensors.")
@click.option("--merge-lora", is_flag=True, help="Merge adapters into the layers they adapt.")
def import_weights_command(checkpoint: Path, config: str, output: Path | None, merge_lora: bool) -> None:
    """Turn a CHECKPOINT of the authors' code into a file of weights for module m2hmx.

    What does not fit exactly is refused, with the names of the tensors. No code in a pickle is run.
    """
    from perception.m2hmx.weights import import_weights

    target = output or checkpoint.with_suffix(".m2hmx.safetensors")
    imported = import_weights(checkpoint, config, target, "merge" if merge_lora else "keep")
    for name in imported.left_out:
        say(ERRORS, f"left out, nothing depends on it: {name}")
    say(ERRORS, f"digest of the tensors: {imported.info.digest}")
    say(OUTPUT, str(target))


@perception.command("init-weights")
@click.option("--config", required=True, metavar="PRESET", help="A preset, or a YAML file like one.")
@click.option("--output", required=True, type=_FILE, help="File of weights to write.")
@click.option("--seed", type=int, default=0, show_default=True, help="For what is random.")
def init_weights(config: str, output: Path, seed: int) -> None:
    """Write the weights that training starts from: the published DINOv3 backbone, all else random.

    The backbone is downloaded from the model hub, whose account of yours must have accepted its licence.
    """
    from perception.m2hmx.weights import initial_weights

    say(ERRORS, f"digest of the tensors: {initial_weights(config, output, seed).digest}")
    say(OUTPUT, str(output))


@perception.command()
@click.argument("weights", type=_FILE)
@click.option("--output", type=_FILE, help="Default: WEIGHTS with the ending .onnx.")
def export(weights: Path, output: Path | None) -> None:
    """Export a file of WEIGHTS to ONNX, checked with onnxruntime against PyTorch."""
    from perception.onnx_export import export_weights

    target = output or weights.with_suffix(".onnx")
    for name, difference in export_weights(weights, target).items():
        say(ERRORS, f"{name}: differs from PyTorch by at most {difference:.1e}")
    say(OUTPUT, str(target))


def _parse_image_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ConfigurationError(f"--size {text}: expected height x width, as in 480x640")
    return int(match[1]), int(match[2])
