"""Remembers where every frame was against its keyframe; makes the final trajectory of that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from adapters.backend import Trajectory

_NANOSECONDS = 1e9


@dataclass(frozen=True)
class _Placed:
    timestamp_ns: int
    keyframe: int
    camera_to_keyframe: NDArray[np.float64]


@dataclass(frozen=True)
class FinalTrajectory:
    """The trajectory at the end.

    Attributes:
        trajectory: A pose for every frame that has one.
        interpolated: Frames whose pose lies between those of their neighbours.
        not_connected: Frames that were followed, nobody knows where; they have no pose.
    """

    trajectory: Trajectory
    interpolated: int
    not_connected: int


class FrameLog:
    """All frames since the first with a pose.

    Args:
        longest_gap_s: Frames without a pose of their own get one between their neighbours when those are not
            farther apart than this. Anything longer, or after the last one, would be a guess.
    """

    def __init__(self, longest_gap_s: float) -> None:
        self._longest_gap_ns = longest_gap_s * _NANOSECONDS
        self._placed: list[_Placed] = []
        self._unplaced_ns: list[int] = []

    def place(self, timestamp_ns: int, keyframe: int, camera_to_keyframe: NDArray[np.float64]) -> None:
        """Notes a frame with a pose.

        Args:
            timestamp_ns: Of the frame.
            keyframe: Number of the keyframe it is seen from.
            camera_to_keyframe: float64 [4, 4], in the odometry's unit.
        """
        self._placed.append(_Placed(timestamp_ns, keyframe, camera_to_keyframe))

    def miss(self, timestamp_ns: int) -> None:
        """Notes a frame without a pose. Before the first one with a pose there is nothing to be missed."""
        if self._placed:
            self._unplaced_ns.append(timestamp_ns)

    def trajectory(
        self,
        keyframe_poses: NDArray[np.float64],
        scales: NDArray[np.float64],
        connected: NDArray[np.bool_],
    ) -> FinalTrajectory:
        """Puts every frame in its place beside its keyframe.

        Args:
            keyframe_poses: float64 [K, 4, 4], camera to world, metres.
            scales: float64 [K], units of the odometry per metre.
            connected: bool [K], keyframes whose place is known.
        """
        placed = [frame for frame in self._placed if connected[frame.keyframe]]
        apart = len(self._placed) - len(placed)
        if not placed:
            return FinalTrajectory(Trajectory(np.zeros(0, np.int64), np.zeros((0, 7))), 0, apart)
        keyframes = np.array([frame.keyframe for frame in placed])
        relative = np.stack([frame.camera_to_keyframe for frame in placed])
        relative[:, :3, 3] /= scales[keyframes, None]
        poses = keyframe_poses[keyframes] @ relative
        stamps = np.array([frame.timestamp_ns for frame in placed], dtype=np.int64)
        rotations, positions = Rotation.from_matrix(poses[:, :3, :3]), poses[:, :3, 3]
        between = self._between(stamps)
        if len(between):
            wanted = np.sort(np.concatenate([stamps, between]))
            # Counted from the first, so that seconds keep their nanoseconds.
            times, wanted_times = (stamps - stamps[0]).astype(float), (wanted - stamps[0]).astype(float)
            rotations = Slerp(times, rotations)(wanted_times)
            positions = np.stack([np.interp(wanted_times, times, axis) for axis in positions.T], axis=1)
            stamps = wanted
        rows = np.concatenate([positions, rotations.as_quat(canonical=True)], axis=1)
        return FinalTrajectory(Trajectory(stamps, rows), len(between), apart)

    def _between(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [M], frames without a pose that lie in short gaps between those with one."""
        missed = np.array(self._unplaced_ns, dtype=np.int64)
        after = np.searchsorted(stamps, missed)
        inside = (after > 0) & (after < len(stamps))
        missed, after = missed[inside], after[inside]
        return missed[stamps[after] - stamps[after - 1] <= self._longest_gap_ns]
