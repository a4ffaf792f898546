"""Remembers where every frame was against its keyframe, and makes the final trajectory of that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from adapters.backend import Trajectory


@dataclass(frozen=True)
class _Placed:
    timestamp_ns: int
    keyframe: int
    camera_to_keyframe: NDArray[np.float64]


class FrameLog:
    """All frames since the first with a pose."""

    def __init__(self) -> None:
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

    @property
    def missed(self) -> int:
        """Frames without a pose of their own."""
        return len(self._unplaced_ns)

    def trajectory(self, keyframe_poses: NDArray[np.float64], scales: NDArray[np.float64]) -> Trajectory:
        """A pose for every frame; where a frame has none of its own, between those of its neighbours.

        Args:
            keyframe_poses: float64 [K, 4, 4], camera to world, metres.
            scales: float64 [K], units of the odometry per metre.
        """
        if not self._placed:
            return Trajectory(np.zeros(0, np.int64), np.zeros((0, 7)))
        keyframes = np.array([placed.keyframe for placed in self._placed])
        relative = np.stack([placed.camera_to_keyframe for placed in self._placed])
        relative[:, :3, 3] /= scales[keyframes, None]
        poses = keyframe_poses[keyframes] @ relative
        stamps = np.array([placed.timestamp_ns for placed in self._placed], dtype=np.int64)
        rotations = Rotation.from_matrix(poses[:, :3, :3])
        positions = poses[:, :3, 3]
        if self._unplaced_ns:
            wanted = np.sort(np.concatenate([stamps, np.array(self._unplaced_ns, dtype=np.int64)]))
            # Counted from the first, so that seconds keep their nanoseconds.
            times, wanted_times = (stamps - stamps[0]).astype(float), (wanted - stamps[0]).astype(float)
            within = np.clip(wanted_times, times[0], times[-1])
            if len(stamps) > 1:
                rotations = Slerp(times, rotations)(within)
            else:
                rotations = Rotation.concatenate([rotations] * len(wanted))
            positions = np.stack([np.interp(within, times, positions[:, axis]) for axis in range(3)], axis=1)
            stamps = wanted
        return Trajectory(stamps, np.concatenate([positions, rotations.as_quat(canonical=True)], axis=1))
