"""Ways in which a reader may get poses or depth wrong; each can be undone to see what fits better then."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.body_poses import TO_FORWARD_RIGHT_DOWN
from sequences.model import Frame, GroundTruth, ImuSamples, Intrinsics, Sequence, SequenceInfo
from sequences.pose_matrices import pose_matrices

#: Takes our camera axes (x right, y down, z forward) to OpenGL's (x right, y up, z backward).
_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_MIRROR_Y = np.diag([1.0, -1.0, 1.0, 1.0])


def _transposed_rotations(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    transposed = poses.copy()
    transposed[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    return transposed


@dataclass(frozen=True)
class Mistake:
    """What a reader may have got wrong.

    Attributes:
        name: As the end of the sentence "the images agree better with ...".
        poses: Turns poses as they were read, float64 [N, 4, 4], into what they would be without the mistake.
        depth: Turns depth as it was read, float32 [H, W], into what it would be.
        frames_later: By how many frame periods the time stamps of the poses are moved.
        camera: Turns intrinsics as they were read into what they would be.
    """

    name: str
    poses: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    depth: Callable[[NDArray[np.float32], Intrinsics], NDArray[np.float32]] | None = None
    frames_later: int = 0
    camera: Callable[[Intrinsics], Intrinsics] | None = None


def _scaled_depth(factor: float) -> Callable[[NDArray[np.float32], Intrinsics], NDArray[np.float32]]:
    return lambda depth, camera: depth * np.float32(factor)


def _along_the_axis(depth: NDArray[np.float32], camera: Intrinsics) -> NDArray[np.float32]:
    """Depth of points whose distances from the camera's centre are given."""
    rows, columns = np.indices(depth.shape)
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return (depth / np.sqrt(1 + x * x + y * y)).astype(np.float32)


def _scaled_focal_length(factor: float) -> Callable[[Intrinsics], Intrinsics]:
    return lambda camera: replace(camera, fx=camera.fx * factor, fy=camera.fy * factor)


MISTAKES = (
    Mistake("the poses inverted (world to camera)", lambda poses: np.linalg.inv(poses).astype(np.float64)),
    Mistake("camera axes as in OpenGL (y up, z backward)", lambda poses: poses @ _TO_OPENGL),
    Mistake("camera axes x forward, y right, z down", lambda poses: poses @ TO_FORWARD_RIGHT_DOWN),
    Mistake("camera and world mirrored (y to -y)", lambda poses: _MIRROR_Y @ poses @ _MIRROR_Y),
    Mistake("rotations transposed", _transposed_rotations),
    *(
        Mistake(
            f"depth {factor:g} times as large (or positions {1 / factor:g} times)",
            depth=_scaled_depth(factor),
        )
        for factor in (0.1, 0.2, 0.5, 1000 / 1310.7, 0.9, 1.1, 1.3107, 2.0, 5.0, 10.0)
    ),
    *(
        Mistake(f"poses {abs(n)} frames {'later' if n > 0 else 'earlier'} in time", frames_later=n)
        for n in (-3, -2, -1, 1, 2, 3)
    ),
    *(
        Mistake(f"focal lengths {factor:g} times as large", camera=_scaled_focal_length(factor))
        for factor in (0.5, 0.9, 1.1, 2.0)
    ),
    Mistake("depth taken as distances from the camera, not along its axis", depth=_along_the_axis),
    Mistake("cx and cy exchanged", camera=lambda camera: replace(camera, cx=camera.cy, cy=camera.cx)),
)


class Reinterpreted(Sequence):
    """A sequence as it would be if its reader had made a mistake. Frames that were read are kept.

    Args:
        sequence: As it was read.
        mistake: Undone here; None leaves everything as it is.
        frames: Frames that were read before, kept for all reinterpretations of one sequence.
    """

    def __init__(self, sequence: Sequence, mistake: Mistake | None, frames: dict[int, Frame]):
        self._sequence, self._mistake, self._frames = sequence, mistake, frames

    @property
    def info(self) -> SequenceInfo:
        """That of the sequence, with another camera if that is the mistake."""
        info = self._sequence.info
        if self._mistake is None or self._mistake.camera is None:
            return info
        return replace(info, intrinsics=self._mistake.camera(info.intrinsics))

    def frame(self, index: int) -> Frame:
        """The frame, with other depth if that is the mistake."""
        if index not in self._frames:
            self._frames[index] = self._sequence.frame(index)
        frame = self._frames[index]
        if self._mistake is None or self._mistake.depth is None or frame.depth is None:
            return frame
        return replace(frame, depth=self._mistake.depth(frame.depth, self.info.intrinsics))

    def ground_truth(self) -> GroundTruth | None:
        """The poses without the mistake."""
        return self._ground_truth

    @cached_property
    def _ground_truth(self) -> GroundTruth | None:
        truth = self._sequence.ground_truth()
        if truth is None or self._mistake is None:
            return truth
        later_ns = self._mistake.frames_later * self._sequence.info.frame_period_ns
        truth = replace(truth, timestamps_ns=truth.timestamps_ns + later_ns)
        if self._mistake.poses is None:
            return truth
        poses = self._mistake.poses(pose_matrices(truth))
        quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        return replace(truth, positions=poses[:, :3, 3].copy(), quaternions=quaternions)

    def imu_between(self, after_ns: int, until_ns: int) -> ImuSamples | None:
        """Those of the sequence."""
        return self._sequence.imu_between(after_ns, until_ns)
