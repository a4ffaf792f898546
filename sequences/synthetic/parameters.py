"""What a synthetic sequence is made from: the parameters that a catalogue entry may set."""

import difflib
import hashlib
import json
import math
from dataclasses import asdict, field, fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, Self, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from sequences.errors import SequenceError
from sequences.model import Intrinsics

# Raised whenever the same parameters would give other files than before.
GENERATOR_VERSION = 2

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]


class PathKind(StrEnum):
    """How the camera is carried."""

    TOUR = "tour"
    """Round trip through every room and back through the doorways, looking ahead."""
    ORBIT = "orbit"
    """Once around the middle of the first room, looking across it."""
    SWEEP = "sweep"
    """A small closed curve in the first room, looking at one side of it."""


@dataclass(frozen=True, config=_STRICT)
class Outage:
    """A time in which image and depth are unusable; the IMU goes on.

    Attributes:
        start_s: Seconds after the first image.
        duration_s: The frames from ``start_s`` on and before ``start_s + duration_s`` are lost.
    """

    start_s: NotNegative
    duration_s: Positive

    def covers(self, time: float) -> bool:
        """Whether an image taken at a time in seconds after the first is lost."""
        return self.start_s <= time < self.start_s + self.duration_s


@dataclass(frozen=True, config=_STRICT)
class SensorEffects:
    """What the sensors do to the ideal images. Everything is off by default.

    Of depth there are two kinds of faults: those of a structured-light sensor (noise, steps and holes in
    disparity), and those of a network that estimates depth (scale and relative noise). Both may be on.

    Attributes:
        motion_blur_renders: Renders averaged over the exposure; 1 is a sharp image.
        exposure_time_s: How long the shutter is open; only used with motion blur.
        exposure_drift_stops: Largest slow change of exposure, in stops.
        image_noise: Standard deviation of the noise of a mid-grey pixel, grey levels of 255.
        depth_noise_px: Standard deviation of the sensor's disparity, pixels. The depth error is then
            ``z² · depth_noise_px / (focal length · baseline)``.
        depth_step_px: Disparity is rounded to multiples of this, pixels; 0 does not round.
        depth_lateral_px: Standard deviation of the place a depth pixel is read from, pixels.
        depth_baseline_m: Distance from the infrared camera to its projector, metres.
        depth_holes: Leave out what the sensor cannot see: projector shadows beside edges, surfaces at a
            grazing angle, window panes, and anything out of range.
        depth_minimum_m: Nearest depth with ``depth_holes``, metres.
        depth_maximum_m: Farthest depth with ``depth_holes``, metres.
        depth_scale: Everything the depth sensor says is multiplied by this, as a biased network does.
        depth_scale_drift: Amplitude of a slow change of that scale over the sequence, part of one.
        depth_relative_noise: Standard deviation of multiplicative noise, part of the depth.
        depth_relative_noise_px: Standard deviation of the Gaussian that this noise is smoothed with, pixels
            of the image: neighbours err alike, as they do in a network's answer. 0 leaves it white.
        label_noise: Share of the pixels of every image whose label is wrong. They lie in blobs, each of
            which takes on another class that is in sight.
        outages: When image and depth are unusable: the image is dark but for noise, no depth is known and
            no label.
    """

    motion_blur_renders: Annotated[int, Field(ge=1, le=32)] = 1
    exposure_time_s: NotNegative = 0.0
    exposure_drift_stops: NotNegative = 0.0
    image_noise: NotNegative = 0.0
    depth_noise_px: NotNegative = 0.0
    depth_step_px: NotNegative = 0.0
    depth_lateral_px: NotNegative = 0.0
    depth_baseline_m: Positive = 0.075
    depth_holes: bool = False
    depth_minimum_m: Positive = 0.4
    depth_maximum_m: Positive = 6.0
    depth_scale: Positive = 1.0
    depth_scale_drift: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    depth_relative_noise: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    depth_relative_noise_px: Annotated[float, Field(ge=0.0, le=200.0)] = 8.0
    label_noise: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class ImuParameters:
    """Rate and noise of the IMU; the values are those of a common MEMS part.

    Attributes:
        rate_hz: Samples a second.
        gyroscope_noise: White noise density, rad/s/√Hz.
        gyroscope_walk: Bias random walk, rad/s²/√Hz.
        accelerometer_noise: White noise density, m/s²/√Hz.
        accelerometer_walk: Bias random walk, m/s³/√Hz.
    """

    rate_hz: Positive = 200.0
    gyroscope_noise: NotNegative = 1.7e-4
    gyroscope_walk: NotNegative = 2.0e-5
    accelerometer_noise: NotNegative = 2.0e-3
    accelerometer_walk: NotNegative = 3.0e-3


@dataclass(frozen=True, config=_STRICT)
class SyntheticParameters:
    """Everything that decides what a synthetic sequence looks like.

    Attributes:
        seed: Decides the flat, its furniture, textures, path and noise.
        frames: Number of images.
        rate_hz: Images a second.
        width: Image width, pixels.
        height: Image height, pixels.
        horizontal_field_of_view_deg: Of the image, degrees.
        rooms: 1 to 4.
        path: How the camera is carried.
        laps: How often the closed path is walked; a little more than 1 makes the end overlap the start.
        reach: How far into each room a tour goes, as a part of the way from the doorway to the middle.
        hand_jitter: Strength of the hand's unsteadiness; 1 is an ordinary hand, 0 none.
        hand_sway_m: How far the hand also moves the camera to and fro on purpose, in all three directions at
            different rates of about half a hertz, as one does to initialise an IMU; amplitude, metres.
        walkers: How many people walk about on closed paths in the camera's view.
        normals: Also write the surface normals.
        imu: Rate and noise of the IMU.
        effects: What the sensors do to the ideal images.
    """

    seed: Annotated[int, Field(ge=0)]
    frames: Annotated[int, Field(ge=2)] = 300
    rate_hz: Positive = 15.0
    width: Annotated[int, Field(ge=16, le=4096)] = 640
    height: Annotated[int, Field(ge=16, le=4096)] = 480
    horizontal_field_of_view_deg: Annotated[float, Field(ge=20.0, le=120.0)] = 64.0
    rooms: Annotated[int, Field(ge=1, le=4)] = 2
    path: PathKind = PathKind.TOUR
    laps: Positive = 1.0
    reach: Annotated[float, Field(ge=0.3, le=1.0)] = 1.0
    hand_jitter: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    hand_sway_m: Annotated[float, Field(ge=0.0, le=0.15)] = 0.0
    walkers: Annotated[int, Field(ge=0, le=6)] = 0
    normals: bool = False
    imu: ImuParameters = field(default_factory=ImuParameters)
    effects: SensorEffects = field(default_factory=SensorEffects)

    @model_validator(mode="after")
    def _check_outages(self) -> Self:
        for outage in self.effects.outages:
            if outage.start_s > self.duration_s:
                raise ValueError(
                    f"an outage of 'effects.outages' starts after {outage.start_s:g} s, but the last image "
                    f"is taken after {self.duration_s:g} s"
                )
        return self

    @property
    def duration_s(self) -> float:
        """Time from the first image to the last, seconds."""
        return (self.frames - 1) / self.rate_hz

    def intrinsics(self) -> Intrinsics:
        """The camera: square pixels, principal point in the middle of the image."""
        half_angle = math.radians(self.horizontal_field_of_view_deg / 2)
        focal_length = self.width / 2 / math.tan(half_angle)
        centre = ((self.width - 1) / 2, (self.height - 1) / 2)
        return Intrinsics(focal_length, focal_length, *centre, self.width, self.height)

    def as_mapping(self) -> dict[str, Any]:
        """The parameters as plain values, ready for YAML or JSON."""
        return json.loads(json.dumps(asdict(self)))

    def digest(self) -> str:
        """Names the sequence in a cache: parameters and generator version, 16 hexadecimal digits."""
        text = json.dumps({"version": GENERATOR_VERSION, **self.as_mapping()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parameters_from_mapping(name: str, mapping: dict[str, Any]) -> SyntheticParameters:
    """Check the parameters of a catalogue entry.

    Args:
        name: Of the sequence, for messages.
        mapping: As read from YAML.

    Raises:
        SequenceError: A parameter is unknown, missing, of the wrong type or out of range.
    """
    try:
        return TypeAdapter(SyntheticParameters).validate_python(mapping)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise SequenceError(f"sequence '{name}': {problems}") from error


def _problem(detail: Any) -> str:
    """One sentence about one wrong parameter."""
    location = [str(part) for part in detail["loc"]]
    if not location:
        return str(detail["msg"]).removeprefix("Value error, ")
    parameter = ".".join(location)
    if detail["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"parameter '{parameter}': {detail['msg'].lower()} (it is {detail['input']!r})"
    known = [".".join((*location[:-1], known)) for known in _names_beside(location)]
    nearest = difflib.get_close_matches(parameter, known, n=1)
    suggestion = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"unknown parameter '{parameter}'.{suggestion} There are: {', '.join(known)}."


def _names_beside(location: list[str]) -> list[str]:
    """Names of the parameters in the group that ``location`` points into."""
    group: Any = SyntheticParameters
    for part in location[:-1]:
        if not is_dataclass(group):
            # A position in a list: every entry has the type that comes first in the list's own.
            group = get_args(group)[0]
        else:
            group = next(entry.type for entry in fields(group) if entry.name == part)
    return [entry.name for entry in fields(group)] if is_dataclass(group) else []
