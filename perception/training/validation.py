"""Looking at a network while it is trained: depth and labels of held-out views, as it will be used."""

from collections.abc import Callable

import torch

from perception.evaluation.depth import DepthScore
from perception.evaluation.label_comparison import LabelComparison, compare_labels
from perception.evaluation.semantics import SemanticsScore
from perception.inference.device import Placement
from perception.inference.images import PredictionBuilder, network_input
from perception.m2hmx.module import image_contract, network_output
from perception.m2hmx.network import M2HMX
from perception.module import Prediction
from perception.training.views import View, ViewSource
from sequences.errors import SequenceError
from sequences.reader import ignore_progress

#: The nearest true depth that is compared with where the network's range begins at zero, metres.
_NEAREST = 1e-3


def validate(
    network: M2HMX,
    source: ViewSource,
    views: int | None,
    placement: Placement,
    progress: Callable[[str, int, int], None] = ignore_progress,
) -> dict[str, float | None]:
    """Predict views and compare: every image resized, and its prediction brought back, as in a run.

    Args:
        network: In eval mode.
        source: The views.
        views: How many are taken, spread evenly over the source; None for all.
        placement: Where and in which precision.
        progress: Told about every view.

    Returns:
        ``abs_rel``, ``rmse`` (metres), ``delta1`` over all pixels with true depth in the network's range, and
        ``miou`` over the classes that occur in them, pooled. None where there is nothing to compare.

    Raises:
        SequenceError: A view cannot be read, or has a label that is none; names it.
        PerceptionError: Labels of source and network cannot be compared.
    """
    scores = _Scores(network, source.label_space, placement)
    chosen = _spread(len(source), views)
    for done, index in enumerate(chosen):
        progress("evaluating", done, len(chosen))
        try:
            scores.add(source.view(index))
        except SequenceError as error:
            raise SequenceError(f"{source.name}/{index} cannot be evaluated on: {error}") from error
    progress("evaluating", len(chosen), len(chosen))
    return scores.figures()


class _Scores:
    """What a network says of views, compared.

    Args:
        network: In eval mode.
        label_space: Of the true labels; None without.
        placement: Where and in which precision.

    Raises:
        PerceptionError: True and predicted labels cannot be compared.
    """

    def __init__(self, network: M2HMX, label_space: str | None, placement: Placement):
        self._network, self._placement = network, placement
        self._contract = image_contract(network.config)
        self._builder = PredictionBuilder(self._contract, 1.0, None)
        self._depth = DepthScore(max(self._contract.min_depth, _NEAREST), self._contract.max_depth)
        predicted = self._builder.label_space
        self._comparison: LabelComparison | None = None
        self._labels: SemanticsScore | None = None
        if label_space is not None and predicted is not None:
            self._comparison = compare_labels(label_space, predicted)
            self._labels = SemanticsScore(self._comparison.space)

    def add(self, view: View) -> None:
        """Predict a view and compare.

        Raises:
            SequenceError: A true label is none of its label space.
        """
        prediction = self._predicted(view)
        if view.depth is not None and prediction.depth is not None:
            self._depth.add(view.depth, prediction.depth)
        if self._labels is None or self._comparison is None:
            return
        if view.labels is not None and prediction.semantics is not None:
            truth = self._comparison.true_labels(view.labels)
            self._labels.add(truth, self._comparison.predicted_labels(prediction.semantics))

    def figures(self) -> dict[str, float | None]:
        """As `validate` returns them."""
        depth = self._depth.figures()
        semantics = self._labels.figures() if self._labels is not None else None
        return {
            "abs_rel": None if depth is None else depth.pooled.abs_rel,
            "rmse": None if depth is None else depth.pooled.rmse,
            "delta1": None if depth is None else depth.pooled.delta1,
            "miou": None if semantics is None else semantics.miou,
        }

    def _predicted(self, view: View) -> Prediction:
        image = torch.from_numpy(network_input(view.rgb, self._contract)).to(self._placement.device)
        with torch.inference_mode(), self._placement.autocast():
            outputs = self._network(image)
        camera = view.intrinsics
        return self._builder.build(network_output(outputs), camera.height, camera.width, camera)


def _spread(count: int, wanted: int | None) -> list[int]:
    """So many numbers below ``count``, as evenly as can be: neighbours in a source often show one scene."""
    taken = count if wanted is None else min(wanted, count)
    return [place * count // taken for place in range(taken)]
