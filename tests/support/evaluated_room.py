"""A room whose depth, labels and poses are known exactly, and modules that say of it what a test wants."""

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view

from perception.choice import ModuleChoice
from perception.evaluation import evaluate_module, evaluation_options
from perception.module import PERCEPTION_MODULES, PerceptionModule, Prediction
from sequences.errors import DataFileError
from sequences.model import Frame, GroundTruth, Sequence, SequenceInfo

PERIOD_NS = 100_000_000


@cache
def _views(frames):
    return [view(pose) for pose in camera_path(frames)]


class EvaluatedRoom(Sequence):
    """Frames of the room of ``seen_room``; tests change depth, labels and poses."""

    def __init__(self, frames=24, name="room", has_depth=True, label_space="nyu40"):
        self.count = frames
        self.depth = [depth for _, depth, _ in _views(frames)]
        self.labels = [labels for _, _, labels in _views(frames)]
        self.unreadable = None
        self.read = []
        self.has_poses = True
        self._info = SequenceInfo(
            name, CAMERA, 10**9 + PERIOD_NS * np.arange(frames), has_depth, label_space=label_space
        )

    @property
    def info(self):
        return self._info

    def frame(self, index):
        if index == self.unreadable:
            raise DataFileError("rgb/00003.png", "is truncated")
        self.read.append(index)
        return Frame(
            index,
            int(self.info.timestamps_ns[index]),
            _views(self.count)[index][0],
            self.depth[index] if self.info.has_depth else None,
            self.labels[index] if self.info.label_space else None,
        )

    def ground_truth(self):
        if not self.has_poses:
            return None
        path = camera_path(self.count)
        quaternions = Rotation.from_matrix(path[:, :3, :3]).as_quat()
        return GroundTruth(self.info.timestamps_ns, path[:, :3, 3], quaternions)


def module_class(predict, outputs=("depth",), label_space=None, reads_sensor=False, details=None):
    """A module that predicts with a function of a frame."""

    class MadeUpModule(PerceptionModule):
        def outputs(self, sequence):
            return frozenset(outputs)

        def label_space(self, sequence):
            return label_space

        def predict(self, frame):
            return predict(frame)

        def describe(self):
            return details or {}

    MadeUpModule.reads_sensor = reads_sensor
    return MadeUpModule


def evaluate(monkeypatch, sequences, kind, **options):
    """Evaluate a module class on sequences."""
    monkeypatch.setattr(type(PERCEPTION_MODULES), "load", lambda registry, name: kind)
    listed = sequences if isinstance(sequences, list) else [sequences]
    return evaluate_module(ModuleChoice("made-up"), listed, evaluation_options(**options), lambda *step: None)


def depth_of(room, change):
    """A module that knows the truth and changes it, given depth and frame index."""
    return module_class(
        lambda frame: Prediction(depth=np.float32(change(room.depth[frame.index], frame.index)))
    )
