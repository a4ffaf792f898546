"""Looking at a network while it is trained: depth and labels of held-out views, as it will be used."""

from collections.abc import Callable

import torch

from perception.evaluation.depth import DepthScore
from perception.evaluation.label_comparison import compare_labels
from perception.evaluation.semantics import SemanticsScore
from perception.inference.device import Placement
from perception.inference.images import PredictionBuilder, network_input
from perception.m2hmx.module import image_contract, network_output
from perception.m2hmx.network import M2HMX
from perception.training.views import ViewSource

#: The nearest true depth that is compared with where the network's range begins at zero, metres.
_NEAREST = 1e-3


def validate(
    network: M2HMX,
    source: ViewSource,
    views: int | None,
    placement: Placement,
    progress: Callable[[str, int, int], None],
) -> dict[str, float | None]:
    """Predict views and compare: every image resized, and its prediction brought back, as in a run.

    Args:
        network: In eval mode.
        source: The views.
        views: The first so many are taken; None for all.
        placement: Where and in which precision.
        progress: Told about every view.

    Returns:
        ``abs_rel``, ``rmse`` (metres), ``delta1`` over all pixels with true depth in the network's range, and
        ``miou`` over the classes that occur in them, pooled. None where there is nothing to compare.

    Raises:
        SequenceError: A view cannot be read.
        PerceptionError: Labels of source and network cannot be compared.
    """
    contract = image_contract(network.config)
    builder = PredictionBuilder(contract, 1.0, None)
    depths = DepthScore(max(contract.min_depth, _NEAREST), contract.max_depth)
    comparison = labels = None
    if source.label_space is not None and builder.label_space is not None:
        comparison = compare_labels(source.label_space, builder.label_space)
        labels = SemanticsScore(comparison.space)
    count = len(source) if views is None else min(views, len(source))
    for index in range(count):
        progress("evaluating", index, count)
        view = source.view(index)
        image = torch.from_numpy(network_input(view.rgb, contract)).to(placement.device)
        with torch.inference_mode(), placement.autocast():
            outputs = network(image)
        camera = view.intrinsics
        prediction = builder.build(network_output(outputs), camera.height, camera.width, camera)
        if view.depth is not None and prediction.depth is not None:
            depths.add(view.depth, prediction.depth)
        if (
            comparison is not None
            and labels is not None
            and view.labels is not None
            and prediction.semantics is not None
        ):
            labels.add(comparison.true_labels(view.labels), comparison.predicted_labels(prediction.semantics))
    progress("evaluating", count, count)
    depth, semantics = depths.figures(), labels.figures() if labels is not None else None
    return {
        "abs_rel": None if depth is None else depth.pooled.abs_rel,
        "rmse": None if depth is None else depth.pooled.rmse,
        "delta1": None if depth is None else depth.pooled.delta1,
        "miou": None if semantics is None else semantics.miou,
    }
