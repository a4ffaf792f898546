"""How good a perception module is: against recorded depth and labels, and in what SLAM needs of it."""

from perception.evaluation.evaluate import EvaluatedSequence, Evaluation, evaluate_module
from perception.evaluation.options import EvaluationOptions, evaluation_options

__all__ = [
    "EvaluatedSequence",
    "Evaluation",
    "EvaluationOptions",
    "evaluate_module",
    "evaluation_options",
]
