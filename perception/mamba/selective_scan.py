"""The selective scan of Mamba, by whichever implementation fits device and purpose."""

# The letters A, B, C and D are the paper's.
# ruff: noqa: N803, N806

import functools
import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from perception.mamba.chunked_scan import chunked_scan

# The one function of mamba-ssm that is used; it is public.
KERNEL_MODULE, KERNEL_FUNCTION = "mamba_ssm.ops.selective_scan_interface", "selective_scan_fn"

Kernel = Callable[..., Tensor]


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Run ``s_t = exp(dt_t A) s_{t-1} + dt_t B_t x_t;  y_t = <C_t, s_t> + D x_t`` over L tokens.

    Gu & Dao 2023 (arXiv 2312.00752), equation 2 with the discretisation of algorithm 2. The state begins at
    zero. It is kept in float32 (float64 if an input is), whatever the precision of the inputs. Differentiable
    once by every input.

    Args:
        x: Inputs (batch, L, channels).
        dt: Step sizes (batch, L, channels), not negative (softplus has been applied).
        A: Rates (channels, states), negative.
        B: Input weights (batch, L, states).
        C: Output weights (batch, L, states).
        D: Skip weights (channels).

    Returns:
        Outputs (batch, L, channels) of the type of ``x``.
    """
    if torch.compiler.is_exporting():
        return _scan_as_one_operator(x, dt, A, B, C, D)
    kernel = scan_kernel(x.device)
    if kernel is not None and x.dtype != torch.float64:
        return scan_with_kernel(kernel, x, dt, A, B, C, D)
    precise = _in_working_precision(x, dt, A, B, C, D)
    y, _ = chunked_scan(*precise[:-1])
    return torch.addcmul(y, precise[0], precise[-1]).to(x.dtype)


def scan_implementation(device: torch.device | str) -> str:
    """What runs the scan on a device, for records: ``mamba-ssm`` or ``chunked``."""
    return "chunked" if scan_kernel(torch.device(device)) is None else "mamba-ssm"


def scan_kernel(device: torch.device) -> Kernel | None:
    """The CUDA kernel of mamba-ssm, if the device is one of CUDA's and the package can be imported.

    The import happens here and only for such a device: without CUDA it would fail.
    """
    return imported_kernel() if device.type == "cuda" else None


@functools.cache
def imported_kernel() -> Kernel | None:
    """The kernel, looked for once in the life of a process; None where mamba-ssm cannot be imported."""
    try:
        return getattr(importlib.import_module(KERNEL_MODULE), KERNEL_FUNCTION)
    except ImportError:
        return None


def scan_with_kernel(
    kernel: Kernel, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> Tensor:
    """The scan through mamba-ssm's function, which wants channels before tokens.

    Not run on a CUDA device so far: no machine of the project had one. What is tested is the layout of
    arguments and result, with a stand-in for the kernel.
    """
    u, delta, B, C = (tensor.to(x.dtype).transpose(1, 2).contiguous() for tensor in (x, dt, B, C))
    return kernel(u, delta, A.float(), B, C, D.float()).transpose(1, 2)


def _scan_as_one_operator(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The scan token by token as one higher-order operator, which ONNX has too (``Scan``)."""
    # Imported here because it is a prototype that only the export needs.
    from torch._higher_order_ops.scan import scan

    inputs, steps, rates, weights, readout, skip = _in_working_precision(x, dt, A, B, C, D)

    def step(state: Tensor, token: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        dt_x, dt_t, B_t, C_t = token
        state = torch.exp(dt_t[:, :, None] * rates) * state + dt_x[:, :, None] * B_t[:, None]
        return state, (state * C_t[:, None]).sum(-1)

    tokens = tuple(tensor.transpose(0, 1) for tensor in (steps * inputs, steps, weights, readout))
    start = inputs.new_zeros(x.shape[0], *A.shape)
    _, y = scan(step, start, tokens)
    return torch.addcmul(y.transpose(0, 1), inputs, skip).to(x.dtype)


def _in_working_precision(*tensors: Tensor) -> list[Tensor]:
    dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    return [tensor.to(dtype) for tensor in tensors]
