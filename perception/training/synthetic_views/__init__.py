"""Views to train on out of the generator of synthetic sequences: many flats, a few random views of each.

Flats to train on are built from `TRAINING_SEEDS`, flats for evaluation from `HELD_OUT_SEEDS`; sequences of
the catalogue have other seeds than both. A seed decides all of a flat, so that nothing that a network is
tried on was seen in training.
"""

from perception.training.synthetic_views.settings import (
    HELD_OUT_SEEDS,
    TRAINING_SEEDS,
    SyntheticViewSettings,
)
from perception.training.synthetic_views.source import SyntheticViews

__all__ = ["HELD_OUT_SEEDS", "TRAINING_SEEDS", "SyntheticViewSettings", "SyntheticViews"]
