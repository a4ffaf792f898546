"""The losses of M2H-MX: one file per task, consistency between tasks, and how they are balanced.

The authors' loss bodies are not released. What is theirs and what is our choice stands in
docs/training.md#losses. The settings need no torch; it is imported when the loss is first asked for.
"""

from typing import TYPE_CHECKING, Any

from perception.training.losses.settings import LossSettings

if TYPE_CHECKING:
    from perception.training.losses.multi_task import LossReport, MultiTaskLoss

__all__ = ["LossReport", "LossSettings", "MultiTaskLoss"]


def __getattr__(name: str) -> Any:
    if name in ("LossReport", "MultiTaskLoss"):
        from perception.training.losses import multi_task

        return getattr(multi_task, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
