"""What can be wrong with a configuration or a checkpoint of the network."""

from collections.abc import Collection, Mapping

from perception.errors import PerceptionError

#: Names that a message shows of a longer list.
_SHOWN = 6


class NetworkConfigurationError(PerceptionError):
    """A configuration of the network is not valid."""


class NetworkInputError(PerceptionError):
    """An image that the network cannot take."""


class CheckpointError(PerceptionError):
    """A checkpoint cannot be read."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint holds something else than tensors, and reading it could run code. It was not read."""


class CheckpointMismatchError(CheckpointError):
    """A checkpoint is of another network than the configuration.

    Attributes:
        missing: Official names of tensors that the network needs and the checkpoint lacks.
        unexpected: Names in the checkpoint that the network has no place for.
        misshapen: Official name to (shape in the checkpoint, shape in the network).
    """

    def __init__(
        self,
        missing: Collection[str],
        unexpected: Collection[str],
        misshapen: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    ):
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.misshapen = dict(misshapen)
        shapes = [
            f"{name} {list(got)} instead of {list(want)}" for name, (got, want) in self.misshapen.items()
        ]
        parts = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", shapes))
        listed = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts if names)
        super().__init__(f"the checkpoint does not fit the configuration. {listed}{self._hint()}")

    def _hint(self) -> str:
        """What to change where the names tell."""
        pruned = ("edge_head.context.", "normals_head.context.")
        if any(name.startswith(pruned) for name in self.unexpected):
            return ". A network with these has 'head_msca: true'"
        if any(name.startswith(pruned) for name in self.missing):
            return ". Released checkpoints have 'head_msca: false', as the presets '*-released' say"
        return ""


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
