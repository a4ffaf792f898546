import subprocess
import sys
from dataclasses import dataclass, replace
from types import ModuleType
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from sequential_scan import sequential_scan  # noqa: E402

from perception.mamba import selective_scan  # noqa: E402
from perception.mamba.chunked_scan import chunk_length  # noqa: E402
from perception.mamba.selective_scan import (  # noqa: E402
    imported_kernel,
    scan_implementation,
    scan_kernel,
    scan_with_kernel,
)

KERNEL_MODULE = "mamba_ssm.ops.selective_scan_interface"


@dataclass(frozen=True)
class ScanInputs:
    x: torch.Tensor
    dt: torch.Tensor
    A: torch.Tensor
    B: torch.Tensor
    C: torch.Tensor
    D: torch.Tensor

    def all(self):
        return tuple(vars(self).values())

    def map(self, change):
        return ScanInputs(*(change(tensor) for tensor in self.all()))

    def magnitudes(self):
        return replace(self.map(torch.abs), A=self.A)


def random_inputs(batch, length, channels, states, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    return ScanInputs(
        x=normal(batch, length, channels),
        dt=torch.nn.functional.softplus(normal(batch, length, channels) - 2),
        A=-torch.exp(normal(channels, states)),
        B=normal(batch, length, states),
        C=normal(batch, length, states),
        D=normal(channels),
    )


def outputs_and_gradients(scan, inputs, weights):
    leaves = inputs.map(lambda tensor: tensor.detach().clone().requires_grad_()).all()
    y = scan(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, weights.to(y.dtype))]


def assert_equals_the_recurrence(inputs):
    """To 1e-5 of the largest sum of magnitudes, so that cancellation is not counted as an error."""
    weights = torch.randn(inputs.x.shape, generator=torch.Generator().manual_seed(1))
    exact = inputs.map(torch.Tensor.double)
    wanted = outputs_and_gradients(sequential_scan, exact, weights)
    scales = outputs_and_gradients(sequential_scan, exact.magnitudes(), weights.abs())
    for got, want, scale in zip(
        outputs_and_gradients(selective_scan, inputs, weights), wanted, scales, strict=True
    ):
        assert got.dtype == inputs.x.dtype
        assert (got - want).abs().max() <= 1e-5 * scale.abs().max()


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 40),
    channels=st.integers(1, 7),
    states=st.integers(1, 5),
    chunk=st.sampled_from([1, 2, 4, 8, 16]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_outputs_and_gradients_are_those_of_the_recurrence(batch, length, channels, states, chunk, seed):
    module = "perception.mamba.chunked_scan"
    with patch.multiple(module, SHORTEST_CHUNK=chunk, LONGEST_CHUNK=chunk):
        assert_equals_the_recurrence(random_inputs(batch, length, channels, states, seed))


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_nothing_changes_at_the_end_of_a_chunk(beyond):
    length = 2 * chunk_length(10**6, 512, 32) + beyond
    inputs = random_inputs(1, length, 512, 32)
    weights = torch.randn(inputs.x.shape)
    got = outputs_and_gradients(selective_scan, inputs, weights)
    wanted = outputs_and_gradients(sequential_scan, inputs.map(torch.Tensor.double), weights)
    for ours, exact in zip(got, wanted, strict=True):
        assert (ours - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("steps", [0.0, 1e-20, 1.0, 1e4, 1e20])
@pytest.mark.parametrize("rates", [1e-20, 1e-3, 1.0, 1e4])
def test_no_step_and_no_rate_is_too_large_or_too_small(steps, rates):
    inputs = random_inputs(1, 40, 3, 4)
    scaled = replace(inputs, dt=inputs.dt * steps, A=inputs.A * rates)
    # Over forty tokens the sums stay within float32 for inputs that shrink as steps grow.
    assert_equals_the_recurrence(replace(scaled, x=inputs.x / max(steps, 1.0)))


def test_gradients_pass_the_numerical_check_in_float64():
    inputs = random_inputs(2, 5, 3, 2).map(lambda tensor: tensor.double().requires_grad_())
    assert torch.autograd.gradcheck(selective_scan, inputs.all())


def test_tensors_that_are_not_contiguous_are_read_as_they_stand():
    inputs = random_inputs(2, 20, 6, 4)
    turned = inputs.map(lambda tensor: tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor)
    assert torch.equal(selective_scan(*turned.all()), selective_scan(*inputs.all()))


def test_half_precision_inputs_are_summed_in_float32():
    # A thousand equal steps into a state that hardly decays: a bfloat16 state stops growing at 256 of them.
    ones = torch.ones(1, 1000, 2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        y = selective_scan(ones, ones, torch.full((2, 2), -1e-9), ones, ones, torch.zeros(2))
    assert y.dtype == torch.bfloat16
    assert y[0, -1].tolist() == [2000.0, 2000.0]


def test_what_is_kept_for_the_backward_pass_is_little_more_than_the_inputs():
    inputs = random_inputs(1, 4096, 256, 16).map(torch.Tensor.requires_grad_)
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        selective_scan(*inputs.all())
    assert sum(kept.values()) < 2 * sum(tensor.nbytes for tensor in inputs.all())


def test_memory_stays_bounded_at_the_longest_sequence():
    code = """
import resource, torch
from perception.mamba import selective_scan
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
shapes = [(1, 19200, 512), (1, 19200, 512), (512, 32), (1, 19200, 32), (1, 19200, 32), (512,)]
x, dt, A, B, C, D = (torch.rand(shape, requires_grad=True) for shape in shapes)
before = peak()
selective_scan(x, dt, -A, B, C, D).sum().backward()
print(peak() - before)
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(outcome.stdout) < 19200 * 512 * 32 * 4 / 2


def test_compiled_without_a_break_it_gives_the_same():
    inputs = random_inputs(1, 30, 4, 3)
    compiled = torch.compile(selective_scan, backend="aot_eager", fullgraph=True)
    weights = torch.ones_like(inputs.x)
    for got, want in zip(
        outputs_and_gradients(compiled, inputs, weights),
        outputs_and_gradients(selective_scan, inputs, weights),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


@pytest.fixture
def kernel_module(monkeypatch):
    """A stand-in for mamba-ssm that scans token by token."""

    def selective_scan_fn(u, delta, A, B, C, D=None):  # noqa: N803
        x, dt, B, C = (tensor.transpose(1, 2) for tensor in (u, delta, B, C))  # noqa: N806
        return sequential_scan(x, dt, A, B, C, D).transpose(1, 2)

    module = ModuleType(KERNEL_MODULE)
    module.selective_scan_fn = selective_scan_fn
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, KERNEL_MODULE, module)
    imported_kernel.cache_clear()
    yield module
    imported_kernel.cache_clear()


def test_the_kernels_are_used_on_cuda_where_they_are_installed(kernel_module):
    assert scan_kernel(torch.device("cuda")) is kernel_module.selective_scan_fn
    assert scan_implementation("cuda") == "mamba-ssm"


def test_the_kernels_are_never_imported_for_a_cpu(monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert scan_implementation("cpu") == "chunked"


def test_without_the_kernels_cuda_takes_the_scan_in_pytorch(kernel_module, monkeypatch):
    monkeypatch.setitem(sys.modules, KERNEL_MODULE, None)
    assert scan_implementation("cuda:0") == "chunked"


def test_the_kernel_is_given_channels_before_tokens(kernel_module):
    inputs = random_inputs(2, 6, 5, 3)
    torch.testing.assert_close(
        scan_with_kernel(kernel_module.selective_scan_fn, *inputs.all()), sequential_scan(*inputs.all())
    )
