"""The true scene of a sequence as far as its camera saw it: what backends' maps are measured against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.evaluation import TimedPoses, associate
from harness.evaluation.labelled_surface import LabelledSurface, read_labelled_ply
from harness.evaluation.scene_graph import Box
from harness.evaluation.scene_objects import LEAST_FRAMES, LEAST_POINTS, LEAST_SHARE_OF_IMAGE, TrueObject
from harness.evaluation.scene_rooms import TrueRoom
from harness.evaluation.seen_surface import SurfacePoints, seen_points, spread_points
from harness.report.map_frames import pose_matrices
from harness.report.recorded_frames import open_recorded_sequence
from harness.report.tracks import Track
from sequences.label_spaces import LabelRole, LabelSpace, load_label_space
from sequences.model import SceneObject, SceneTruth
from sequences.reader import ReaderContext

#: What was seen is found out from so many frames, spread evenly over the trial's.
_MOST_FRAMES = 150

# Points of an object lie on its box, and are rounded to either side of it, metres.
_BOX_MARGIN = 0.01


@dataclass(frozen=True)
class TrueScene:
    """The truth of one sequence.

    Attributes:
        mesh: All surfaces.
        seen: Points on those that the camera saw.
        camera_positions: float64 [K, 3], where the camera was, metres.
        image_pixels: How many an image has.
        truth: Objects, rooms and the name of the label space.
    """

    mesh: LabelledSurface
    seen: SurfacePoints
    camera_positions: NDArray[np.float64]
    image_pixels: int
    truth: SceneTruth

    def objects(self, space: LabelSpace, mapping: NDArray[np.uint8]) -> tuple[TrueObject, ...]:
        """The objects whose class is one of objects in a map's label space.

        Args:
            space: One of those that come with the package.
            mapping: uint8 [256], from the truth's labels to the map's.
        """
        roles = {entry.id: entry.role for entry in load_label_space(space.name).classes}
        return tuple(
            TrueObject(int(mapping[each.label]), _box(each), self._was_seen(each))
            for each in self.truth.objects
            if roles.get(int(mapping[each.label])) is LabelRole.OBJECT
        )

    def _was_seen(self, each: SceneObject) -> bool:
        """Whether a map can be asked for an object, by all frames and by those of the trial."""
        if each.frames < LEAST_FRAMES or each.pixels < LEAST_SHARE_OF_IMAGE * self.image_pixels:
            return False
        own = self.seen.positions[self.seen.labels == each.label]
        return int(_box(each).contains(own, _BOX_MARGIN).sum()) >= LEAST_POINTS

    def rooms(self) -> tuple[TrueRoom, ...]:
        """The rooms, and whether the camera was in them."""
        found = []
        for each in self.truth.rooms:
            low, high = each.minimum, each.maximum
            inside = (self.camera_positions[:, :2] >= low[:2]) & (self.camera_positions[:, :2] <= high[:2])
            found.append(TrueRoom(each.kind, low, high, bool(inside.all(axis=1).any())))
        return tuple(found)


def read_true_scene(track: Track, context: ReaderContext) -> TrueScene | None:
    """Read the truth of a track's sequence, and find out what the camera saw in the frames of the trial.

    Returns:
        The truth; None where the sequence has none.

    Raises:
        SequenceError: The sequence is gone or cannot be read.
        EvaluationError: The true mesh cannot be read.
    """
    record = track.trial.record
    sequence = open_recorded_sequence(record, context)
    truth = sequence.scene_truth()
    if truth is None:
        return None
    mesh = read_labelled_ply(truth.mesh_path)
    frames = record.frames.in_sequence if record.frames else len(sequence)
    poses = _camera_poses(track.ground_truth, sequence.info.timestamps_ns[:frames], track.tolerance_ns)
    step = max(1, -(-len(poses) // _MOST_FRAMES))
    camera = sequence.info.intrinsics
    seen = seen_points(mesh, spread_points(mesh), camera, poses[::step])
    return TrueScene(mesh, seen, poses[:, :3, 3], camera.width * camera.height, truth)


def _box(each: SceneObject) -> Box:
    return Box((each.minimum + each.maximum) / 2, each.maximum - each.minimum, np.eye(3))


def _camera_poses(
    ground_truth: TimedPoses, timestamps_ns: NDArray[np.int64], tolerance_ns: int
) -> NDArray[np.float64]:
    """Where the camera was at the frames that have ground truth, float64 [K, 4, 4]."""
    pairs = associate(timestamps_ns, ground_truth.timestamps_ns, tolerance_ns)
    return pose_matrices(ground_truth, pairs[:, 1].tolist())
