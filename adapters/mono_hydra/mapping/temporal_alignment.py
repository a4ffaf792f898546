"""Depth and labels of a frame fused with those of the frames just before it.

Predictions of a network flicker from frame to frame. Where the last frames saw the same surface, their mean
is better than any of them, and the class that most of them saw is more often right.

The current depth is projected into every past frame, rather than past depth into the current one: each pixel
then has one counterpart at most, so that there are no cracks to close and no z-buffer, and what was hidden
then differs in depth and is left out, as is what moved.
"""

from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.labelled_mesh import LABEL_UNKNOWN
from adapters.mono_hydra.mapping.map_options import MapOptions
from adapters.mono_hydra.model import RgbdLabels

_NANOSECONDS_PER_SECOND = 1e9
# A pixel without depth gets one where this many past frames agree.
_LEAST_AGREEING = 2
# Nothing nearer to a camera than this is projected into it, metres.
_NEAREST = np.float32(1e-3)


@dataclass(frozen=True)
class _Past:
    """A frame as it came, and float64 [4, 4] where it was taken."""

    frame: RgbdLabels
    camera_to_world: NDArray[np.float64]


@dataclass(frozen=True)
class _Counterpart:
    """What a past frame says of the pixels of the current one.

    Attributes:
        depth: float32 [H, W], metres in the current camera, any value where it does not count.
        counts: bool [H, W], where both frames see the same surface.
        labels: uint8 [H, W], any value where it does not count; None without.
        weight: By age.
    """

    depth: NDArray[np.float32]
    counts: NDArray[np.bool_]
    labels: NDArray[np.uint8] | None
    weight: np.float32


class TemporalAligner:
    """Remembers the last frames and fuses a new one with them.

    All past frames are so near in time that they are about as far from a surface as the current one, so their
    depth is weighted by age alone.

    Args:
        options: How many frames, how old, how near in depth.
        intrinsics: Camera of all frames.
    """

    def __init__(self, options: MapOptions, intrinsics: CameraIntrinsics) -> None:
        self._options = options
        self._matrix = np.array(
            [[intrinsics.fx, 0.0, intrinsics.cx], [0.0, intrinsics.fy, intrinsics.cy], [0.0, 0.0, 1.0]]
        )
        columns, rows = np.arange(intrinsics.width), np.arange(intrinsics.height)
        # Rays through the centres of pixels: x by column, y by row, z is 1.
        self._rays_x = ((columns - intrinsics.cx) / intrinsics.fx).astype(np.float32)[None, :]
        self._rays_y = ((rows - intrinsics.cy) / intrinsics.fy).astype(np.float32)[:, None]
        self._past: deque[_Past] = deque(maxlen=options.alignment_most_frames)

    def remember(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64]) -> None:
        """Keeps a frame for those to come, as it is; the oldest goes.

        Args:
            frame: The next one in time, not aligned, so that no error outlives the window. Its images are
                kept and must not be written to.
            camera_to_world: float64 [4, 4], in a world that does not jump from frame to frame.
        """
        self._past.append(_Past(frame, camera_to_world))

    def clear(self) -> None:
        """Forgets all frames."""
        self._past.clear()

    def align(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64]) -> RgbdLabels:
        """The frame with depth and labels fused with those of the frames that are remembered.

        Args:
            frame: Later than those.
            camera_to_world: float64 [4, 4], in the same world.

        Returns:
            The frame itself where no frame is remembered that is young enough.
        """
        oldest_ns = frame.timestamp_ns - round(self._options.alignment_longest_s * _NANOSECONDS_PER_SECOND)
        # The newest first: it wins where votes are equal.
        past = [
            known
            for known in reversed(self._past)
            if oldest_ns <= known.frame.timestamp_ns < frame.timestamp_ns
        ]
        return self._fuse(frame, camera_to_world, past) if past else frame

    def _fuse(self, frame: RgbdLabels, camera_to_world: NDArray[np.float64], past: list[_Past]) -> RgbdLabels:
        depth = frame.depth
        fill = self._options.alignment_fill_holes and len(past) >= _LEAST_AGREEING
        assumed = self._with_holes_guessed(depth, camera_to_world, past[0]) if fill else depth
        counterparts = [
            self._counterpart(known, assumed, camera_to_world, frame.timestamp_ns) for known in past
        ]
        if fill:
            counterparts = _without_lonely_guesses(counterparts, depth > 0.0)
        total, weights = depth.astype(np.float32), (depth > 0.0).astype(np.float32)
        for counterpart in counterparts:
            weight = counterpart.counts * counterpart.weight
            total += weight * counterpart.depth
            weights += weight
        fused = np.where(weights > 0.0, total / np.maximum(weights, _NEAREST), np.float32(0.0))
        labels = None if frame.labels is None else _voted(frame.labels, counterparts)
        return replace(frame, depth=fused, labels=labels)

    def _counterpart(
        self, past: _Past, depth: NDArray[np.float32], camera_to_world: NDArray[np.float64], now_ns: int
    ) -> _Counterpart:
        options = self._options
        to_past = np.linalg.inv(past.camera_to_world) @ camera_to_world
        x, y, z = (depth * self._along_rays(row) + np.float32(row[3]) for row in to_past[:3])
        is_ahead = z > _NEAREST
        z = np.where(is_ahead, z, _NEAREST)
        (fx, _, cx), (_, fy, cy), _ = self._matrix.astype(np.float32)
        columns, rows = fx * x / z + cx, fy * y / z + cy
        measured = _nearest_pixels(past.frame.depth, columns, rows, 0)
        gate = np.maximum(np.float32(options.alignment_gate_fraction) * depth, options.alignment_gate_m)
        counts = (np.abs(measured - z) <= gate) & (measured > 0.0) & (depth > 0.0) & is_ahead
        labels = past.frame.labels
        age = (now_ns - past.frame.timestamp_ns) / _NANOSECONDS_PER_SECOND
        # What a past frame measured lies on a ray of its camera, the centre of which is this deep in ours.
        centre = np.float32(np.linalg.inv(to_past)[2, 3])
        return _Counterpart(
            centre + (depth - centre) * (measured / z),
            counts,
            None if labels is None else _nearest_pixels(labels, columns, rows, LABEL_UNKNOWN),
            np.float32(np.exp(-age / options.alignment_decay_s)),
        )

    def _with_holes_guessed(
        self, depth: NDArray[np.float32], camera_to_world: NDArray[np.float64], newest: _Past
    ) -> NDArray[np.float32]:
        """Depth with that of the newest past frame where there is none, as if the camera had only turned."""
        to_past = np.linalg.inv(newest.camera_to_world) @ camera_to_world
        turned = self._matrix @ to_past[:3, :3] @ np.linalg.inv(self._matrix)
        seen = cv2.warpPerspective(
            newest.frame.depth,
            turned,
            (depth.shape[1], depth.shape[0]),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        )
        ahead = self._along_rays(to_past[2])
        centre = np.float32(np.linalg.inv(to_past)[2, 3])
        guessed = centre + seen / np.maximum(ahead, _NEAREST)
        usable = (depth <= 0.0) & (seen > 0.0) & (guessed > 0.0) & (ahead > _NEAREST)
        return np.where(usable, guessed, depth)

    def _along_rays(self, row: NDArray[np.float64]) -> NDArray[np.float32]:
        """One row of a rotation times the rays of all pixels, float32 [H, W]."""
        x, y, z = row[:3].astype(np.float32)
        return (x * self._rays_x + z) + y * self._rays_y


def _nearest_pixels(
    image: NDArray, columns: NDArray[np.float32], rows: NDArray[np.float32], outside: int
) -> NDArray:
    """An image looked up at places; the nearest pixel, as a value between two surfaces is that of neither."""
    return cv2.remap(
        image, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )


def _without_lonely_guesses(
    counterparts: list[_Counterpart], is_measured: NDArray[np.bool_]
) -> list[_Counterpart]:
    """Counterparts that count only where the current frame has depth or enough of them agree."""
    agreeing = np.zeros(is_measured.shape, dtype=np.uint8)
    for counterpart in counterparts:
        agreeing += counterpart.counts
    is_known = is_measured | (agreeing >= _LEAST_AGREEING)
    return [replace(counterpart, counts=counterpart.counts & is_known) for counterpart in counterparts]


def _voted(labels: NDArray[np.uint8], counterparts: list[_Counterpart]) -> NDArray[np.uint8]:
    """The label with most weight at each pixel; where equal, the current one, then the newest."""
    ballots = [
        (np.where(counterpart.counts, counterpart.labels, np.uint8(LABEL_UNKNOWN)), counterpart.weight)
        for counterpart in counterparts
        if counterpart.labels is not None
    ]
    is_contested = np.zeros(labels.shape, dtype=bool)
    for ballot, _ in ballots:
        is_contested |= (ballot != labels) & (ballot != LABEL_UNKNOWN)
    contested = np.flatnonzero(is_contested)
    if len(contested) == 0:
        return labels
    candidates = np.stack(
        [labels.reshape(-1)[contested], *(ballot.reshape(-1)[contested] for ballot, _ in ballots)]
    )
    votes = (candidates != LABEL_UNKNOWN) * np.array([1.0, *(weight for _, weight in ballots)])[:, None]
    scores = np.stack([((candidates == candidate) * votes).sum(axis=0) for candidate in candidates])
    elected = labels.copy()
    best = scores.argmax(axis=0)
    elected.reshape(-1)[contested] = candidates[best, np.arange(len(contested))]
    return elected
