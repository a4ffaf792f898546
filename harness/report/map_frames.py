"""The frames a map is made of, read again from their sequence and predicted again by their module."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses
from harness.record import RunRecord
from harness.report.fusion import DepthImage
from harness.report.recorded_frames import (
    create_recorded_module,
    open_recorded_sequence,
    predict_again,
    spread_frames,
)
from harness.report.tracks import Track
from perception.errors import PerceptionError
from perception.module import Prediction
from sequences.association import associate
from sequences.model import Frame, Intrinsics
from sequences.reader import ReaderContext

#: Frames in a map, spread evenly over the sequence.
MOST_FRAMES = 60

#: Frames are fused at this width or less: about a voxel per pixel at the distance of a room's walls.
_WIDTH = 320


@dataclass(frozen=True)
class MapFrames:
    """Depth images of one sequence as one perception module gives them.

    Attributes:
        images: In order of time.
        intrinsics: Of the images.
        camera: Of the sequence, at its full size.
    """

    images: tuple[DepthImage, ...]
    intrinsics: Intrinsics
    camera: Intrinsics

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        """When the images were taken, int64 [N]."""
        return np.array([image.timestamp_ns for image in self.images], dtype=np.int64)


def read_map_frames(record: RunRecord, context: ReaderContext) -> MapFrames:
    """Open the sequence of a trial again, and predict the depth of some of its frames again.

    Predictions that the trial has kept are not made again.

    A prediction may take as long as it might in the trial.

    Raises:
        SequenceError: The sequence is gone or cannot be read.
        PerceptionError: The module cannot work here, predicts no depth, or takes too long.
    """
    sequence = open_recorded_sequence(record, context)
    module = create_recorded_module(record, context)
    if "depth" not in module.outputs(sequence.info):
        raise PerceptionError(f"perception '{record.key.perception}' predicts no depth to fuse")
    module.load()
    camera = sequence.info.intrinsics
    step = max(1, -(-camera.width // _WIDTH))
    chosen = spread_frames(record, sequence, MOST_FRAMES)
    images = [
        _depth_image(frame, prediction, step)
        for frame, prediction in predict_again(record, sequence, module, chosen)
    ]
    height, width = images[0].depth.shape
    reduced = replace(
        camera,
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=camera.cx / step,
        cy=camera.cy / step,
        width=width,
        height=height,
    )
    return MapFrames(tuple(images), reduced, camera)


def _depth_image(frame: Frame, prediction: Prediction, step: int) -> DepthImage:
    """Of every ``step`` pixels in both directions one is kept."""
    assert prediction.depth is not None, "a module keeps what its outputs promise"
    return DepthImage(
        frame.index,
        frame.timestamp_ns,
        np.ascontiguousarray(frame.rgb[::step, ::step]),
        np.ascontiguousarray(prediction.depth[::step, ::step]),
    )


@dataclass(frozen=True)
class PosedFrames:
    """The frames of a map that have an estimated and a ground-truth pose; the others are in neither map.

    Attributes:
        chosen: Positions in ``MapFrames.images``.
        estimate: float64 [N, 4, 4], camera to the world of ground truth by the aligned trajectory.
        ground_truth: float64 [N, 4, 4], camera to world by ground truth.
    """

    chosen: tuple[int, ...]
    estimate: NDArray[np.float64]
    ground_truth: NDArray[np.float64]


def pose_frames(frames: MapFrames, track: Track) -> PosedFrames:
    """Look up both poses of every frame of a map."""
    estimated = _indices(frames, track.estimate, track.tolerance_ns)
    true = _indices(frames, track.ground_truth, track.tolerance_ns)
    chosen = tuple(sorted(estimated.keys() & true.keys()))
    fit = track.aligned.fit
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = fit.rotation, fit.translation
    return PosedFrames(
        chosen,
        to_world @ pose_matrices(track.estimate, [estimated[number] for number in chosen]),
        pose_matrices(track.ground_truth, [true[number] for number in chosen]),
    )


def _indices(frames: MapFrames, poses: TimedPoses, tolerance_ns: int) -> dict[int, int]:
    pairs = associate(frames.timestamps_ns, poses.timestamps_ns, tolerance_ns)
    return dict(pairs.tolist())


def pose_matrices(poses: TimedPoses, indices: list[int]) -> NDArray[np.float64]:
    """Some poses as matrices, camera to world: float64 [N, 4, 4]."""
    matrices = np.tile(np.eye(4), (len(indices), 1, 1))
    if indices:
        matrices[:, :3, :3] = Rotation.from_quat(poses.quaternions[indices]).as_matrix()
        matrices[:, :3, 3] = poses.positions[indices]
    return matrices
