"""Ways in which a reader may get poses or depth wrong; each can be undone to see what fits better then."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.body_poses import TO_FORWARD_RIGHT_DOWN
from sequences.model import Frame, GroundTruth, ImuSamples, Sequence, SequenceInfo
from sequences.pose_matrices import pose_matrices

#: Takes our camera axes (x right, y down, z forward) to OpenGL's (x right, y up, z backward).
_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_MIRROR_Y = np.diag([1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Mistake:
    """What a reader may have got wrong.

    Attributes:
        name: As the end of the sentence "the images agree better with ...".
        poses: Turns poses as they were read, float64 [N, 4, 4], into what they would be without the mistake.
        depth_factor: What depth is multiplied with.
    """

    name: str
    poses: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda poses: poses
    depth_factor: float = 1.0


MISTAKES = (
    Mistake(
        "the poses inverted (they are world to camera)", lambda poses: np.linalg.inv(poses).astype(float)
    ),
    Mistake("camera axes as in OpenGL (y up, z backward)", lambda poses: poses @ _TO_OPENGL),
    Mistake("camera axes x forward, y right, z down", lambda poses: poses @ TO_FORWARD_RIGHT_DOWN),
    Mistake("camera and world mirrored (y to -y)", lambda poses: _MIRROR_Y @ poses @ _MIRROR_Y),
    *(
        Mistake(f"depth {factor:g} times as large (or positions {1 / factor:g} times)", depth_factor=factor)
        for factor in (0.1, 0.2, 0.5, 1000 / 1310.7, 1.3107, 2.0, 5.0, 10.0)
    ),
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
        """That of the sequence."""
        return self._sequence.info

    def frame(self, index: int) -> Frame:
        """The frame, with other depth if that is the mistake."""
        if index not in self._frames:
            self._frames[index] = self._sequence.frame(index)
        frame = self._frames[index]
        if self._mistake is None or self._mistake.depth_factor == 1 or frame.depth is None:
            return frame
        return replace(frame, depth=frame.depth * np.float32(self._mistake.depth_factor))

    def ground_truth(self) -> GroundTruth | None:
        """The poses without the mistake."""
        truth = self._sequence.ground_truth()
        if truth is None or self._mistake is None:
            return truth
        poses = self._mistake.poses(pose_matrices(truth))
        quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        return replace(truth, positions=poses[:, :3, 3].copy(), quaternions=quaternions)

    def imu_between(self, after_ns: int, until_ns: int) -> ImuSamples | None:
        """Those of the sequence."""
        return self._sequence.imu_between(after_ns, until_ns)
