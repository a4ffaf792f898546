"""What tracking and the process behind it tell each other."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.label_space import LabelSpace
from adapters.mono_hydra.model import Anchor, Link, RgbdLabels
from adapters.mono_hydra.options import MonoHydraOptions


@dataclass(frozen=True)
class BackEndSetup:
    """Everything the back end is told at the start.

    Attributes:
        options: Of the whole backend.
        intrinsics: Camera of all frames.
        label_space: What labels mean; None without labels.
        seed: For every random number.
        output_directory: Where the map is written.
    """

    options: MonoHydraOptions
    intrinsics: CameraIntrinsics
    label_space: LabelSpace | None
    seed: int
    output_directory: Path


@dataclass(frozen=True)
class NewKeyframe:
    """A keyframe, and what the odometry knows of poses now.

    Attributes:
        keyframe: Its number: they count from 0.
        frame: Its images; depth in the odometry's unit.
        poses: Camera to world of this and of earlier keyframes that have been refined, by number.
        link: What ties it to the keyframe before.
        anchor: The keyframe it was recognised by when tracking was lost.
        for_map: Whether the map takes it in.
        inverse_depth_noise: Standard deviation of its inverse depth as the odometry knows it, 1/m.
    """

    keyframe: int
    frame: RgbdLabels
    poses: dict[int, NDArray[np.float64]]
    link: Link
    anchor: Anchor | None
    for_map: bool
    inverse_depth_noise: float


@dataclass(frozen=True)
class Locate:
    """A frame to be found among the keyframes."""

    frame: RgbdLabels


@dataclass(frozen=True)
class Finish:
    """The end of the sequence.

    Attributes:
        poses: float64 [K, 4, 4], camera to world of all keyframes by the odometry, in its unit.
        scales: float64 [K], units of the odometry per metre at each.
        upwards: Numbers of keyframes, and upwards in their camera's frame, float64 [3], by the IMU.
    """

    poses: NDArray[np.float64]
    scales: NDArray[np.float64]
    upwards: tuple[tuple[int, NDArray[np.float64]], ...] = ()


@dataclass(frozen=True)
class Ready:
    """Everything is loaded."""


@dataclass(frozen=True)
class KeyframeDone:
    """Answer to a keyframe.

    Attributes:
        keyframe: Its number.
        correction: float64 [4, 4], takes the odometry's world to that of the closed loops; None when it has
            not changed.
        connected: Whether measurements tie it to the first keyframe.
    """

    keyframe: int
    correction: NDArray[np.float64] | None
    connected: bool


@dataclass(frozen=True)
class Located:
    """Answer to :class:`Locate`.

    Attributes:
        anchor: The keyframe that shows the same place; None when there is none.
    """

    anchor: Anchor | None


@dataclass(frozen=True)
class Finished:
    """Answer to :class:`Finish`.

    Attributes:
        poses: float64 [K, 4, 4], final camera to world of all keyframes, metres, z up.
        connected: bool [K], keyframes that are tied to most of the others. Where the rest is, nobody knows.
        peak_memory_bytes: Most memory that the process held.
        files: Names of what was written.
        statistics: For the record.
    """

    poses: NDArray[np.float64]
    connected: NDArray[np.bool_]
    peak_memory_bytes: int
    files: tuple[str, ...]
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BackEndFailed:
    """The back end has met something that it cannot work with, or a defect of its own."""

    message: str


Request = NewKeyframe | Locate | Finish
Answer = Ready | KeyframeDone | Located | Finished | BackEndFailed
