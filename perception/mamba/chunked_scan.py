"""The selective scan in plain PyTorch: chunk after chunk, all tokens of a chunk at once.

Inside a chunk the recurrence is a prefix sum under ``(a, s) * (a', s') = (a a', a' s + s')``, which the tree
of Brent and Kung (1982) runs in ``2 log2(tokens)`` steps and in place. Decays are only ever multiplied with
each other, never divided by, so that nothing can overflow. What fits no cache is never made: two blocks of
``BLOCK_VALUES`` forward, four backward. Kept for the backward pass are the inputs and the state before each
chunk; the rest is made again.

The rows of a block are tokens, each (states, channels): every step of the tree then works on long contiguous
rows. Decays are powers of two because ``exp2`` is several times as fast as ``exp`` on a CPU.
"""

# The letters A, B, C and D are the paper's.
# ruff: noqa: N803, N806

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Values of one block. Measured: smaller ones are lost in calls, larger ones in traffic with the memory.
BLOCK_VALUES = 1 << 20
SHORTEST_CHUNK, LONGEST_CHUNK = 16, 1024


def chunk_length(tokens: int, channels: int, states: int) -> int:
    """Tokens of a chunk: a power of two that fills a block, or all tokens if they are fewer."""
    fitting = max(BLOCK_VALUES // (channels * states), 1)
    power = 1 << (fitting.bit_length() - 1)
    return min(max(power, SHORTEST_CHUNK), LONGEST_CHUNK, tokens)


@torch.library.custom_op("slam_harness::chunked_scan", mutates_args=())
def chunked_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The scan without its skip connection.

    Args:
        x: Inputs (batch, L, channels), float32 or float64 like all others.
        dt: Step sizes (batch, L, channels), not negative.
        A: Rates (channels, states), negative.
        B: Input weights (batch, L, states).
        C: Output weights (batch, L, states).

    Returns:
        Outputs (batch, L, channels), and the states before each chunk (batch, chunks, states, channels).
    """
    with torch.autocast(x.device.type, enabled=False):
        chunk = chunk_length(x.shape[1], *A.shape)
        x, dt = x.contiguous(), dt.contiguous()
        y = torch.empty_like(x)
        boundaries = x.new_zeros(_boundaries_shape(x, A))
        rates = _rates(A)
        blocks = x.new_empty(2, chunk, *rates.shape)
        sweeps = {}
        for sequence in range(x.shape[0]):
            rows = zip(*(tensor[sequence].split(chunk) for tensor in (dt * x, dt, B, C, y)), strict=True)
            for index, (inputs, steps, weights, readout, out) in enumerate(rows):
                decay, state = blocks[:, : len(out)]
                if len(out) not in sweeps:
                    sweeps[len(out)] = _Sweep(state, decay)
                _fill(decay, state, inputs, steps, weights, rates)
                state[0].addcmul_(decay[0], boundaries[sequence, index])
                sweeps[len(out)].run()
                torch.bmm(readout[:, None], state, out=out[:, None])
                if index + 1 < boundaries.shape[1]:
                    boundaries[sequence, index + 1] = state[-1]
    return y, boundaries


@torch.library.custom_op("slam_harness::chunked_scan_backward", mutates_args=())
def chunked_scan_backward(
    grad: Tensor, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, boundaries: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by x, dt, A, B and C, from the gradient (batch, L, channels) by the outputs.

    With ``g_t`` the gradient by the state, ``g_t = C_t grad_t + a_{t+1} g_{t+1}``: the same recurrence, run
    from the last token to the first.
    """
    with torch.autocast(x.device.type, enabled=False):
        chunk = chunk_length(x.shape[1], *A.shape)
        x, dt, grad = x.contiguous(), dt.contiguous(), grad.contiguous()
        rates, log_rates = A.T.contiguous(), _rates(A)
        grad_inputs, grad_steps = torch.empty_like(x), torch.empty_like(x)
        grad_B, grad_C = B.new_empty(B.shape), C.new_empty(C.shape)
        grad_rates = torch.zeros_like(rates)
        blocks = x.new_empty(4, chunk, *rates.shape)
        workspaces = {}
        for sequence in range(x.shape[0]):
            of_later = torch.zeros_like(rates)
            tensors = (dt * x, dt, B, C, grad, grad_inputs, grad_steps, grad_B, grad_C)
            rows = [
                _ChunkRows(*parts) for parts in zip(*(t[sequence].split(chunk) for t in tensors), strict=True)
            ]
            for part, before in zip(reversed(rows), reversed(boundaries[sequence].unbind()), strict=True):
                length = len(part.steps)
                if length not in workspaces:
                    workspaces[length] = _Workspace(blocks[:, :length])
                work = workspaces[length]
                _fill(work.decay, work.state, part.inputs, part.steps, part.weights, log_rates)
                _differentiate_chunk(part, work, before, of_later)
                _differentiate_exponents(part, work, before, rates, grad_rates)
        grad_steps.addcmul_(grad_inputs, x)
        grad_inputs.mul_(dt)
    return grad_inputs, grad_steps, grad_rates.T.contiguous(), grad_B, grad_C


class _ChunkRows(NamedTuple):
    """The rows of one chunk: what goes in, and where its gradients are written."""

    inputs: Tensor
    steps: Tensor
    weights: Tensor
    readout: Tensor
    by_y: Tensor
    by_inputs: Tensor
    by_steps: Tensor
    by_weights: Tensor
    by_readout: Tensor


class _Workspace:
    """The four blocks (4, tokens, states, channels) of the backward pass and the sweeps over them."""

    def __init__(self, blocks: Tensor):
        self.decay, self.state, self.by_state, self.product = blocks
        self.sweep = _Sweep(self.state, self.product)
        self.sweep_back = _Sweep(self.by_state, self.product, backwards=True)


def _differentiate_chunk(part: _ChunkRows, work: _Workspace, before: Tensor, of_later: Tensor) -> None:
    """Gradients by inputs and both weights; states and their gradients stay behind in the workspace.

    ``of_later`` is the gradient by the chunk's last state through later chunks, and afterwards that by the
    last state before the chunk.
    """
    work.state[0].addcmul_(work.decay[0], before)
    work.product.copy_(work.decay)
    work.sweep.run()
    torch.bmm(part.by_y[:, None], work.state.transpose(1, 2), out=part.by_readout[:, None])

    torch.mul(part.readout[:, :, None], part.by_y[:, None], out=work.by_state)
    work.by_state[-1].add_(of_later)
    work.product[:-1].copy_(work.decay[1:])
    work.sweep_back.run()
    torch.mul(work.decay[0], work.by_state[0], out=of_later)

    torch.bmm(part.weights[:, None], work.by_state, out=part.by_inputs[:, None])
    torch.bmm(part.inputs[:, None], work.by_state.transpose(1, 2), out=part.by_weights[:, None])


def _differentiate_exponents(
    part: _ChunkRows, work: _Workspace, before: Tensor, rates: Tensor, grad_rates: Tensor
) -> None:
    """Gradients through ``exp(dt A)``: by the steps written, by the rates added; spoils the decays."""
    by_exponent = work.decay
    by_exponent[1:].mul_(work.state[:-1])
    by_exponent[0].mul_(before)
    by_exponent.mul_(work.by_state)
    torch.mul(by_exponent, part.steps[:, None], out=work.product)
    grad_rates.add_(work.product.sum(0))
    by_exponent.mul_(rates)
    torch.sum(by_exponent, 1, out=part.by_steps)


class _Sweep:
    """Turns rows of ``values`` into ``values[t] += decays[t] * values[t - 1]``, for ascending t, in place.

    The views that the steps of the tree work on are made once and used for every chunk. ``decays`` is
    spoiled. Backwards it is ``values[t] += decays[t] * values[t + 1]`` for descending t.
    """

    def __init__(self, values: Tensor, decays: Tensor, backwards: bool = False):
        length = len(values)

        def pairs(first: int, span: int) -> Iterator[Tensor]:
            """Every second row that ends a group of ``span`` rows, and the ends of the groups before them."""
            count = (length - 1 - first) // (2 * span) + 1
            width = (count - 1) * 2 * span + 1
            for position in (first, first - span):
                start = length - position - width if backwards else position
                rows = slice(start, start + width, 2 * span)
                yield values[rows]
                yield decays[rows]

        spans = [1 << level for level in range(length.bit_length()) if 1 << level < length]
        self._up = [tuple(pairs(2 * span - 1, span)) for span in spans if 2 * span <= length]
        self._down = [tuple(pairs(3 * span - 1, span)) for span in reversed(spans) if 3 * span <= length]

    def run(self) -> None:
        """Once over the tree and back."""
        for values, decays, values_before, decays_before in self._up:
            values.addcmul_(decays, values_before)
            decays.mul_(decays_before)
        for values, decays, values_before, _ in self._down:
            values.addcmul_(decays, values_before)


def _fill(
    decay: Tensor, state: Tensor, inputs: Tensor, steps: Tensor, weights: Tensor, rates: Tensor
) -> None:
    """Write ``exp(dt A)`` and ``dt B x`` of a chunk's tokens; rates as ``_rates`` gives them."""
    torch.mul(steps[:, None], rates, out=decay)
    decay.exp2_()
    torch.mul(inputs[:, None], weights[:, :, None], out=state)


def _rates(A: Tensor) -> Tensor:
    """Rates to the base 2 (states, channels)."""
    return (A.T * math.log2(math.e)).contiguous()


def _boundaries_shape(x: Tensor, A: Tensor) -> tuple[int, ...]:
    channels, states = A.shape
    return x.shape[0], -(-x.shape[1] // chunk_length(x.shape[1], channels, states)), states, channels


@chunked_scan.register_fake
def _(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(_boundaries_shape(x, A))


@chunked_scan_backward.register_fake
def _(
    grad: Tensor, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, boundaries: Tensor
) -> tuple[Tensor, ...]:
    return tuple(tensor.new_empty(tensor.shape) for tensor in (x, dt, A, B, C))


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return chunked_scan_backward(grad, *ctx.saved_tensors)


chunked_scan.register_autograd(_differentiate, setup_context=_keep)
