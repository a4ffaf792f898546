"""GO-SLAM behind the protocol: collects the frames, then runs upstream's own program on them.

Upstream is an offline program that reads folders. Until the end nothing is known of any frame, so all are
acknowledged as waiting for tracking to begin, and none has a live pose.
"""

import shutil
from typing import Any

import numpy as np

from adapters.backend import (
    Backend,
    BackendInputError,
    BackendResult,
    Capabilities,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
    Trajectory,
)
from adapters.go_slam import go_slam_capabilities
from adapters.go_slam.configuration import CameraValues, Configuration
from adapters.go_slam.input_folder import InputFolder
from adapters.go_slam.installation import installation, why_missing
from adapters.go_slam.options import GoSlamOptions
from adapters.go_slam.presets import BASE_CONFIGURATIONS, DEPTH_SCALE, LEAST_FRAMES, PRESETS
from adapters.go_slam.results import POSES_FILE, read_trajectory
from adapters.go_slam.surface import RAW_MESH_FILE, write_map
from adapters.go_slam.upstream_run import Ending, Paths, log_ends, run_upstream
from adapters.options import parse_options

_CONFIGURATION_FILE = "go_slam.yaml"
_LOG_FILE = "go_slam.log"
_INPUT_FOLDER = "go_slam_input"
_OUTPUT_FOLDER = "go_slam_output"


class GoSlamBackend(Backend):
    """One run of GO-SLAM."""

    def __init__(self) -> None:
        self._input: InputFolder | None = None

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.go_slam.go_slam_capabilities`."""
        return go_slam_capabilities()

    def start(self, request: StartRequest) -> None:
        """Writes upstream's configuration and makes the folder for the frames."""
        missing = why_missing()
        if missing is not None:
            raise BackendInputError(missing)
        options = parse_options(GoSlamOptions, request.options)
        self._options, self._mode = options, request.mode
        self._where = installation()
        self._directory = request.output_directory.absolute()
        self._paths = Paths(
            configuration=self._directory / _CONFIGURATION_FILE,
            input_folder=self._directory / _INPUT_FOLDER,
            output_folder=self._directory / _OUTPUT_FOLDER,
            log_file=self._directory / _LOG_FILE,
        )
        shutil.rmtree(self._paths.output_folder, ignore_errors=True)
        image = PRESETS[options.preset](request.intrinsics)
        configuration = Configuration(self._where.home, options.config or BASE_CONFIGURATIONS[request.mode])
        configuration.set_camera(CameraValues(request.intrinsics, image, DEPTH_SCALE))
        configuration.set_box(options.scene_half_extent)
        self._weights_sha256 = configuration.set_weights(options.weights, options.weights_sha256)
        configuration.write(self._paths.configuration)
        self._timestamps_ns: list[int] = []
        self._input = InputFolder(self._paths.input_folder, DEPTH_SCALE, options.jpeg_quality)

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Puts the frame with the others."""
        if self._input is None:
            raise BackendInputError("a frame arrived before start")
        self._input.add(frame.rgb, frame.depth)
        self._timestamps_ns.append(frame.timestamp_ns)
        return TrackingResult(TrackingState.INITIALISING)

    def finish(self) -> BackendResult:
        """Runs upstream and reads what it wrote."""
        if self._input is None:
            raise BackendInputError("finish arrived before start")
        if len(self._timestamps_ns) < LEAST_FRAMES[self._mode]:
            return self._too_few_frames()
        ending = run_upstream(self._where, self._mode, self._paths, self._options.time_limit_s)
        trajectory = self._trajectory(ending)
        made = write_map(self._paths.output_folder / RAW_MESH_FILE, self._directory, trajectory.poses[:, :3])
        self._clear()
        return BackendResult(
            trajectory=trajectory,
            files=(_CONFIGURATION_FILE, _LOG_FILE, *made.files),
            statistics={
                **self._statistics(),
                "upstream_seconds": round(ending.seconds, 3),
                "upstream_frames_per_second": round(len(trajectory) / ending.seconds, 3),
                "upstream_scoring_failed": ending.only_scoring_failed,
                **made.statistics,
            },
            other_processes_peak_bytes=ending.peak_memory_bytes,
        )

    def _trajectory(self, ending: Ending) -> Trajectory:
        """What upstream estimated.

        Raises:
            BackendInputError: It failed, or what it wrote cannot be used.
        """
        if ending.failure is not None and not ending.only_scoring_failed:
            raise BackendInputError(ending.failure)
        stamps = np.array(self._timestamps_ns, dtype=np.int64)
        try:
            return read_trajectory(self._paths.output_folder / POSES_FILE, stamps)
        except BackendInputError as error:
            raise BackendInputError(f"{error}{log_ends(ending.log_file)}") from error

    def _too_few_frames(self) -> BackendResult:
        """Nothing has a pose: upstream would wait for more keyframes than there are frames."""
        self._clear()
        return BackendResult(
            Trajectory(np.zeros(0, dtype=np.int64), np.zeros((0, 7))),
            files=(_CONFIGURATION_FILE,),
            statistics={
                **self._statistics(),
                "not_run_because": f"GO-SLAM begins with {LEAST_FRAMES[self._mode]} keyframes",
            },
        )

    def _statistics(self) -> dict[str, Any]:
        assert self._input is not None, "it was started"
        return {
            "frames": self._input.frames,
            "preset": self._options.preset,
            "depth_pixels_out_of_range": self._input.pixels_out_of_range,
            "weights_sha256": self._weights_sha256,
            "seed_is_used": False,
        }

    def _clear(self) -> None:
        """Removes what is large and of no more use. After a failure it stays, to be looked into."""
        assert self._input is not None, "it was started"
        shutil.rmtree(self._paths.output_folder, ignore_errors=True)
        if not self._options.keep_input:
            self._input.remove()
