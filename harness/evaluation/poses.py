"""Poses with time stamps, checked once so that nothing downstream meets a NaN."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.errors import EvaluationError
from sequences.timestamps import nanoseconds_to_seconds_text

# Files carry quaternions with as few as four decimals; anything further from unit length is no rotation.
_UNIT_LENGTH_TOLERANCE = 0.01


@dataclass(frozen=True)
class TimedPoses:
    """A trajectory: camera poses in one world, each at its own instant.

    Attributes:
        timestamps_ns: int64 [N], strictly increasing.
        positions: float64 [N, 3], camera centre in the world, metres.
        quaternions: float64 [N, 4], camera to world, x y z w, unit length up to the rounding of a file.

    Raises:
        EvaluationError: An entry is NaN or infinite, the time stamps do not increase, a quaternion is no
            rotation, or the arrays differ in length; the message names the pose.
    """

    timestamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    quaternions: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.timestamps_ns)
        # evo would score 15 poses with 20 time stamps without a word.
        if self.positions.shape != (count, 3) or self.quaternions.shape != (count, 4):
            raise EvaluationError(
                f"{count} time stamps, positions of shape {self.positions.shape} and quaternions of shape "
                f"{self.quaternions.shape} do not make a trajectory; expected ({count}, 3) and ({count}, 4)"
            )
        entries = np.hstack([self.positions, self.quaternions])
        self._refuse(np.count_nonzero(~np.isfinite(entries), axis=1) > 0, "has NaN or infinite entries")
        off_unit = np.abs(np.linalg.norm(self.quaternions, axis=1) - 1.0)
        self._refuse(off_unit > _UNIT_LENGTH_TOLERANCE, "has a quaternion that is not of unit length")
        # Compared rather than subtracted: differences of far-off time stamps would overflow.
        earlier = np.concatenate([[False], self.timestamps_ns[1:] <= self.timestamps_ns[:-1]])[:count]
        self._refuse(earlier, "is not later than the pose before it; time stamps must increase strictly")

    def _refuse(self, wrong: NDArray[np.bool_], problem: str) -> None:
        if wrong.any():
            first = int(np.argmax(wrong))
            time = nanoseconds_to_seconds_text(int(self.timestamps_ns[first]))
            raise EvaluationError(
                f"pose {first} (t = {time} s) {problem}; {np.count_nonzero(wrong)} of {len(self)} poses do"
            )

    def __len__(self) -> int:
        return len(self.timestamps_ns)

    def take(self, indices: NDArray[np.int64]) -> "TimedPoses":
        """The poses at ``indices``, which must increase."""
        return TimedPoses(self.timestamps_ns[indices], self.positions[indices], self.quaternions[indices])

    def rotations(self) -> Rotation:
        """The orientations, camera to world, with quaternions brought to exact unit length."""
        return Rotation.from_quat(self.quaternions)
