"""Removal of lens distortion: what the camera saw, resampled to what a pinhole camera would have seen."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.calibration import Calibration
from sequences.model import LABEL_UNKNOWN

#: For the notes of a sequence.
DISTORTION_REMOVED = (
    "Lens distortion was removed from the images; intrinsics are those of the pinhole camera."
)


class LensCorrection:
    """Resamples images of one camera. The maps are computed once, when the first image comes.

    Args:
        calibration: A camera with distortion. The corrected images keep its size and pinhole intrinsics.
    """

    def __init__(self, calibration: Calibration):
        if calibration.distortion is None:
            raise ValueError("the camera has no lens distortion to remove")
        self._calibration = calibration

    @cached_property
    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        intrinsics = self._calibration.intrinsics
        matrix, size = intrinsics.matrix(), (intrinsics.width, intrinsics.height)
        distortion = np.array(self._calibration.distortion)
        columns, rows = cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, size, cv2.CV_32FC1)
        return columns.astype(np.float32, copy=False), rows.astype(np.float32, copy=False)

    def colour(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Correct a colour image, bilinear; black where the camera saw nothing."""
        return cv2.remap(image, *self._maps, cv2.INTER_LINEAR).astype(np.uint8, copy=False)

    def depth(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct a depth image, nearest neighbour so that no distance is invented at edges; 0 outside."""
        return cv2.remap(image, *self._maps, cv2.INTER_NEAREST).astype(np.float32, copy=False)

    def labels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Correct a label image, nearest neighbour; unknown outside."""
        return cv2.remap(
            image, *self._maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=LABEL_UNKNOWN
        ).astype(np.uint8, copy=False)
