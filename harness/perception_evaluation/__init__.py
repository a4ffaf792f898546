"""The evaluation of a perception module as tables and files."""

from harness.perception_evaluation.published_rows import require_perception_figures
from harness.perception_evaluation.running import evaluate_and_write, open_held_out_views, open_sequences
from harness.perception_evaluation.writing import notes, require_place

__all__ = [
    "evaluate_and_write",
    "notes",
    "open_held_out_views",
    "open_sequences",
    "require_perception_figures",
    "require_place",
]
