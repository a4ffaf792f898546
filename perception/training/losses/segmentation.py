"""The loss of the segmentation: cross entropy and Dice.

Cross entropy counts pixels, and mIoU, by which segmentations are compared, counts classes; Dice does too. Of
the losses made for that, Lovász-softmax (Berman et al. 2018) is the surrogate of the IoU itself, and sorts
all pixels for every class. Dice takes sums over the pixels, and as losses Dice and soft Jaccard index bound
each other and do equally well (Bertels et al. 2019).
"""

from torch import Tensor
from torch.nn import functional

from perception.training.losses.batch import Batch, Truth
from perception.training.losses.errors import TargetError
from perception.training.losses.settings import LossSettings
from perception.training.losses.terms import Terms, calculated, mean_where, soft_dice, with_aux
from perception.training.targets import LABEL_UNKNOWN


def segmentation_terms(batch: Batch, settings: LossSettings) -> Terms:
    """``ce``, ``dice`` and ``aux``.

    Raises:
        TargetError: There is a label that the network has no class for.
    """
    truth, weights = batch.truth["semseg"], settings.semseg
    logits = batch.outputs["semseg"]
    _require_classes(truth, logits.shape[1])

    def terms_of(logits: Tensor) -> Terms:
        log_probabilities = logits.log_softmax(dim=1)
        losses = functional.nll_loss(
            log_probabilities, truth.target, ignore_index=LABEL_UNKNOWN, reduction="none"
        )
        return calculated(
            {
                "ce": lambda: mean_where(losses.unsqueeze(1), truth.known),
                "dice": lambda: class_dice(log_probabilities, losses, truth),
            },
            weights,
        )

    return with_aux(terms_of, logits, batch.aux["semseg"], weights)


def class_dice(log_probabilities: Tensor, losses: Tensor, truth: Truth) -> Tensor | None:
    """Soft Dice over the classes that the ground truth has.

    Of a small network this is much of a step on a CPU, so it goes over the probabilities of all classes
    but once, in a product with the mask of known pixels.

    Args:
        log_probabilities: float32 [B, classes, H, W].
        losses: float32 [B, H, W], minus those of the true classes.
        truth: Labels.
    """
    known, classes = truth.known.squeeze(1), log_probabilities.shape[1]
    labels = truth.target[known]
    shared = losses.new_zeros(classes).index_add(0, labels, (-losses[known]).exp())
    predicted = log_probabilities.exp().flatten(2) @ known.float().flatten(1).unsqueeze(2)
    return soft_dice(shared, predicted.sum(dim=(0, 2)), labels.bincount(minlength=classes))


def _require_classes(truth: Truth, classes: int) -> None:
    labels = truth.target[truth.known.squeeze(1)]
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.numel():
        raise TargetError(
            f"a label image has the class {int(wrong[0])}, and the network has the classes 0 to "
            f"{classes - 1} ({LABEL_UNKNOWN} is unknown); the label space of the data is not the network's"
        )
