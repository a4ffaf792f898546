"""From what a configuration says of its data to views and batches."""

import json
import os

from pydantic import ValidationError

from perception.errors import PerceptionError
from perception.evaluation.label_comparison import compare_labels
from perception.m2hmx.configuration import NetworkConfig
from perception.training.batches import BatchStream, DataSettings
from perception.training.configuration import TrainingConfig, TrainingConfigurationError
from perception.training.loop import Progress, TrainingData
from perception.training.seams import Batches
from perception.training.view_sources import make_source
from perception.training.views import ViewSource


def training_data(config: TrainingConfig) -> TrainingData:
    """Everything that a training reads.

    Raises:
        TrainingConfigurationError: A parameter or a setting is wrong, or what is held out is trained on.
        SequenceError: Data is not there.
    """
    source = make_source(config.data, "data")
    try:
        settings = DataSettings.model_validate_json(json.dumps(config.batches))
    except ValidationError as error:
        wrong = "; ".join(f"batches.{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in error.errors())
        raise TrainingConfigurationError(wrong) from error

    def batches(seed: int) -> Batches:
        return BatchStream(source, settings, config.network, seed, config.batch_size)

    held_out = None if config.evaluation is None else make_source(config.evaluation, "evaluation")
    sources = [source] if held_out is None else [source, held_out]
    if held_out is not None:
        _require_held_out(source, held_out)
        _require_comparable(held_out, config.network)

    def prepare(progress: Progress) -> None:
        for each in sources:
            each.prepare(progress, os.cpu_count() or 1)

    sizes = [size.image_size for size in settings.sizes_first]
    if config.network.image_size is not None:
        sizes.append(config.network.image_size)
    return TrainingData(batches, source.identity(), held_out, tuple(sizes), prepare)


def _require_comparable(held_out: ViewSource, network: NetworkConfig) -> None:
    """Refuse held-out views that the first evaluation would stumble over."""
    if not len(held_out):
        raise TrainingConfigurationError(f"evaluation: '{held_out.name}' has no views")
    if "semseg" in network.tasks and held_out.label_space is not None and network.label_space is not None:
        try:
            compare_labels(held_out.label_space, network.label_space)
        except PerceptionError as error:
            raise TrainingConfigurationError(f"evaluation: {error}") from error


def _require_held_out(source: ViewSource, held_out: ViewSource) -> None:
    """Refuse to call held out what is trained on."""
    shared = source.subjects() & held_out.subjects()
    if shared:
        raise TrainingConfigurationError(
            f"evaluation: {len(shared)} of what its views show is trained on as well, such as {min(shared)}; "
            "choose another part"
        )
    if source.identity() == held_out.identity():
        raise TrainingConfigurationError("evaluation: its views are those that are trained on")
