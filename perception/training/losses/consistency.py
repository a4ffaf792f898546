"""Agreement between tasks: normals with depth, edges with changes of the class."""

import torch
from torch import Tensor

from perception.training.losses.batch import Batch
from perception.training.losses.normals import cosine
from perception.training.losses.settings import LossSettings
from perception.training.losses.surface_normals import normals_from_depth
from perception.training.losses.terms import Terms, calculated, mean_absolute_error

#: Metres from which on up a predicted depth has normals.
_NEAREST = 0.05


def consistency_terms(batch: Batch, settings: LossSettings) -> Terms:
    """``depth_normals`` and ``edge_semseg``, where the ground truth of both tasks is known.

    Neither needs ground truth. Without that limit they would train a task towards another's predictions in
    data that says nothing of it.
    """
    return calculated(
        {"depth_normals": lambda: depth_normals(batch), "edge_semseg": lambda: edge_semseg(batch)},
        settings.consistency,
    )


def depth_normals(batch: Batch) -> Tensor | None:
    """One minus the cosine between predicted normals and those of the predicted depth, which is held."""
    if not {"depth", "normals"} <= batch.truth.keys():
        return None
    depth = batch.outputs["depth"].detach()
    usable = batch.truth["depth"].known & (depth > _NEAREST)
    target, found = normals_from_depth(depth, usable, batch.intrinsics)
    return cosine(batch.outputs["normals"], target, found & batch.truth["normals"].known)


def edge_semseg(batch: Batch) -> Tensor | None:
    """Mean absolute difference between edge probability and changes of the predicted class.

    A class is no number, so that only the edges have a gradient. A pixel counts where it and the neighbours
    that it is compared with are known.
    """
    if not {"edge", "semseg"} <= batch.truth.keys():
        return None
    changes = class_changes(batch.outputs["semseg"].argmax(dim=1, keepdim=True))
    labelled = batch.truth["semseg"].known
    known = labelled & batch.truth["edge"].known
    known[..., :, :-1] &= labelled[..., :, 1:]
    known[..., :-1, :] &= labelled[..., 1:, :]
    return mean_absolute_error(batch.outputs["edge"].sigmoid(), changes.float(), known)


def class_changes(labels: Tensor) -> Tensor:
    """Where the class differs from that of the pixel to the right or below.

    Args:
        labels: int64 [B, 1, H, W].

    Returns:
        bool [B, 1, H, W].
    """
    changes = torch.zeros_like(labels, dtype=torch.bool)
    changes[..., :, :-1] |= labels[..., :, :-1] != labels[..., :, 1:]
    changes[..., :-1, :] |= labels[..., :-1, :] != labels[..., 1:, :]
    return changes
