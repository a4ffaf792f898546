"""Time and memory of the selective scan, against the plain loop and against layers of other packages.

``python benchmarks/selective_scan.py [--lengths 300 1200 4800 19200] [--repeats 5]``

The lengths are those of the four levels of a 480x640 image; 512 channels, 32 states, batch 1, float32.
Compared are ``perception.mamba.selective_scan`` with the recurrence written as a loop over the tokens, and
``perception.mamba.Mamba`` with ``MambaMixer`` of transformers (its path without CUDA) and ``MambaBlock`` of
mambapy (its parallel scan), which hold the same weights. Each measurement has a process of its own, whose
peak of resident memory less that before the first call is printed; times are the shortest of several.
Long backward passes of the others are not run, for their time and memory (see ``OTHERS``).
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from perception.mamba import Mamba, selective_scan

CHANNELS, STATES, D_MODEL = 512, 32, 256
OURS = {"scan": "selective_scan", "layer": "Mamba"}
# With the longest sequence that each is trained on here: the time of MambaMixer's backward pass grows with
# the square of the length (it indexes the tokens in a loop), the memory of all with the length.
OTHERS = {
    "scan": {"loop over tokens": 19200},
    "layer": {"transformers MambaMixer": 300, "mambapy MambaBlock": 4800},
}


@dataclass(frozen=True)
class Measurement:
    """Seconds, bytes and the largest difference from our outputs relative to their largest value."""

    forward: float
    forward_bytes: int
    both: float | None
    both_bytes: int | None
    difference: float


def loop_over_tokens(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:  # noqa: N803
    """The recurrence as the paper writes it. Tokens are unbound: indexed, the backward pass is quadratic."""
    state = x.new_zeros(x.shape[0], *A.shape)
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(*(tensor.unbind(1) for tensor in (x, dt, B, C)), strict=True):  # noqa: N806
        state = torch.exp(dt_t[:, :, None] * A) * state + (dt_t * x_t)[:, :, None] * B_t[:, None]
        outputs.append((state * C_t[:, None]).sum(-1))
    return torch.addcmul(torch.stack(outputs, 1), x, D)


def scan_inputs(length: int) -> list[Tensor]:
    """Inputs of a scan with steps and rates as a new layer has them."""
    x = torch.randn(1, length, CHANNELS)
    input_weights, output_weights = torch.randn(2, 1, length, STATES)
    steps = torch.empty(1, length, CHANNELS).uniform_(math.log(1e-3), math.log(1e-1)).exp()
    rates = -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1)
    return [x, steps, rates, input_weights, output_weights, torch.randn(CHANNELS)]


def transformers_layer() -> nn.Module:
    """The mixer of transformers."""
    from perception.backbones.timm_import import import_timm

    # transformers imports torchvision too, for which this has a remedy where it does not match torch.
    import_timm()
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    config = MambaConfig(hidden_size=D_MODEL, state_size=STATES, num_hidden_layers=1)
    return MambaMixer(config, layer_idx=0)


def mambapy_layer() -> nn.Module:
    """The block of mambapy."""
    from mambapy.mamba import MambaBlock, MambaConfig

    return MambaBlock(MambaConfig(d_model=D_MODEL, n_layers=1, d_state=STATES))


def candidate(name: str, ours: Mamba) -> Callable[..., Tensor]:
    """What a name stands for; layers with the weights of ours."""
    if name in OURS.values():
        return selective_scan if name == "selective_scan" else ours
    if name == "loop over tokens":
        return loop_over_tokens
    layer = transformers_layer() if name.startswith("transformers") else mambapy_layer()
    layer.load_state_dict(ours.state_dict())
    return layer


def measure(name: str, kind: str, length: int, backward: bool, repeats: int) -> Measurement:
    """Measure one candidate in this process."""
    torch.manual_seed(0)
    ours = Mamba(D_MODEL, STATES)
    run = candidate(name, ours)
    arguments = scan_inputs(length) if kind == "scan" else [torch.randn(1, length, D_MODEL)]

    def forward() -> Tensor:
        with torch.no_grad():
            return run(*arguments)

    def both() -> None:
        run(*(argument.detach().requires_grad_() for argument in arguments)).sum().backward()

    before = peak_bytes()
    seconds = shortest(forward, repeats)
    forward_bytes = peak_bytes() - before
    both_seconds = shortest(both, repeats) if backward else None
    both_bytes = peak_bytes() - before if backward else None
    with torch.no_grad():
        wanted = (selective_scan if kind == "scan" else ours)(*arguments)
    difference = ((forward() - wanted).abs().max() / wanted.abs().max()).item()
    return Measurement(seconds, forward_bytes, both_seconds, both_bytes, difference)


def shortest(call: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several calls, the first of which does not count."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured_apart(name: str, kind: str, length: int, backward: bool, repeats: int) -> Measurement | str:
    """Measure in a process of its own; the last line of its error if it fails."""
    command = [
        sys.executable,
        str(Path(__file__)),
        "--measure",
        json.dumps([name, kind, length, backward, repeats]),
    ]
    outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode:
        return (outcome.stderr.strip().splitlines() or [f"exit code {outcome.returncode}"])[-1]
    return Measurement(**json.loads(outcome.stdout.splitlines()[-1]))


def line(name: str, result: Measurement, ours: Measurement) -> str:
    """One row of the table."""

    def columns(seconds: float | None, size: int | None, against: float | None) -> str:
        if seconds is None or size is None or against is None:
            return f"{'not run':>30}"
        return f"{seconds * 1e3:9.1f} ms {seconds / against:6.2f}x {size / 2**20:6.0f} MiB"

    return (
        f"  {name:24}{columns(result.forward, result.forward_bytes, ours.forward)}   "
        f"{columns(result.both, result.both_bytes, ours.both)}   {result.difference:8.0e}"
    )


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[300, 1200, 4800, 19200])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(asdict(measure(*json.loads(arguments.measure)))))
        return

    print(f"{CHANNELS} channels, {STATES} states, batch 1, float32, {torch.get_num_threads()} threads")
    print(f"  {'':24}{'forward, ratio to ours, memory':>30}   {'forward and backward':>30}   difference")
    for kind, name in OURS.items():
        for length in arguments.lengths:
            print(f"{kind}, {length} tokens")
            ours = measured_apart(name, kind, length, True, arguments.repeats)
            if isinstance(ours, str):
                sys.exit(f"{name}: {ours}")
            print(line(f"ours: {name}", ours, ours), flush=True)
            for other, longest in OTHERS[kind].items():
                backward = length <= longest
                result = measured_apart(other, kind, length, backward, arguments.repeats)
                text = f"  {other}: {result}" if isinstance(result, str) else line(other, result, ours)
                print(text, flush=True)


if __name__ == "__main__":
    main()
