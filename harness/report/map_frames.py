"""The frames a map is made of, read again from their sequence and predicted again by their module."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses
from harness.prediction_thread import PredictionThread, within_limit
from harness.record import RunRecord
from harness.report.fusion import DepthImage
from harness.report.tracks import Track
from perception.cache import PredictionCache
from perception.choice import ModuleChoice
from perception.errors import PerceptionError
from perception.guarded import GuardedModule, create_module
from sequences.association import associate
from sequences.errors import SequenceError
from sequences.model import Intrinsics, Sequence
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence

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


def open_recorded_sequence(record: RunRecord, context: ReaderContext) -> Sequence:
    """Open the sequence of a trial again.

    Raises:
        SequenceError: The sequence is gone or cannot be read.
    """
    try:
        entry = TypeAdapter(SequenceEntry).validate_python(record.sequence.get("entry"))
    except ValidationError as error:
        raise SequenceError("its record does not say how to open it") from error
    return open_sequence(entry, context)


def read_map_frames(record: RunRecord, context: ReaderContext) -> MapFrames:
    """Open the sequence of a trial again, and predict the depth of some of its frames again.

    Predictions that the trial has kept are not made again.

    A prediction may take as long as it might in the trial.

    Raises:
        SequenceError: The sequence is gone or cannot be read.
        PerceptionError: The module cannot work here, predicts no depth, or takes too long.
    """
    name = record.key.perception
    sequence = open_recorded_sequence(record, context)
    try:
        choice = TypeAdapter(ModuleChoice).validate_python(record.perception.get("choice"))
    except ValidationError as error:
        raise SequenceError(f"its record does not say what perception '{name}' is") from error
    keeps = record.configuration.get("prediction_cache", True)
    module = create_module(choice, PredictionCache.below(context.cache_directory) if keeps else None)
    if "depth" not in module.outputs(sequence.info):
        raise PerceptionError(f"perception '{name}' predicts no depth to fuse")
    module.load()
    frames = min(len(sequence), record.frames.in_sequence if record.frames else len(sequence))
    camera = sequence.info.intrinsics
    step = max(1, -(-camera.width // _WIDTH))
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, MOST_FRAMES)).round().astype(int))
    limit_s = record.configuration["predict_limit_s"]
    with PredictionThread() as thread:
        images = [
            within_limit(
                thread.submit(partial(_depth_image, sequence, module, int(index), step)), limit_s, name
            )
            for index in chosen
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


def _depth_image(sequence: Sequence, module: GuardedModule, index: int, step: int) -> DepthImage:
    """Read and predict one frame; of every ``step`` pixels in both directions one is kept."""
    frame = sequence.frame(index)
    depth = module.predict(frame).depth
    assert depth is not None, "a module keeps what its outputs promise"
    return DepthImage(
        index,
        frame.timestamp_ns,
        np.ascontiguousarray(frame.rgb[::step, ::step]),
        np.ascontiguousarray(depth[::step, ::step]),
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
