"""Metric depth for cameras of different focal lengths: depth as one canonical camera would see it.

A thing twice as far away through a lens twice as long gives the same image, so that metric depth cannot be
told from an image alone when focal lengths differ. Of the two remedies of Yin et al., "Metric3D: Towards
zero-shot metric 3D prediction from a single image", ICCV 2023, this is the transformation of labels: a
network is trained towards depth times ``canonical focal length / focal length``, and what it predicts is
divided by that again. Focal lengths are in widths of the image that the network sees, because images of all
sizes are brought to one.
"""

from sequences.model import Intrinsics

#: Horizontal field of view of most depth cameras, degrees: for images of which it is not known.
USUAL_FIELD_OF_VIEW_DEG = 62.0


def canonical_factor(intrinsics: Intrinsics, canonical_focal: float) -> float:
    """What metric depth is multiplied with to be that of the canonical camera; predictions are divided by it.

    Args:
        intrinsics: Of the image that the network sees, at whatever size: of the part that a crop left.
        canonical_focal: Focal length of the canonical camera over the width of its image.
    """
    return canonical_focal / (intrinsics.fx / intrinsics.width)
