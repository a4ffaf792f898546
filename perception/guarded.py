"""Calling perception modules, which may be anybody's: whatever they raise or return becomes a clear error."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from perception.cache import PredictionCache
from perception.cache.keys import context_digest, frame_key
from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.module import PERCEPTION_MODULES, PerceptionModule, Prediction
from sequences.model import Frame, SequenceInfo

Result = TypeVar("Result")


@dataclass(frozen=True)
class TimedPrediction:
    """A prediction, and how long the module took to make it.

    Attributes:
        prediction: The prediction.
        seconds: From frame to prediction; None when it was made before and kept, which says nothing of the
            module's speed.
    """

    prediction: Prediction
    seconds: float | None


class GuardedModule:
    """A perception module whose promises are checked.

    Every method raises ``PerceptionError`` alone: the module's own, or ``ModuleFailedError`` with what else
    it raised, or with what it gave and must not give.

    Args:
        name: What it is called.
        module: The module.
        cache: Where its predictions are kept and found again, if it allows that; None to make all anew.
    """

    def __init__(self, name: str, module: PerceptionModule, cache: PredictionCache | None = None):
        self.name = name
        self.reads_sensor = module.reads_sensor
        self._module = module
        self._cache = cache
        self._promised: frozenset[str] = frozenset()
        self._announced_space: str | None = None
        self._sequence: SequenceInfo | None = None
        #: What all keys of this sequence's predictions share; None when none are kept, and before asking.
        self._context: str | None = None
        self._asked_for_context = False

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """Names of the fields that will be filled in; remembered, and demanded of every prediction."""
        self._promised = _guarded(self.name, lambda: self._module.outputs(sequence))
        _guarded(self.name, lambda: self._module.begin(sequence))
        self._sequence, self._asked_for_context = sequence, False
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
        return self.predict_timed(frame).prediction

    def predict_timed(self, frame: Frame) -> TimedPrediction:
        """The same, with the time that it took; what was kept of an earlier prediction is not made again."""
        seen = frame if self.reads_sensor else frame.without_sensor()
        context = self._context_of_keys()
        if self._cache is None or context is None:
            return self._predict_now(seen)
        key = frame_key(context, seen)
        kept = self._cache.read(key)
        if kept is None:
            with self._cache.turn(key):
                # Whoever had the turn before may have predicted the same frame.
                kept = self._cache.read(key)
                if kept is None:
                    made = self._predict_now(seen)
                    self._cache.keep(key, made.prediction)
                    return made
        self._check(kept, seen)
        return TimedPrediction(kept, None)

    def keeps_predictions(self) -> bool:
        """Whether predictions on the sequence of ``outputs`` are kept and used again; ask after ``load``."""
        return self._context_of_keys() is not None

    def _predict_now(self, seen: Frame) -> TimedPrediction:
        started = time.perf_counter()
        prediction = _guarded(f"frame {seen.index}: {self.name}", lambda: self._module.predict(seen))
        seconds = time.perf_counter() - started
        self._check(prediction, seen)
        return TimedPrediction(prediction, seconds)

    def _context_of_keys(self) -> str | None:
        """Asked for once a sequence, when all that decides predictions has been loaded."""
        if self._cache is not None and self._sequence is not None and not self._asked_for_context:
            identity = _guarded(self.name, self._module.cache_identity)
            self._context = None
            if identity is not None:
                self._require_plain("cache_identity", identity)
                self._context = context_digest(self._module, identity, self._promised, self._sequence)
            self._asked_for_context = True
        return self._context

    def _check(self, prediction: Any, frame: Frame) -> None:
        _check(prediction, frame, self._promised)
        self._check_label_space(prediction, frame)

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
        self._require_plain("describe", description)
        return description

    def _require_plain(self, method: str, values: Any) -> None:
        try:
            json.dumps(values, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModuleFailedError(f"{self.name}: {method}() must give plain values: {error}") from error


def create_module(choice: ModuleChoice, cache: PredictionCache | None = None) -> GuardedModule:
    """Create the module that was asked for.

    Args:
        choice: Which.
        cache: Where its predictions are kept and found again; None to make all anew.

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
    return GuardedModule(choice.label, module, cache)


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
