"""The evaluation of a perception module as tables and files."""

from harness.perception_evaluation.published_rows import require_perception_figures
from harness.perception_evaluation.running import evaluate_and_write
from harness.perception_evaluation.writing import notes, require_place

__all__ = ["evaluate_and_write", "notes", "require_perception_figures", "require_place"]
