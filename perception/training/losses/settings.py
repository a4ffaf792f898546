"""The weights of all loss terms, and the few options beside them; needs no torch.

A weight has the name of its term in the log: ``depth.silog`` here is ``depth/silog`` there. A term of weight
0 is not calculated.
"""

from typing import Annotated

from pydantic import Field, FiniteFloat

from perception.settings import Settings

Weight = Annotated[FiniteFloat, Field(ge=0)]


class TaskLossSettings(Settings):
    """What may be set for every task.

    Attributes:
        weight: Of the task as a whole. At 0 its terms are not calculated; those of the consistency have
            weights of their own.
        aux: Of the mean over the intermediate predictions, which are compared as the last one is.
    """

    weight: Weight = 1.0
    aux: Weight = 0.0


class SegmentationLossSettings(TaskLossSettings):
    """Semantic segmentation.

    Attributes:
        ce: Cross entropy.
        dice: Soft Dice over the classes present (Bertels et al. 2019).
        aux: Of intermediate predictions (M2H-MX: 0.3).
    """

    ce: Weight = 1.0
    dice: Weight = 1.0
    aux: Weight = 0.3


class DepthLossSettings(TaskLossSettings):
    """Depth, where the target is within the network's range.

    Attributes:
        silog: Root of the scale-invariant logarithmic error (Eigen et al. 2014). The factor 10 is that of
            Lee et al. 2019 (BTS) and Bhat et al. 2021 (AdaBins).
        rmse: Root mean square error, metres.
        l1: Mean absolute error, metres (M2H-MX: optional).
        coarse_l1: The same of the expectation over bins (M2H-MX: optional).
        offset_l1: The same of the offset against what the expectation lacks (M2H-MX: optional).
        bin_nll: Negative log likelihood of the bin that holds the target (M2H-MX: optional).
        aux: Of intermediate predictions (M2H-MX: 0.3), which have ``silog``, ``rmse`` and ``l1`` alone.
        variance_focus: The lambda of the scale-invariant error: at 1 a wrong scale of the whole image costs
            nothing, at 0 as much as any other error. Eigen et al. train with 0.5, BTS and AdaBins with 0.85.
    """

    silog: Weight = 10.0
    rmse: Weight = 1.0
    l1: Weight = 0.0
    coarse_l1: Weight = 0.0
    offset_l1: Weight = 0.0
    bin_nll: Weight = 0.0
    aux: Weight = 0.3
    variance_focus: FiniteFloat = Field(default=0.85, ge=0, le=1)


class NormalsLossSettings(TaskLossSettings):
    """Surface normals.

    Attributes:
        cosine: One minus the cosine of the angle to the target.
        geometric: The same to the normals of the target's depth (M2H-MX: 0.5).
        aux: Of intermediate predictions (M2H-MX: 0), which have ``cosine`` alone.
    """

    cosine: Weight = 1.0
    geometric: Weight = 0.5


class EdgeLossSettings(TaskLossSettings):
    """Semantic edges.

    Attributes:
        bce: Binary cross entropy of logits, balanced between edges and the rest.
        dice: Soft Dice of the edges (M2H-MX: optional).
        aux: Of the intermediate prediction (M2H-MX: 0.1).
        positive_share: What part of ``bce`` is that of edge pixels, however few they are. At 0.5 both
            classes weigh the same (Xie and Tu 2015, HED); less gives thinner edges.
        focal_gamma: Exponent of the focal loss (Lin et al. 2017, who use 2); at 0 cross entropy.
    """

    bce: Weight = 1.0
    dice: Weight = 0.0
    aux: Weight = 0.1
    positive_share: FiniteFloat = Field(default=0.5, gt=0, lt=1)
    focal_gamma: Weight = 0.0


class ConsistencyLossSettings(Settings):
    """Agreement between what two tasks predict.

    Attributes:
        depth_normals: One minus the cosine between predicted normals and those of the predicted depth; the
            depth is held (M2H-MX: 0.5, ``consistency_dn``).
        edge_semseg: Absolute difference between edge probability and changes of the predicted class
            (M2H-MX: 0.2).
    """

    depth_normals: Weight = 0.5
    edge_semseg: Weight = 0.2


class LossSettings(Settings):
    """Everything that may be set of the loss.

    Attributes:
        semseg: Terms of the segmentation.
        depth: Terms of the depth.
        normals: Terms of the normals.
        edge: Terms of the edges.
        consistency: Terms between tasks.
    """

    semseg: SegmentationLossSettings = SegmentationLossSettings()
    depth: DepthLossSettings = DepthLossSettings()
    normals: NormalsLossSettings = NormalsLossSettings()
    edge: EdgeLossSettings = EdgeLossSettings()
    consistency: ConsistencyLossSettings = ConsistencyLossSettings()
