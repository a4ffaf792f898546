"""The loss of the normals: the angle to the target, and to the normals of the target's depth."""

from torch import Tensor

from perception.training.losses.batch import Batch
from perception.training.losses.settings import LossSettings
from perception.training.losses.surface_normals import normals_from_depth, unit
from perception.training.losses.terms import Terms, calculated, mean_where, with_aux


def normals_terms(batch: Batch, settings: LossSettings) -> Terms:
    """``cosine``, ``aux`` and ``geometric``."""
    truth, weights, depth = batch.truth["normals"], settings.normals, batch.truth.get("depth")
    normals = batch.outputs["normals"]

    def terms_of(normals: Tensor) -> Terms:
        return calculated({"cosine": lambda: cosine(normals, truth.target, truth.known)}, weights)

    def geometric() -> Tensor | None:
        if depth is None:
            return None
        target, found = normals_from_depth(depth.target, depth.known, batch.intrinsics)
        return cosine(normals, target, found & truth.known)

    parts = calculated({"geometric": geometric}, weights)
    return with_aux(terms_of, normals, batch.aux["normals"], weights) | parts


def cosine(normals: Tensor, target: Tensor, known: Tensor) -> Tensor | None:
    """One minus the cosine of the angle, mean over known pixels.

    Args:
        normals: float32 [B, 3, H, W], of any length: interpolated and intermediate ones are not unit vectors.
        target: float32 [B, 3, H, W], unit vectors where known.
        known: bool [B, 1, H, W].
    """
    return mean_where(1 - (unit(normals) * target).sum(dim=1, keepdim=True), known)
