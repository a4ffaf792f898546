"""Rotation matrices as quaternions and angles."""

import numpy as np
from numpy.typing import NDArray


def quaternion_from_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit quaternion x y z w, w not negative, of a rotation matrix [3, 3].

    It is the eigenvector of the largest eigenvalue of a symmetric matrix made of the rotation's entries
    (Bar-Itzhack: New Method for Extracting the Quaternion from a Rotation Matrix. JGCD 23(6), 2000), which
    has none of the special cases of the formulas by trace.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return np.asarray(-quaternion if quaternion[3] < 0.0 else quaternion)


def rotation_angle(rotation: NDArray[np.float64]) -> float:
    """Angle of a rotation matrix [3, 3], radians, 0 to pi."""
    return float(np.arccos(np.clip((np.trace(rotation) - 1.0) / 2.0, -1.0, 1.0)))
