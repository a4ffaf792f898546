"""Everything behind tracking: loops, the pose graph, the map, the scene graph."""

import numpy as np
from numpy.typing import NDArray

from adapters.label_space import LabelRole
from adapters.mono_hydra.back_end_messages import (
    BackEndSetup,
    Finish,
    Finished,
    KeyframeDone,
    Located,
    NewKeyframe,
)
from adapters.mono_hydra.dynamic_labels import dynamic_mask
from adapters.mono_hydra.keyframe_graph import KeyframeGraph
from adapters.mono_hydra.loops.detector import LoopDetector
from adapters.mono_hydra.loops.features import KeyframeFeatures, extract_features
from adapters.mono_hydra.map_builder import MapBuilder
from adapters.mono_hydra.model import RgbdLabels
from adapters.mono_hydra.stage_clock import StageClock
from adapters.mono_hydra.upright import turn_upright, upward_by_cameras, upward_by_surfaces

# A frame that is looked for is no keyframe.
_NO_KEYFRAME = -1


class BackEnd:
    """Closes loops and maps.

    Args:
        setup: What it was told at the start.
    """

    def __init__(self, setup: BackEndSetup) -> None:
        options = setup.options
        self._options = options
        self._setup = setup
        self._clock = StageClock()
        self._detector = LoopDetector(options, setup.intrinsics, setup.seed)
        self._graph = KeyframeGraph(options)
        self._builder = MapBuilder(setup, self._clock) if options.semantic_map else None
        space = setup.label_space
        self._dynamic = () if space is None else space.ids(LabelRole.DYNAMIC)
        self._correction = np.eye(4)
        self._unsolved = 0
        self._looped = False

    def take_keyframe(self, message: NewKeyframe) -> KeyframeDone:
        """Looks for loops, solves the pose graph where that is due, and takes the keyframe into the map."""
        self._graph.add(message.keyframe, message.poses, message.linked)
        changed = False
        if self._options.loop_closure:
            self._close_loops(message)
            changed = self._solve_if_due()
        if self._builder is not None and message.for_map:
            self._builder.take(message.keyframe, message.frame, self._graph.poses)
        return KeyframeDone(message.keyframe, self._correction if changed else None)

    def idle(self) -> None:
        """Nobody asks for anything: the time to make the map anew where loops have moved it."""
        if self._builder is not None:
            self._builder.rebuild_if_moved(self._graph.poses)

    def locate(self, frame: RgbdLabels) -> Located:
        """Finds a frame among the keyframes."""
        if not self._options.loop_closure:
            return Located()
        with self._clock.stage("relocalisation"):
            found = self._detector.locate(self._features(frame, _NO_KEYFRAME, 0.0))
        if found is None:
            return Located()
        return Located(found.target, found.source_to_target)

    def finish(self, message: Finish) -> Finished:
        """Solves everything to its end in metres with z up, makes the map anew, and writes it."""
        with self._clock.stage("final_pose_graph"):
            poses = self._graph.solve_final(message.poses, message.scales)
        poses = self._upright(poses, message)
        files: tuple[str, ...] = ()
        statistics = self._graph.statistics()
        if self._builder is not None and len(poses):
            files, of_map = self._builder.finish(poses, message.scales)
            statistics |= of_map
        return Finished(poses, files, {**statistics, "stage_ms": self._clock.summary()})

    def _features(self, frame: RgbdLabels, keyframe: int, noise: float) -> KeyframeFeatures:
        masked = dynamic_mask(frame.labels, self._dynamic, self._options.dynamic_margin)
        return extract_features(
            frame, keyframe, self._setup.intrinsics, self._options, masked, self._options, noise
        )

    def _close_loops(self, message: NewKeyframe) -> None:
        with self._clock.stage("loop_features"):
            features = self._features(message.frame, message.keyframe, message.inverse_depth_noise)
        with self._clock.stage("loop_detection"):
            found = self._detector.add(features, self._graph.poses[message.keyframe])
        for loop in found:
            self._graph.add_loop(loop)
        self._looped = self._looped or bool(found)

    def _solve_if_due(self) -> bool:
        self._unsolved += 1
        if not self._looped or self._unsolved < self._options.graph_every:
            return False
        with self._clock.stage("pose_graph"):
            self._correction = self._graph.solve()
        self._detector.update_poses(np.stack(self._graph.poses))
        self._unsolved, self._looped = 0, False
        return True

    def _upright(self, poses: NDArray[np.float64], message: Finish) -> NDArray[np.float64]:
        if not len(poses):
            return poses
        if message.up is not None:
            # The first keyframe stays where it is when the graph is solved, and with it the world's axes.
            up = message.up
        else:
            up = upward_by_cameras(poses)
            if self._builder is not None:
                up = upward_by_surfaces(up, self._builder.normals())
        turn = np.eye(4)
        turn[:3, :3] = turn_upright(up)
        return np.asarray(turn @ poses)
