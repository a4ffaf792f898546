import pytest

torch = pytest.importorskip("torch")

from sequential_scan import sequential_scan  # noqa: E402
from torch.nn import functional  # noqa: E402

from perception.mamba import Mamba  # noqa: E402


def written_out(parameters, tokens):
    """The layer's formula, from a state dict, with the convolution and the scan token by token."""
    x, z = (tokens @ parameters["in_proj.weight"].T).chunk(2, -1)
    kernel = parameters["conv1d.weight"][:, 0]
    padded = functional.pad(x, (0, 0, kernel.shape[1] - 1, 0))
    windows = (padded[:, tap : tap + x.shape[1]] * kernel[:, tap] for tap in range(kernel.shape[1]))
    x = functional.silu(sum(windows) + parameters["conv1d.bias"])
    states = parameters["A_log"].shape[1]
    rank = parameters["dt_proj.weight"].shape[1]
    dt, B, C = (x @ parameters["x_proj.weight"].T).split([rank, states, states], -1)  # noqa: N806
    dt = functional.softplus(dt @ parameters["dt_proj.weight"].T + parameters["dt_proj.bias"])
    y = sequential_scan(x, dt, -parameters["A_log"].exp(), B, C, parameters["D"])
    return (y * functional.silu(z)) @ parameters["out_proj.weight"].T


@pytest.fixture
def block():
    torch.manual_seed(0)
    return Mamba(d_model=24, d_state=5)


@pytest.mark.parametrize("length", [1, 3, 50])
def test_the_layer_is_its_formula(block, length):
    tokens = torch.randn(2, length, 24)
    exact = {name: tensor.double() for name, tensor in block.state_dict().items()}
    wanted = written_out(exact, tokens.double())
    assert (block(tokens) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert (block.double()(tokens.double()) - wanted).abs().max() <= 1e-12 * wanted.abs().max()


def test_the_weights_have_the_names_and_shapes_of_mamba_ssm():
    shapes = {name: tuple(tensor.shape) for name, tensor in Mamba(40, d_state=8).state_dict().items()}
    assert shapes == {
        "A_log": (80, 8),
        "D": (80,),
        "in_proj.weight": (160, 40),
        "conv1d.weight": (80, 1, 4),
        "conv1d.bias": (80,),
        "x_proj.weight": (19, 80),
        "dt_proj.weight": (80, 3),
        "dt_proj.bias": (80,),
        "out_proj.weight": (40, 80),
    }


def test_a_new_layer_starts_as_the_paper_says(block):
    torch.testing.assert_close(block.A_log.exp(), torch.arange(1.0, 6.0).expand(48, 5))
    assert torch.equal(block.D, torch.ones(48))
    steps = functional.softplus(Mamba(2000).dt_proj.bias.detach()).log10()
    assert -3 - 1e-4 <= steps.min() < -2.9
    assert -1.1 < steps.max() <= -1 + 1e-4
    assert abs(steps.mean() + 2) < 0.05


def test_no_token_sees_a_later_one(block):
    tokens = torch.randn(1, 12, 24)
    changed = tokens.clone()
    changed[:, 7:] += 1
    before, after = block(tokens), block(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])


def test_every_weight_is_trained(block):
    block(torch.randn(1, 9, 24)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in block.parameters())


def test_under_autocast_the_layer_answers_in_half_precision(block):
    tokens = torch.randn(1, 30, 24)
    with torch.autocast("cpu", torch.bfloat16):
        half = block(tokens)
    assert half.dtype == torch.bfloat16
    exact = block(tokens)
    assert (half - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.filterwarnings("ignore")
def test_exported_to_onnx_the_layer_gives_the_same_from_a_small_graph(block):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    tokens = torch.randn(1, 100, 24)
    program = torch.onnx.export(block.eval(), (tokens,), dynamo=True, verbose=False)
    assert len(program.model.graph) < 60
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (name,) = (entry.name for entry in session.get_inputs())
    (exported,) = session.run(None, {name: tokens.numpy()})
    assert (block(tokens) - torch.from_numpy(exported)).abs().max() < 1e-4
