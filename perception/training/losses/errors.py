"""What can be wrong with the targets of a loss."""

from perception.errors import PerceptionError


class TargetError(PerceptionError):
    """Ground truth that a network of this configuration cannot be trained towards."""
