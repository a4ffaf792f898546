"""DROID-SLAM behind the protocol, in the modes ``rgbd`` and ``mono``.

Upstream says nothing of a frame when it takes it: it has no pose for one that is no keyframe until the very
end, and never calls itself lost. So there are no live poses, and the state is ``ok`` from the moment the
first optimisation is done and, in mode ``rgbd``, some keyframe has depth.
"""

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.backend import (
    Backend,
    BackendInputError,
    BackendResult,
    Capabilities,
    Mode,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
    Trajectory,
)
from adapters.droid_slam import droid_slam_capabilities
from adapters.droid_slam.frame_store import FrameStore, StoredFrame
from adapters.droid_slam.keyframe_mesh import keyframe_mesh
from adapters.droid_slam.keyframes import Keyframes, on_grid, read_keyframes
from adapters.droid_slam.options import DroidSlamOptions
from adapters.droid_slam.preprocessing import InputScaling
from adapters.droid_slam.upstream import DroidSystem
from adapters.droid_slam.weights import Weights, find_weights
from adapters.labelled_mesh import write_mesh
from adapters.map_files import MAP_FILE, MESH_FILE, write_map_description
from adapters.options import parse_options

_FRAMES_FILE = "droid_frames.raw"
#: Upstream does not keep quaternions at length one; further off they are none.
_LENGTH_TOLERANCE = 0.01

_log = logging.getLogger(__name__)


class DroidSlamBackend(Backend):
    """One run of DROID-SLAM."""

    def __init__(self) -> None:
        self._system: DroidSystem | None = None
        self._frames: FrameStore | None = None

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.droid_slam.droid_slam_capabilities`."""
        return droid_slam_capabilities()

    def start(self, request: StartRequest) -> None:
        """Loads the network and takes the memory for the keyframes."""
        self._options = parse_options(DroidSlamOptions, request.options)
        self._parameters = self._options.parameters(request.mode)
        self._scaling = InputScaling.of(request.intrinsics, self._parameters.image_pixels)
        self._weights: Weights = find_weights(self._options)
        self._mode = request.mode
        self._directory = request.output_directory
        self._metric = False
        torch.manual_seed(request.seed)
        camera = self._scaling.camera
        self._system = DroidSystem(self._weights, camera, self._parameters, self._options.variant)
        self._frames = FrameStore(
            self._directory / _FRAMES_FILE,
            self._options.frame_memory_mib * 1024**2,
            (3, camera.height, camera.width),
        )

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Hands the scaled frame to upstream."""
        if self._system is None or self._frames is None:
            raise BackendInputError("a frame arrived before start")
        if self._system.keyframes >= self._parameters.buffer:
            raise BackendInputError(
                f"all {self._parameters.buffer} keyframes that there is room for were taken before frame "
                f"{frame.index}: set a larger buffer, or higher thresholds for keyframes"
            )
        scaled = StoredFrame(frame.index, frame.timestamp_ns, self._scaling.image(frame.rgb))
        depth = None if frame.depth is None else self._scaling.depth(frame.depth)
        self._system.track(scaled, depth)
        self._frames.append(scaled)
        return TrackingResult(
            TrackingState.INITIALISING if self._why_no_poses(self._system) else TrackingState.OK
        )

    def finish(self) -> BackendResult:
        """Has upstream optimise all keyframes and fill in the other frames; writes the map."""
        if self._system is None or self._frames is None:
            raise BackendInputError("finish arrived before start")
        statistics = {
            "keyframes": self._system.keyframes,
            "frames_kept_in_memory": len(self._frames) - self._frames.on_disk,
            "frames_kept_on_disk": self._frames.on_disk,
            "input": f"{self._scaling.camera.width}×{self._scaling.camera.height}",
            "upstream_arguments": self._system.arguments,
            "weights_sha256": self._weights.sha256,
        }
        reason = self._why_no_poses(self._system)
        if reason is not None:
            _log.error("no frame has a pose: %s", reason)
            nothing = Trajectory(np.zeros(0, np.int64), np.zeros((0, 7)))
            return BackendResult(nothing, statistics=statistics | {"why_no_poses": reason})
        trajectory = self._trajectory(self._system.terminate(self._frames), self._frames)
        keyframes = read_keyframes(self._system.video)
        files, of_map = self._write_map(keyframes)
        return BackendResult(
            trajectory,
            keyframe_indices=tuple(sorted({*keyframes.stamps.tolist()} & {*self._frames.indices})),
            files=files,
            statistics=statistics
            | of_map
            | {"frames_without_pose": len(self._frames) - len(trajectory), "keyframes": len(keyframes)},
        )

    def close(self) -> None:
        """Lets go of upstream, and of the frames that were kept."""
        if self._frames is not None:
            self._frames.close()
        self._system = self._frames = None

    def _why_no_poses(self, system: DroidSystem) -> str | None:
        """Why no frame can have a pose yet, or that can be worked with; None when they can."""
        if system.keyframes < self._parameters.warmup:
            return (
                f"there are {system.keyframes} keyframes and the first optimisation waits for "
                f"{self._parameters.warmup}: feed more frames, or set a smaller warmup or filter_thresh"
            )
        self._metric = self._metric or self._mode is Mode.MONO or system.has_sensor_depth
        if not self._metric:
            return "no keyframe has depth, so that poses would be in no known unit; run it in mode mono"
        return None

    @staticmethod
    def _trajectory(poses: NDArray[np.float64], frames: FrameStore) -> Trajectory:
        """The poses that are poses, each with the stamp of its frame.

        Raises:
            BackendInputError: There are more or fewer than frames, and nothing says whose they are.
        """
        if poses.shape != (len(frames), 7):
            shape = "×".join(map(str, poses.shape))
            raise BackendInputError(
                f"DROID-SLAM gave {shape} numbers as poses of {len(frames)} frames where {len(frames)}×7 are "
                "due; which frames they belong to is not known, so none is used"
            )
        lengths = np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
        valid = np.isfinite(poses).all(axis=1) & (np.abs(lengths[:, 0] - 1.0) < _LENGTH_TOLERANCE)
        if not valid.all():
            _log.warning("%d of %d poses are NaN, infinite or no rotation", (~valid).sum(), len(poses))
        rows = np.hstack([poses[:, :3], poses[:, 3:] / np.where(valid[:, None], lengths, 1.0)])
        return Trajectory(frames.timestamps_ns[valid], rows[valid])

    def _write_map(self, keyframes: Keyframes) -> tuple[tuple[str, ...], dict[str, int]]:
        """Writes the mesh and its description, where there is anything in it."""
        if not self._options.write_map:
            return (), {}
        mesh = keyframe_mesh(keyframes, on_grid(self._scaling.camera), self._options.map_tolerance)
        figures = {"mesh_vertices": len(mesh.vertices), "mesh_triangles": len(mesh.triangles)}
        if not len(mesh.triangles):
            return (), figures
        write_mesh(self._directory / MESH_FILE, mesh, "world of the first camera, unit of the trajectory")
        write_map_description(self._directory)
        return (MESH_FILE, MAP_FILE), figures
