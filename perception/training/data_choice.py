"""From what a configuration says of its data to views and batches."""

import json
import os
from collections.abc import Callable

from pydantic import ValidationError

from perception.training.batches import BatchStream, DataSettings
from perception.training.configuration import TrainingConfig, TrainingConfigurationError
from perception.training.loop import TrainingData
from perception.training.seams import Batches
from perception.training.view_sources import make_source


def training_data(config: TrainingConfig, progress: Callable[[str, int, int], None]) -> TrainingData:
    """Everything that a training reads, prepared.

    Args:
        config: Of the training.
        progress: Called while data is prepared, with a description, how much is done and how much there is.

    Raises:
        TrainingConfigurationError: A parameter or a setting is wrong.
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
    for each in (source, held_out):
        if each is not None:
            each.prepare(progress, os.cpu_count() or 1)
    return TrainingData(batches, source.identity(), held_out)
