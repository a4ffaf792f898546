"""Keeps the keyframes that a map is made of, compressed, for as long as the map may have to be made again.

A keyframe that looks where enough others have looked already is not kept, so that memory grows with the space
that was explored and not with time.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.model import RgbdLabels

# Depth is stored in whole multiples of this, metres; of more where it reaches beyond 16 m.
_DEPTH_STEP = 0.00025
_MOST_STEPS = np.iinfo(np.uint16).max
_JPEG_QUALITY = 92
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True)
class _Packed:
    index: int
    timestamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint8]
    depth_step: float
    labels: NDArray[np.uint8] | None


class KeyframeStore:
    """Compressed keyframes by number.

    Args:
        nearness: Two views from places nearer to each other than this are alike, metres ...
        alignment: ... if the angle between their directions is below this, degrees.
        most_alike: So many alike views are kept.
    """

    def __init__(self, nearness: float, alignment: float, most_alike: int) -> None:
        self._nearness = nearness
        self._least_cosine = float(np.cos(np.radians(alignment)))
        self._most_alike = most_alike
        self._packed: dict[int, _Packed] = {}

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def keyframes(self) -> list[int]:
        """Numbers of the kept keyframes, in the order they came."""
        return list(self._packed)

    @property
    def nbytes(self) -> int:
        """Memory taken by the images."""
        return sum(
            packed.rgb.nbytes + packed.depth.nbytes + (0 if packed.labels is None else packed.labels.nbytes)
            for packed in self._packed.values()
        )

    def offer(
        self, keyframe: int, frame: RgbdLabels, pose: NDArray[np.float64], poses: list[NDArray[np.float64]]
    ) -> bool:
        """Keeps a keyframe if there are not yet enough views like it.

        Args:
            keyframe: Its number.
            frame: Its images.
            pose: float64 [4, 4], camera to world.
            poses: Camera to world of all keyframes by number.

        Returns:
            Whether it was kept.
        """
        if self._packed:
            kept = np.stack([poses[number] for number in self._packed])
            near = np.linalg.norm(kept[:, :3, 3] - pose[:3, 3], axis=1) < self._nearness
            near &= kept[:, :3, 2] @ pose[:3, 2] > self._least_cosine
            if near.sum() >= self._most_alike:
                return False
        self._packed[keyframe] = _pack(frame)
        return True

    def frame(self, keyframe: int) -> RgbdLabels:
        """A kept keyframe; colours have been through JPEG, depth is in steps of a quarter millimetre."""
        packed = self._packed[keyframe]
        bgr = cv2.imdecode(packed.rgb, cv2.IMREAD_COLOR)
        depth = cv2.imdecode(packed.depth, cv2.IMREAD_UNCHANGED)
        assert bgr is not None, "what was packed here can be unpacked"
        assert depth is not None, "what was packed here can be unpacked"
        labels = None if packed.labels is None else cv2.imdecode(packed.labels, cv2.IMREAD_UNCHANGED)
        return RgbdLabels(
            packed.index,
            packed.timestamp_ns,
            np.ascontiguousarray(bgr[..., ::-1]),
            depth.astype(np.float32) * np.float32(packed.depth_step),
            labels,
        )


def _pack(frame: RgbdLabels) -> _Packed:
    depth_step = max(_DEPTH_STEP, float(frame.depth.max()) / _MOST_STEPS)
    steps = np.rint(frame.depth / np.float32(depth_step))
    return _Packed(
        frame.index,
        frame.timestamp_ns,
        cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1],
        cv2.imencode(".png", steps.astype(np.uint16), _PNG_FAST)[1],
        depth_step,
        None if frame.labels is None else cv2.imencode(".png", frame.labels, _PNG_FAST)[1],
    )
