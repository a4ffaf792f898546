"""Perception module ``degraded``: the sensor's depth and labels made worse by known amounts.

``degraded:noise=0.05+bias=-0.1`` is the sensor with 5 % noise that says everything 10 % too near. What stands
behind the colon names the variant in all results, so that several are modules of one experiment;
``--set degraded.OPTION=VALUE`` holds for all of them. Errors are drawn from the seed and the frame's index
alone: in whatever order frames are asked for, and however often, each has the same.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, ValidationError

from perception.errors import PerceptionError
from perception.module import Prediction
from perception.sensor import SensorModule
from perception.settings import Settings
from sequences.model import Frame, SequenceInfo
from sequences.synthetic.parameters import SensorEffects
from sequences.synthetic.sensor_effects import label_image, network_depth

_EXAMPLE = "degraded:noise=0.05+bias=-0.1"

#: Standard deviation of the Gaussian that holes are cut from, part of the image's width.
_HOLE_SIZE = 0.03
#: Any spread will do: holes are where the smooth field is least.
_FIELD_SPREAD = 0.1
#: However far a scale flickers, depth keeps this part of itself.
_LEAST_SCALE = 0.1


class _Part(IntEnum):
    """What is drawn from random numbers of its own, so that one option changes nothing of another's."""

    DEPTH = 0
    HOLES = 1
    FLICKER = 2
    LABELS = 3


class Degradation(Settings):
    """How much worse; every default leaves the sensor as it is.

    Attributes:
        noise: Standard deviation of multiplicative noise, part of the depth; new in every frame.
        noise_px: Standard deviation of the Gaussian that smooths this noise, pixels: neighbours err alike, as
            in a network's answer.
        bias: Error of the scale in all frames, part of the depth: at 0.1 everything is 10 % too far.
        scale_drift: Amplitude of a slow change of the scale over the sequence, part of one.
        flicker: Standard deviation of the scale from frame to frame, part of one; each frame's is its own.
        holes: Share of every image that is without depth, in blobs, beside what the sensor does not know.
        label_noise: Share of every image whose label is wrong, in blobs.
        seed: For all that is random.
    """

    noise: FiniteFloat = Field(default=0.0, ge=0, le=0.5)
    noise_px: FiniteFloat = Field(default=8.0, ge=0, le=200)
    bias: FiniteFloat = Field(default=0.0, gt=-1, le=10)
    scale_drift: FiniteFloat = Field(default=0.0, ge=0, lt=1)
    flicker: FiniteFloat = Field(default=0.0, ge=0, le=0.5)
    holes: FiniteFloat = Field(default=0.0, ge=0, lt=1)
    label_noise: FiniteFloat = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**31)


class DegradedModule(SensorModule):
    """The sensor's depth made worse in known steps; ``degraded:OPTION=VALUE+OPTION=VALUE``."""

    def __init__(self, degradation: Degradation):
        super().__init__()
        self._degradation = degradation
        self._frames = 1
        self._depth_effects = SensorEffects(
            depth_scale=1 + degradation.bias,
            depth_scale_drift=degradation.scale_drift,
            depth_relative_noise=degradation.noise,
            depth_relative_noise_px=degradation.noise_px,
        )
        self._label_effects = SensorEffects(label_noise=degradation.label_noise)

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> "DegradedModule":
        """The module for the options behind its name and those that were set.

        Raises:
            PerceptionError: One is given in both places, does not exist or has an impossible value, or there
                are none at all.
        """
        named = _parse_argument(argument)
        twice = sorted(named.keys() & options.keys())
        if twice:
            raise PerceptionError(f"option {', '.join(twice)} stands behind its name and is set as well")
        if not named and not options:
            raise PerceptionError(f"say what is to be worse, as in {_EXAMPLE}; options: {_known_options()}")
        return cls(_degradation(named, options))

    def outputs(self, sequence: SequenceInfo) -> frozenset[str]:
        """What the sensor gives."""
        if not sequence.has_depth:
            raise PerceptionError(
                f"perception 'degraded' makes recorded depth worse and sequence '{sequence.name}' has none"
            )
        self._frames = len(sequence.timestamps_ns)
        return super().outputs(sequence)

    def predict(self, frame: Frame) -> Prediction:
        """Depth and labels of the sensor, worse."""
        recorded = super().predict(frame)
        assert recorded.depth is not None, "the sensor gives depth or an error"
        labels = recorded.semantics
        if labels is not None:
            labels = label_image(labels, self._label_effects, self._seed(_Part.LABELS), frame.index)
        return Prediction(self._depth(recorded.depth, frame.index), labels, recorded.label_space)

    def describe(self) -> dict[str, Any]:
        """All options, and NumPy's version, of which the random numbers are."""
        return {**self._degradation.model_dump(), "packages": {"numpy": np.__version__}}

    def _depth(self, depth: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        part = index / max(self._frames - 1, 1)
        worse = network_depth(depth, self._depth_effects, self._seed(_Part.DEPTH), index, part)
        if self._degradation.flicker > 0:
            worse = worse * np.float32(self._flickering_scale(index))
        if self._degradation.holes > 0:
            worse = np.where(self._holes(depth.shape, index), np.float32(0), worse)
        return worse

    def _flickering_scale(self, index: int) -> float:
        rng = np.random.default_rng([self._seed(_Part.FLICKER), index])
        return max(1 + self._degradation.flicker * rng.standard_normal(), _LEAST_SCALE)

    def _holes(self, shape: tuple[int, ...], index: int) -> NDArray[np.bool_]:
        """Pixels without depth, bool [H, W]: where smooth noise is least, until their share is reached."""
        smooth = SensorEffects(
            depth_relative_noise=_FIELD_SPREAD, depth_relative_noise_px=_HOLE_SIZE * shape[1]
        )
        field = network_depth(np.ones(shape, np.float32), smooth, self._seed(_Part.HOLES), index, 0.0)
        return np.asarray(field < np.quantile(field, self._degradation.holes))

    def _seed(self, part: _Part) -> int:
        """A seed that no other part has, and no other seed's part."""
        return len(_Part) * self._degradation.seed + part


def _parse_argument(argument: str | None) -> dict[str, str]:
    """The options in ``noise=0.05+bias=-0.1``, values as they are written.

    Raises:
        PerceptionError: It is not of that form, or names an option twice.
    """
    named: dict[str, str] = {}
    for part in argument.split("+") if argument else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise PerceptionError(f"'{part}' is not OPTION=VALUE, as in {_EXAMPLE}")
        if name in named:
            raise PerceptionError(f"option {name} is given twice")
        named[name] = value
    return named


def _degradation(named: Mapping[str, str], options: Mapping[str, Any]) -> Degradation:
    unknown = sorted((named.keys() | options.keys()) - Degradation.model_fields.keys())
    if unknown:
        raise PerceptionError(f"there is no option {', '.join(unknown)}; options: {_known_options()}")
    try:
        values = Degradation.model_validate_strings(dict(named)).model_dump(exclude_unset=True)
        return Degradation.model_validate(dict(options) | values)
    except ValidationError as error:
        wrong = "; ".join(f"option {item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise PerceptionError(wrong) from error


def _known_options() -> str:
    return ", ".join(Degradation.model_fields)
