"""ORB-SLAM3 behind the protocol, through the package pyorbslam3, in the modes ``rgbd`` and ``mono``.

Campos, Elvira, Gómez Rodríguez, Montiel, Tardós: ORB-SLAM3: An Accurate Open-Source Library for Visual,
Visual-Inertial and Multi-Map SLAM. IEEE Transactions on Robotics 37(6), 2021.
"""

from pathlib import Path

import numpy as np
import pyorbslam3
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
from adapters.digest import file_digest
from adapters.options import parse_options
from adapters.orbslam3 import orbslam3_capabilities
from adapters.orbslam3.map_history import MapHistory, OrbState
from adapters.orbslam3.mapping_threads import current_threads, wait_until_idle
from adapters.orbslam3.settings import OrbSlam3Options, settings_text
from adapters.orbslam3.trajectory_file import match_frames, read_trajectory
from adapters.orbslam3.vocabulary_file import VocabularyError, check_vocabulary_file

_SETTINGS_FILE = "orbslam3.yaml"
_TRAJECTORY_FILE = "orbslam3_frames.txt"
_KEYFRAMES_FILE = "orbslam3_keyframes.txt"
_ACTIVE_MAP_FILE = "orbslam3_active_map.txt"

_ORB_STATES = {
    pyorbslam3.TrackingState.OK: OrbState.OK,
    pyorbslam3.TrackingState.RECENTLY_LOST: OrbState.RECENTLY_LOST,
    pyorbslam3.TrackingState.LOST: OrbState.LOST,
}
_STATES = {
    OrbState.NO_MAP: TrackingState.INITIALISING,
    OrbState.OK: TrackingState.OK,
    # ORB-SLAM3 has a pose here too, but it is a guess from the motion before.
    OrbState.RECENTLY_LOST: TrackingState.LOST,
    OrbState.LOST: TrackingState.LOST,
}


class OrbSlam3Backend(Backend):
    """One run of ORB-SLAM3. Its native code may end the process, so it wants a process of its own."""

    def __init__(self) -> None:
        self._slam: pyorbslam3.Slam | None = None
        self._request: StartRequest | None = None
        self._vocabulary_digest = ""
        self._mapping_threads: frozenset[str] = frozenset()
        self._mapping_wait_seconds = 0.0
        self._waited_seconds = 0.0
        self._maps = MapHistory()
        self._live_poses_withheld = 0
        self._frame_indices: list[int] = []
        self._frame_times_ns: list[int] = []
        self._tracked: list[bool] = []

    def capabilities(self) -> Capabilities:
        """See :func:`adapters.orbslam3.orbslam3_capabilities`."""
        return orbslam3_capabilities()

    def start(self, request: StartRequest) -> None:
        """Loads the vocabulary and starts ORB-SLAM3's threads."""
        options = parse_options(OrbSlam3Options, request.options)
        vocabulary = Path(options.vocabulary)
        try:
            check_vocabulary_file(vocabulary)
        except VocabularyError as error:
            raise BackendInputError(str(error)) from error
        settings = request.output_directory / _SETTINGS_FILE
        settings.write_text(settings_text(request.intrinsics, request.frame_rate_hz, options))
        sensor = pyorbslam3.Sensor.RGBD if request.mode is Mode.RGBD else pyorbslam3.Sensor.MONOCULAR
        self._vocabulary_digest = file_digest(vocabulary)
        threads_before = current_threads()
        self._slam = pyorbslam3.Slam(vocabulary, settings, sensor)
        self._mapping_threads = current_threads() - threads_before
        periods = options.rgbd_wait_periods if request.mode is Mode.RGBD else options.mono_wait_periods
        # At the sensor's rate the mapping threads have the time between frames, and waiting loses frames.
        self._mapping_wait_seconds = 0.0 if request.realtime else periods / request.frame_rate_hz
        self._request = request

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Tracks the frame, then waits for the mapping threads as long as feed and options allow."""
        if self._slam is None:
            raise BackendInputError("a frame arrived before start")
        self._frame_indices.append(frame.index)
        self._frame_times_ns.append(frame.timestamp_ns)
        # Counted from the first frame: a Unix time in seconds has too few digits left for nanoseconds.
        seconds = (frame.timestamp_ns - self._frame_times_ns[0]) * 1e-9
        image = np.ascontiguousarray(frame.rgb)
        if frame.depth is None:
            tracked = self._slam.track_monocular(image, seconds)
        else:
            tracked = self._slam.track_rgbd(image, np.ascontiguousarray(frame.depth), seconds)
        waited = wait_until_idle(self._mapping_threads, self._mapping_wait_seconds)
        self._waited_seconds += waited
        orb_state = _ORB_STATES.get(tracked.state, OrbState.NO_MAP)
        self._maps.observe(orb_state)
        state = _STATES[orb_state]
        # With depth nowhere ORB-SLAM3 starts a map without a point in it, and calls that ok.
        if state is TrackingState.OK and tracked.num_tracked_points == 0:
            state = TrackingState.INITIALISING
        self._tracked.append(state is TrackingState.OK)
        if state is not TrackingState.OK:
            return TrackingResult(state, waited_seconds=waited)
        if not self._maps.origin_is_the_first:
            self._live_poses_withheld += 1
            return TrackingResult(state, waited_seconds=waited)
        return TrackingResult(state, np.array(tracked.pose_wc, dtype=np.float64), waited)

    def finish(self) -> BackendResult:
        """Stops the threads and reads the files that ORB-SLAM3 saves."""
        if self._slam is None or self._request is None:
            raise BackendInputError("finish arrived before start")
        self._slam.shutdown()
        output = self._request.output_directory
        files: tuple[str, ...] = (_SETTINGS_FILE,)
        if self._any_keyframes(output):
            self._slam.save_trajectory_euroc(str(output / _TRAJECTORY_FILE))
            self._slam.save_keyframe_trajectory_euroc(str(output / _KEYFRAMES_FILE))
            files += (_TRAJECTORY_FILE, _KEYFRAMES_FILE)
        trajectory = self._trajectory(output / _TRAJECTORY_FILE)
        keyframes = self._keyframe_positions(output / _KEYFRAMES_FILE)
        return BackendResult(
            trajectory=trajectory,
            keyframe_indices=tuple(self._frame_indices[position] for position in keyframes),
            files=files,
            statistics={
                "frames_tracked": sum(self._tracked),
                # Tracked, but in a map that was thrown away or never merged with the largest one.
                "frames_tracked_outside_largest_map": sum(self._tracked) - len(trajectory),
                "keyframes": len(keyframes),
                "maps_started": self._maps.started,
                "maps_discarded": self._maps.discarded,
                "live_poses_withheld": self._live_poses_withheld,
                "seconds_waited_for_mapping": round(self._waited_seconds, 3),
                "vocabulary_sha256": self._vocabulary_digest,
            },
        )

    def close(self) -> None:
        """Stops the threads if they still run."""
        if self._slam is not None and not self._slam.is_shutdown():
            self._slam.shutdown()
        self._slam = None

    def _any_keyframes(self, output: Path) -> bool:
        """Whether saving is safe: ORB-SLAM3 reads through a wild pointer when no map has a keyframe.

        There is no call that counts keyframes. Saving those of the active map is safe when it has none;
        earlier maps are kept when they are left with keyframes in them.
        """
        if self._maps.kept:
            return True
        if self._slam is None or not any(self._tracked):
            return False
        active_map = output / _ACTIVE_MAP_FILE
        self._slam.save_keyframe_trajectory_tum(str(active_map))
        has_keyframes = active_map.exists() and active_map.stat().st_size > 0
        active_map.unlink(missing_ok=True)
        return has_keyframes

    def _trajectory(self, path: Path) -> Trajectory:
        """The poses of the largest map for the frames that were tracked.

        ``save_trajectory_euroc`` rather than ``..._tum``: it works in mode ``mono`` too, writes times in
        nanoseconds, and leaves out frames of other maps, which have another origin. It includes frames that
        were recently lost, with guessed poses; those are left out here.
        """
        times_ns, poses = read_trajectory(path)
        positions = match_frames(times_ns + self._first_time_ns(), self._times_array())
        # For a frame that it could not place ORB-SLAM3 repeats the last row: the first is the frame's own.
        positions, rows = np.unique(positions, return_index=True)
        tracked = np.array(self._tracked, dtype=bool)[positions]
        return Trajectory(self._times_array()[positions[tracked]], poses[rows[tracked]])

    def _keyframe_positions(self, path: Path) -> list[int]:
        times_ns, _ = read_trajectory(path)
        positions = np.unique(match_frames(times_ns + self._first_time_ns(), self._times_array()))
        return [int(position) for position in positions]

    def _first_time_ns(self) -> int:
        return self._frame_times_ns[0] if self._frame_times_ns else 0

    def _times_array(self) -> NDArray[np.int64]:
        return np.array(self._frame_times_ns, dtype=np.int64)
