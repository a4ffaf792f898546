"""Everything behind tracking: loops, the pose graph, the map, the scene graph."""

import resource

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
from adapters.mono_hydra.model import Anchor, Link, RgbdLabels
from adapters.mono_hydra.stage_clock import StageClock
from adapters.mono_hydra.upright import turn_upright, upward_by_cameras, upward_by_surfaces

# A frame that is looked for is no keyframe.
_NO_KEYFRAME = -1
# The pose graph is solved again at the earliest when it has grown by one part in so many.
_KEYFRAMES_A_SOLUTION = 20


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
        self._unsolved = 0
        self._broken = False
        self._looped = False

    def take_keyframe(self, message: NewKeyframe) -> KeyframeDone:
        """Looks for loops, solves the pose graph where that is due, and takes the keyframe into the map."""
        self._graph.add(message.keyframe, message.poses, message.link, message.anchor)
        changed = message.anchor is not None
        broken = message.link is Link.NONE and message.keyframe > 0
        self._broken = self._broken or broken
        if self._options.loop_closure:
            self._close_loops(message)
            changed = self._solve_if_due() or changed
        if self._builder is not None and message.for_map:
            self._builder.take(message.keyframe, message.frame, self._graph.poses)
        connected = not self._broken or self._graph.is_connected_to_first(message.keyframe)
        return KeyframeDone(message.keyframe, self._graph.correction if changed else None, connected)

    def idle(self) -> None:
        """Nobody asks for anything: the time to make the map anew where loops have moved it."""
        if self._builder is not None:
            self._builder.rebuild_if_moved(self._graph.poses)

    def locate(self, frame: RgbdLabels) -> Located:
        """Finds a frame among the keyframes."""
        if not self._options.loop_closure:
            return Located(None)
        with self._clock.stage("relocalisation"):
            found = self._detector.locate(self._features(frame, _NO_KEYFRAME, 0.0))
        if found is None:
            return Located(None)
        return Located(Anchor(found.target, found.source_to_target, found.covariance))

    def finish(self, message: Finish) -> Finished:
        """Solves everything to its end in metres with z up, makes the map anew, and writes it."""
        with self._clock.stage("final_pose_graph"):
            poses = self._graph.solve_final(message.poses, message.scales)
        connected = self._graph.connected()
        poses = self._upright(poses, connected, message)
        files: tuple[str, ...] = ()
        statistics = self._graph.statistics()
        if self._builder is not None and len(poses):
            files, of_map = self._builder.finish(poses, message.scales, connected)
            statistics |= of_map
        # ru_maxrss is in KiB on Linux.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Finished(poses, connected, peak, files, {**statistics, "stage_ms": self._clock.summary()})

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
        # A loop may be what ties a part to the rest.
        patience = 1 if self._broken else self._options.graph_every
        # Solving takes longer the larger the graph is; the larger it is, the less one keyframe changes.
        patience = max(patience, len(self._graph.poses) // _KEYFRAMES_A_SOLUTION)
        if not self._looped or self._unsolved < patience:
            return False
        with self._clock.stage("pose_graph"):
            self._graph.solve()
        self._detector.update_poses(np.stack(self._graph.poses))
        self._unsolved, self._looped = 0, False
        return True

    def _upright(
        self, poses: NDArray[np.float64], connected: NDArray[np.bool_], message: Finish
    ) -> NDArray[np.float64]:
        if not len(poses):
            return poses
        by_imu = [poses[number, :3, :3] @ up for number, up in message.upwards if connected[number]]
        if by_imu:
            mean = np.mean(by_imu, axis=0)
            up = mean / np.linalg.norm(mean)
        else:
            up = upward_by_cameras(poses[connected])
            if self._builder is not None:
                up = upward_by_surfaces(up, self._builder.normals())
        turn = np.eye(4)
        turn[:3, :3] = turn_upright(up)
        return np.asarray(turn @ poses)
