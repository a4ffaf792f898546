"""Hands back the poses of a trajectory file for the frames that were sent."""

from pathlib import Path
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
from adapters.trajectory import trajectory_capabilities
from adapters.trajectory.frames import Pairing, pair_by_index, pair_by_time
from adapters.trajectory.options import TrajectoryOptions, parse_trajectory_options
from adapters.trajectory.reading import ReadFile, read_trajectory
from adapters.trajectory.recorded_poses import RecordedPoses
from adapters.trajectory.text_table import SECOND_NS


class TrajectoryBackend(Backend):
    """Looks at no frame: what counts of each is its index and its time stamp.

    No frame is ever reported as tracked, since nothing is tracked here. Without the option ``file`` no frame
    has a pose.
    """

    def __init__(self) -> None:
        self._options = TrajectoryOptions()
        self._file: ReadFile | None = None
        self._tolerance_ns = 0
        self._indices: list[int] = []
        self._timestamps_ns: list[int] = []

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.trajectory.trajectory_capabilities`."""
        return trajectory_capabilities()

    def start(self, request: StartRequest) -> None:
        """Reads the file."""
        self._options = parse_trajectory_options(request.options)
        frame_period_ns = round(SECOND_NS / request.frame_rate_hz)
        self._tolerance_ns = frame_period_ns // 2
        if self._options.file:
            path = Path(self._options.file)
            self._file = read_trajectory(path, self._options.format, self._options.topic)
            if self._options.time_offset_s and not self._file.recorded.has_time:
                raise BackendInputError(f"option time_offset_s: {path} has no time stamps to add it to")

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Notes which frame it is."""
        self._indices.append(frame.index)
        self._timestamps_ns.append(frame.timestamp_ns)
        return TrackingResult(TrackingState.INITIALISING)

    def finish(self) -> BackendResult:
        """The poses of the file that belong to frames, at the frames' own time stamps."""
        if self._file is None:
            return BackendResult(Trajectory(np.empty(0, dtype=np.int64), np.empty((0, 7))))
        recorded = self._file.recorded
        pairing = self._pair(recorded)
        camera_to_body = self._options.camera_to_body_matrix()
        if camera_to_body is not None:
            recorded = recorded.of_camera(camera_to_body)
        timestamps_ns = np.array(self._timestamps_ns, dtype=np.int64)[pairing.frames]
        statistics = {
            "format": self._file.format,
            "sha256": self._file.sha256,
            "poses_in_file": recorded.rows,
            "poses_not_finite": recorded.rows - len(recorded),
            "poses_without_frame": len(recorded) - len(pairing.poses),
            "largest_time_difference_s": pairing.largest_difference_ns / SECOND_NS,
        }
        return BackendResult(Trajectory(timestamps_ns, recorded.poses[pairing.poses]), statistics=statistics)

    def _pair(self, recorded: RecordedPoses) -> Pairing:
        if not recorded.has_time:
            return self._pair_rows(recorded)
        offset_ns = round(self._options.time_offset_s * SECOND_NS)
        frame_ns = np.array(self._timestamps_ns, dtype=np.int64)
        pairing = pair_by_time(recorded.keys + offset_ns, frame_ns, self._tolerance_ns)
        if len(frame_ns) and not len(pairing.poses):
            raise BackendInputError(
                f"{self._options.file}: none of its {len(recorded)} poses is within "
                f"{self._tolerance_ns / 1e6:g} ms of a frame: they cover {_span(recorded.keys + offset_ns)}, "
                f"the frames {_span(frame_ns)}; option time_offset_s brings two clocks together"
            )
        return pairing

    def _pair_rows(self, recorded: RecordedPoses) -> Pairing:
        # Frames that were dropped on the way count as well: the last one never is.
        frames = self._indices[-1] + 1 if self._indices else 0
        if frames != recorded.rows:
            raise BackendInputError(
                f"{self._options.file}: has {recorded.rows} poses and there are {frames} frames; in a format "
                "without time stamps line i is frame i, so that both must be as many"
            )
        return pair_by_index(recorded.keys, np.array(self._indices, dtype=np.int64))


def _span(timestamps_ns: "np.ndarray[Any, np.dtype[np.int64]]") -> str:
    first, last = timestamps_ns[[0, -1]] / SECOND_NS
    return f"{first:.6f} s to {last:.6f} s"
