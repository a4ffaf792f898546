"""A few dozen steps on one batch: what the losses say falls."""

import pytest
import torch
from m2hmx_fill import tiny

from perception.m2hmx.configuration import load_preset, make_network_config
from perception.m2hmx.network import M2HMX
from perception.training.losses import MultiTaskLoss
from perception.training.losses.consistency import class_changes
from perception.training.losses.surface_normals import normals_from_depth
from perception.training.targets import Targets

HEIGHT, WIDTH = 64, 96
CAMERA = torch.tensor([[80.0, 80.0, 47.5, 31.5]]).repeat(2, 1)
SMALL = {"embed_dim": 48, "depth": 4, "num_heads": 3, "mlp_dim": 96, "registers": 4, "patch": 16}


def nano():
    """The preset with fewer channels and classes."""
    values = load_preset("m2hmx-nano").model_dump(mode="json")
    small = {
        "backbone": SMALL,
        "taps": [0, 1, 2, 3],
        "decoder_dim": 32,
        "num_classes": 4,
        "label_space": None,
    }
    return make_network_config(values | small)


def four_tasks():
    """All heads, with adapters left out so that everything is trained."""
    small = {"backbone": SMALL, "lora": None, "fusion": "topdown", "decoder_dim": 32, "num_classes": 4}
    return make_network_config(tiny(**small, mamba_state=4, head_msca=True))


def room():
    """Two images of a floor, a wall and two boxes on it, in the colours of their classes."""
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    below = (v - 31.5).clamp_min(1.0) / 80.0
    floor, wall = 1.2 / below, torch.full((HEIGHT, WIDTH), 5.0)
    labels = (floor < wall).long()
    depth = torch.minimum(floor, wall)
    rooms = []
    for left, top, distance in ((12, 16, 3.0), (55, 24, 2.0)):
        box = (u >= left) & (u < left + 24) & (v >= top) & (v < top + 28)
        kind = 2 if distance > 2.5 else 3
        rooms.append((torch.where(box, distance, depth), torch.where(box, kind, labels)))
    depths, classes = (torch.stack(values) for values in zip(*rooms, strict=True))
    depths = depths[:, None]
    normals, flat = normals_from_depth(depths, depths > 0, CAMERA)
    colours = torch.tensor([[-1.0, 0.5, 1.0], [1.0, -0.5, 0.0], [0.0, 1.5, -1.0], [-0.5, -1.5, 0.5]])
    images = colours[classes].movedim(-1, 1).contiguous()
    targets = Targets(depths, classes, normals * flat, class_changes(classes[:, None]).float())
    return images, targets


@pytest.mark.parametrize("config", [nano(), four_tasks()], ids=["nano", "four tasks"])
def test_every_loss_of_a_batch_falls_in_a_few_dozen_steps(config):
    torch.manual_seed(0)
    images, targets = room()
    network, loss = M2HMX(config).train(), MultiTaskLoss(config)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.parameters()},
            {"params": loss.parameters(), "weight_decay": 0.0},
        ],
        lr=2e-3,
    )
    history = []
    for _ in range(40):
        report = loss(network(images), targets, CAMERA)
        optimizer.zero_grad()
        report.total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        history.append({name: float(value) for name, value in report.terms.items()})
    first, last = history[0], history[-1]
    for task in config.tasks:
        assert last[f"{task}/total"] < 0.6 * first[f"{task}/total"], task
    assert all(value == value for step in history for value in step.values())
