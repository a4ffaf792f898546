"""What two frames have in common: features of one found in the other."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.model import Frame

# A feature counts as found again when the second best place is so much worse (Lowe, "Distinctive image
# features from scale-invariant keypoints", IJCV 2004, section 7.1, has 0.8).
_RATIO = 0.75

FeatureFinder = Callable[[Frame, Frame], tuple[NDArray[np.float64], NDArray[np.float64]]]


def matched_features(first: Frame, second: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what two images have in common, by SIFT and the ratio test (Lowe, IJCV 2004, section 7.1).

    Returns:
        Where it is in the first and in the second image: two of float64 [N, 3], column, row and 1.
    """
    finder = cv2.SIFT.create()
    places, descriptors = [], []
    for frame in (first, second):
        found, described = finder.detectAndCompute(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), None)
        places.append(cv2.KeyPoint.convert(found))
        descriptors.append(described)
    if any(len(found) < 2 for found in places):
        return np.empty((0, 3)), np.empty((0, 3))
    candidates = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors[0], descriptors[1], k=2)
    matches = [best for best, next_best in candidates if best.distance < _RATIO * next_best.distance]
    here = np.array([places[0][match.queryIdx] for match in matches], dtype=np.float64).reshape(-1, 2)
    there = np.array([places[1][match.trainIdx] for match in matches], dtype=np.float64).reshape(-1, 2)
    ones = np.ones((len(matches), 1))
    return np.hstack([here, ones]), np.hstack([there, ones])
