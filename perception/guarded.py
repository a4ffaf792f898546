"""Calling perception modules, which may be anybody's: whatever they raise or return becomes a clear error."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.module import PERCEPTION_MODULES, PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo

Result = TypeVar("Result")


class GuardedModule:
    """A perception module whose promises are checked.

    Every method raises ``PerceptionError`` alone: the module's own, or ``ModuleFailedError`` with what else
    it raised, or with what it gave and must not give.
    """

    def __init__(self, name: str, module: PerceptionModule):
        self.name = name
        self.reads_sensor = module.reads_sensor
        self._module = module
        self._promised: frozenset[str] = frozenset()
        self._announced_space: str | None = None

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Names of the fields that will be filled in; remembered, and demanded of every prediction."""
        self._promised = _guarded(self.name, lambda: self._module.outputs(sequence))
        return self._promised

    def label_space(self, sequence: SequenceInfo) -> str | None:
        """Name of the label space of all predictions; remembered, and demanded of every one with labels."""
        name = _guarded(self.name, lambda: self._module.label_space(sequence))
        if name is not None and not isinstance(name, str):
            raise ModuleFailedError(
                f"{self.name}: label_space() must give a name or None, got {type(name).__name__}"
            )
        self._announced_space = name
        return name

    def load(self) -> None:
        """Load what predicting needs."""
        _guarded(self.name, self._module.load)

    def predict(self, frame: Frame) -> Prediction:
        """Predict one frame; a module that does not read the sensor is not shown what it recorded."""
        seen = frame if self.reads_sensor else frame.without_sensor()
        prediction = _guarded(f"frame {frame.index}: {self.name}", lambda: self._module.predict(seen))
        _check(prediction, frame, self._promised)
        self._check_label_space(prediction, frame)
        return prediction

    def _check_label_space(self, prediction: Prediction, frame: Frame) -> None:
        announced = self._announced_space
        if prediction.semantics is not None and announced not in (None, prediction.label_space):
            raise ModuleFailedError(
                f"frame {frame.index}: {self.name}: labels are of label space '{prediction.label_space}', "
                f"and label_space() announced '{announced}'"
            )

    def describe(self) -> dict[str, Any]:
        """What a record must hold to repeat the predictions; JSON-compatible."""
        description = _guarded(self.name, self._module.describe)
        try:
            json.dumps(description, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModuleFailedError(f"{self.name}: describe() must give plain values: {error}") from error
        return description


def create_module(choice: ModuleChoice) -> GuardedModule:
    """Create the module that was asked for.

    Raises:
        UnknownNameError: There is none of that name.
        PerceptionError: It cannot be created with this argument and these options.
    """
    kind = PERCEPTION_MODULES.load(choice.module)
    try:
        module = _guarded(choice.label, lambda: kind.create(choice.argument, choice.options))
    except ModuleFailedError:
        raise
    except PerceptionError as error:
        raise PerceptionError(f"perception '{choice.label}': {error}") from error
    return GuardedModule(choice.label, module)


def _guarded(where: str, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except PerceptionError:
        raise
    except Exception as error:
        raise ModuleFailedError(f"{where}: {type(error).__name__}: {error}") from error


def _check(prediction: Any, frame: Frame, promised: frozenset[str]) -> None:
    """Refuse a prediction that no backend should see."""
    where = f"frame {frame.index}"
    if not isinstance(prediction, Prediction):
        raise ModuleFailedError(f"{where}: a {type(prediction).__name__} is no Prediction")
    size = frame.rgb.shape[:2]
    kinds = {
        "depth": (np.float32, size),
        "semantics": (np.uint8, size),
        "normals": (np.float32, (*size, 3)),
        "edges": (np.float32, size),
        "confidence": (np.float32, size),
    }
    for name, (dtype, shape) in kinds.items():
        array = getattr(prediction, name)
        if array is None:
            if name in promised:
                raise ModuleFailedError(f"{where}: {name} is missing, which outputs() promised")
            continue
        wanted, got = f"{np.dtype(dtype)} {shape}", type(array).__name__
        if isinstance(array, np.ndarray):
            got = f"{array.dtype} {array.shape}"
        if got != wanted:
            raise ModuleFailedError(f"{where}: {name} must be {wanted}, got {got}")
    depth = prediction.depth
    # A minimum that is NaN fails the comparison too: one pass finds NaN and negative depth.
    if depth is not None and not (depth.min() >= 0 and depth.max() < np.inf):
        raise ModuleFailedError(f"{where}: depth has NaN, infinite or negative values")
