"""Time and memory of a forward pass of M2H-MX: eager, compiled, bfloat16, ONNX, and with the dead branches.

``python benchmarks/network_inference.py [--preset m2hmx-nano] [--size 240x320] [--repeats 5] [WAY ...]``

Weights are random; time does not depend on them. Each way has a process of its own, so that its peak of
resident memory is its own, and is compared with ``eager``:

- ``eager``: PyTorch, float32, adapters merged, as module ``m2hmx`` runs it;
- ``adapters kept``: the same with LoRA adapters as layers of their own;
- ``compiled``: ``torch.compile`` with its defaults (needs a C++ compiler);
- ``bfloat16``: autocast to bfloat16;
- ``onnx``: the exported file in ONNX Runtime;
- ``dead branches``: eager, and what the released code calculates and throws away: ``pred_conv`` of the heads
  of depth, normals and edges, and the top-down fusion that ``fusion: official`` does not use.

Also printed is how the eager pass divides into backbone, feature adapter, decoder and heads, and the share of
the selective scan in the time of the decoder.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from perception.backbones.lora import merge_lora
from perception.m2hmx import load_preset
from perception.m2hmx.network import M2HMX
from perception.m2hmx.resize import resize, size_of

WAYS = ("eager", "adapters kept", "compiled", "bfloat16", "onnx", "dead branches")
_MEBIBYTE = 1024**2


def build(preset: str, merged: bool = True) -> M2HMX:
    """A network in eval mode with random weights, always the same."""
    torch.manual_seed(0)
    network = M2HMX(load_preset(preset)).eval()
    if merged and network.config.lora is not None:
        merge_lora(network.hfa_adapter.backbone)
    return network


def with_dead_branches(network: M2HMX) -> None:
    """Have a network also calculate what the released code calculates for nothing."""
    for name in ("depth_head", "normals_head", "edge_head"):
        head = getattr(network, name, None)
        if head is not None:
            head.refine_blocks[0].register_forward_hook(_calling(head.pred_conv))
    adapter = network.hfa_adapter
    if adapter.fusion == "official":
        adapter.backbone.register_forward_hook(lambda _module, _inputs, found: _fuse(adapter, found.taps))


def _calling(layer: nn.Module) -> Callable[..., None]:
    def call(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        layer(output)

    return call


def _fuse(adapter: nn.Module, taps: tuple[Tensor, ...]) -> None:
    current = adapter.projection_layers[-1](taps[-1])
    for projection, fusion, tap in zip(
        reversed(adapter.projection_layers[:-1]),
        reversed(adapter.fusion_layers[:-1]),
        reversed(taps[:-1]),
        strict=True,
    ):
        current = fusion(projection(tap) + resize(current, size_of(tap)))


@contextmanager
def forward_pass(way: str, preset: str, size: tuple[int, int]) -> Iterator[Callable[[], object]]:
    """What is timed."""
    image = torch.randn(1, 3, *size)
    if way == "onnx":
        with TemporaryDirectory() as directory:
            yield _onnx(preset, size, Path(directory) / "network.onnx")
        return
    network: Callable[[Tensor], object] = build(preset, merged=way != "adapters kept")
    if way == "dead branches":
        with_dead_branches(network)
    if way == "compiled":
        network = torch.compile(network)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "bfloat16"):
        yield lambda: network(image)


def _onnx(preset: str, size: tuple[int, int], path: Path) -> Callable[[], object]:
    """Exported in a process of its own, whose memory does not count here."""
    command = [sys.executable, __file__, "--preset", preset, "--size", f"{size[0]}x{size[1]}"]
    subprocess.run([*command, "--export", str(path)], check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = torch.randn(1, 3, *size).numpy()
    return lambda: session.run(None, {"image": image})


def export(preset: str, size: tuple[int, int], path: Path) -> None:
    """Write the ONNX file."""
    from perception.m2hmx.module import image_contract
    from perception.onnx_export import OUTPUTS, export_network
    from perception.weights import WeightsInfo

    network = build(preset)
    contract = image_contract(network.config).model_copy(update={"image_size": size})
    tasks = tuple(name for name in OUTPUTS if name in network.config.tasks)
    info = WeightsInfo(path, "m2hmx", {}, {}, digest="random")
    print(export_network(network, contract, tasks, info, path), file=sys.stderr)


def measure(way: str, preset: str, size: tuple[int, int], repeats: int) -> dict[str, float]:
    """Seconds of the first and of the shortest pass, and the peak of memory, MiB."""
    with forward_pass(way, preset, size) as run:
        started = time.perf_counter()
        run()
        first = time.perf_counter() - started
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEBIBYTE
    return {"first": first, "seconds": min(seconds), "peak": peak}


def divide(preset: str, size: tuple[int, int], repeats: int) -> dict[str, float]:
    """Seconds of the parts of an eager pass, the shortest of several."""
    network, image = build(preset), torch.randn(1, 3, *size)
    blocks = network.decoder.register_blocks or []
    watched = {
        "backbone": [network.hfa_adapter.backbone],
        "feature adapter and backbone": [network.hfa_adapter],
        "decoder": [network.decoder],
        "Mamba layers": [block.mamba for block in blocks],
    }
    spent: dict[str, float] = {}
    for name, modules in watched.items():
        for module in modules:
            _watch(module, name, spent)
    best: dict[str, float] = {}
    with torch.inference_mode():
        for _ in range(repeats + 1):
            spent.clear()
            started = time.perf_counter()
            network(image)
            now = {**spent, "whole": time.perf_counter() - started}
            best = {name: min(best.get(name, value), value) for name, value in now.items()}
    return best | {"scan": _scan_seconds(network, size, repeats)}


def _watch(module: nn.Module, name: str, spent: dict[str, float]) -> None:
    def before(_module: nn.Module, _inputs: object) -> None:
        spent[name] = spent.get(name, 0.0) - time.perf_counter()

    def after(_module: nn.Module, _inputs: object, _output: object) -> None:
        spent[name] += time.perf_counter()

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)


def _scan_seconds(network: M2HMX, size: tuple[int, int], repeats: int) -> float:
    """The selective scans of all levels by themselves."""
    from perception.mamba import selective_scan

    height, width = network.output_size(*size)
    total = 0.0
    for block, stride in zip(network.decoder.register_blocks or [], (32, 16, 8, 4), strict=True):
        length = (height // stride) * (width // stride)
        channels, states = block.mamba.A_log.shape
        x, dt = torch.randn(1, length, channels), torch.rand(1, length, channels) / 10
        weights, readout = torch.randn(2, 1, length, states)
        rates, skip = -block.mamba.A_log.exp(), block.mamba.D
        times = []
        with torch.inference_mode():
            for _ in range(repeats + 1):
                started = time.perf_counter()
                selective_scan(x, dt, rates, weights, readout, skip)
                times.append(time.perf_counter() - started)
        total += min(times)
    return total


def in_its_own_process(arguments: argparse.Namespace, way: str) -> dict[str, float] | None:
    """The figures of a way; None when it does not work here, which is said."""
    command = [sys.executable, __file__, "--preset", arguments.preset, "--size", arguments.size]
    command += ["--repeats", str(arguments.repeats), "--child", way]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        print(f"  {way:14s} does not work here, see above")
        return None
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure every way in turn and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", default=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--preset", default="m2hmx-nano")
    parser.add_argument("--size", default="240x320")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    if arguments.export:
        export(arguments.preset, (height, width), arguments.export)
        return
    if arguments.child == "parts":
        print(json.dumps(divide(arguments.preset, (height, width), arguments.repeats)))
        return
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.preset, (height, width), arguments.repeats)))
        return

    print(
        f"{arguments.preset} at {arguments.size}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    eager = None
    for way in arguments.ways:
        figures = in_its_own_process(arguments, way)
        if figures is None:
            continue
        eager = eager or (figures["seconds"] if way == "eager" else None)
        ratio = f"{figures['seconds'] / eager:6.2f} x eager" if eager else ""
        print(
            f"  {way:14s} {figures['seconds'] * 1e3:9.1f} ms a frame, first {figures['first']:7.2f} s, "
            f"peak {figures['peak']:6.0f} MiB {ratio}",
            flush=True,
        )
    parts = in_its_own_process(arguments, "parts")
    if parts is not None:
        rest = parts["whole"] - parts["feature adapter and backbone"] - parts["decoder"]
        adapter = parts["feature adapter and backbone"] - parts["backbone"]
        print(
            f"  parts of eager: backbone {parts['backbone'] * 1e3:.1f} ms, "
            f"feature adapter {adapter * 1e3:.1f} ms, "
            f"decoder {parts['decoder'] * 1e3:.1f} ms, heads {rest * 1e3:.1f} ms"
        )
        layers = parts.get("Mamba layers", 0.0)
        print(
            f"  of the decoder: Mamba layers {layers / parts['decoder']:.0%}, "
            f"selective scans by themselves {parts['scan'] / parts['decoder']:.0%}"
        )


if __name__ == "__main__":
    main()
