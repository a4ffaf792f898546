"""Follows corners from image to image by optical flow.

Shi, Tomasi: Good Features to Track. CVPR 1994; Bouguet: Pyramidal Implementation of the Lucas Kanade Feature
Tracker. Intel, 2000; both as OpenCV has them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.odometry.options import OdometryOptions

_CORNER_QUALITY = 0.005
_CORNER_BLOCK = 5
_FLOW_END = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02)
_BORDER = 4


@dataclass(frozen=True)
class Tracks:
    """Corners in one image.

    Attributes:
        ids: int64 [N], the same for a corner in every image.
        pixels: float32 [N, 2], column and row.
    """

    ids: NDArray[np.int64]
    pixels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def kept(self, keep: NDArray[np.bool_]) -> "Tracks":
        """Those of a mask."""
        return Tracks(self.ids[keep], self.pixels[keep])


NO_TRACKS = Tracks(np.zeros(0, np.int64), np.zeros((0, 2), np.float32))


class FeatureTracker:
    """Keeps the last image and the corners in it."""

    def __init__(self, options: OdometryOptions) -> None:
        self._options = options
        self._image: NDArray[np.uint8] | None = None
        self._next_id = 0
        self.tracks = NO_TRACKS

    def follow(
        self, gray: NDArray[np.uint8], expected: NDArray[np.float32], forbidden: NDArray[np.bool_] | None
    ) -> Tracks:
        """Finds the corners of the last image in a new one.

        The last image and its corners stay what they are until :meth:`accept`, so that an unusable image
        costs nothing.

        Args:
            gray: uint8 [H, W].
            expected: float32 [N, 2], where each corner is likely to be.
            forbidden: bool [H, W], where no corner may be; None for nowhere.

        Returns:
            The corners that were found again.
        """
        if self._image is None or not len(self.tracks):
            return NO_TRACKS
        last_pixels = np.ascontiguousarray(self.tracks.pixels)
        found, ok = self._flow(self._image, gray, last_pixels, np.ascontiguousarray(expected, np.float32))
        back, ok_back = self._flow(gray, self._image, found, last_pixels.copy())
        height, width = gray.shape
        keep = (
            ok
            & ok_back
            & (np.abs(back - last_pixels).max(axis=1) < self._options.flow_largest_return)
            & (found >= _BORDER).all(axis=1)
            & (found[:, 0] < width - _BORDER)
            & (found[:, 1] < height - _BORDER)
        )
        if forbidden is not None and keep.any():
            columns, rows = np.rint(found[keep]).astype(np.intp).T
            keep[keep] = ~forbidden[rows, columns]
        return Tracks(self.tracks.ids[keep], found[keep])

    def accept(self, gray: NDArray[np.uint8], tracks: Tracks) -> None:
        """Makes an image the last one, with the corners that were found to be right in it."""
        self._image = gray
        self.tracks = tracks

    def replenish(self, gray: NDArray[np.uint8], forbidden: NDArray[np.bool_] | None) -> None:
        """Adds corners to the last image where there are none."""
        new = self._new_corners(gray, self.tracks, forbidden)
        self.tracks = Tracks(
            np.concatenate([self.tracks.ids, new.ids]), np.concatenate([self.tracks.pixels, new.pixels])
        )

    def fresh_corners(self, gray: NDArray[np.uint8], forbidden: NDArray[np.bool_] | None) -> Tracks:
        """Corners of an image that have nothing to do with any before."""
        return self._new_corners(gray, NO_TRACKS, forbidden)

    def _new_corners(
        self, gray: NDArray[np.uint8], present: Tracks, forbidden: NDArray[np.bool_] | None
    ) -> Tracks:
        missing = self._options.features - len(present)
        if missing <= 0:
            return NO_TRACKS
        free = np.full(gray.shape, 255, np.uint8)
        if forbidden is not None:
            free[forbidden] = 0
        free[:_BORDER], free[-_BORDER:], free[:, :_BORDER], free[:, -_BORDER:] = 0, 0, 0, 0
        for column, row in np.rint(present.pixels).astype(int):
            cv2.circle(free, (int(column), int(row)), self._options.feature_distance, 0, -1)
        corners = cv2.goodFeaturesToTrack(
            gray, missing, _CORNER_QUALITY, self._options.feature_distance, mask=free, blockSize=_CORNER_BLOCK
        )
        if corners is None:
            return NO_TRACKS
        corners = corners.reshape(-1, 2)
        ids = np.arange(self._next_id, self._next_id + len(corners))
        self._next_id += len(corners)
        return Tracks(ids, corners)

    def _flow(
        self,
        first: NDArray[np.uint8],
        second: NDArray[np.uint8],
        pixels: NDArray[np.float32],
        expected: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            first,
            second,
            pixels,
            expected,
            winSize=(self._options.flow_window, self._options.flow_window),
            maxLevel=self._options.flow_levels,
            criteria=_FLOW_END,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        return found, (status.ravel() > 0) & np.isfinite(found).all(axis=1)
