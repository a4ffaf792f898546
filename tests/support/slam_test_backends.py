"""Backends for tests: one that works without any SLAM system, and one that fails in every way there is."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
from slam_test_curve import curve_positions

from adapters.adapter import Adapter, ResourceNeeds
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
from adapters.label_space import LabelRole


def capabilities(name: str, **changes) -> Capabilities:
    return Capabilities(**({"name": name, "version": "1", "modes": (Mode.RGBD, Mode.MONO)} | changes))


class CurveBackend(Backend):
    """Knows the curve that test sequences are recorded along, and adds noise drawn from the seed."""

    def capabilities(self) -> Capabilities:
        return capabilities("curve", deterministic=True, ground_truth_is_input=True)

    def start(self, request: StartRequest) -> None:
        self.options, self.output_directory = request.options, request.output_directory
        (request.output_directory / "settings.txt").write_text(str(request.options))
        (request.output_directory / "gpus.txt").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "not set"))
        self.random = np.random.default_rng(self.options["noise_seed"])
        self.indices: list[int] = []
        self.timestamps: list[int] = []
        self.positions: list[np.ndarray] = []

    def track(self, frame: RgbdFrame) -> TrackingResult:
        # Constant images show nothing to track, and without depth nothing is metric.
        if frame.rgb.min() == frame.rgb.max() or (frame.depth is not None and not frame.depth.any()):
            return TrackingResult(TrackingState.LOST)
        time.sleep(self.options["milliseconds"] / 1e3)
        noise = self.random.normal(0, self.options["noise_m"], 3)
        position = curve_positions(np.array([frame.timestamp_ns / 1e9]))[0] + noise
        self.indices.append(frame.index)
        self.timestamps.append(frame.timestamp_ns)
        self.positions.append(position)
        pose = np.eye(4)
        pose[:3, 3] = position
        return TrackingResult(TrackingState.OK, pose)

    def finish(self) -> BackendResult:
        keep = slice(0, max(1, round(len(self.timestamps) * self.options["share_tracked"])))
        timestamps = np.array(self.timestamps[keep], dtype=np.int64)
        poses = np.zeros((len(timestamps), 7))
        poses[:, 6] = 1
        if len(timestamps):
            poses[:, :3] = np.stack(self.positions[keep])
        return BackendResult(
            Trajectory(timestamps, poses),
            keyframe_indices=tuple(self.indices[keep][::5]),
            files=("settings.txt",),
        )


class CurveAdapter(Adapter):
    """The backend that works."""

    server = "slam_test_backends:CurveBackend"
    default_options = {"noise_m": 0.001, "noise_seed": 0, "milliseconds": 0, "share_tracked": 1.0}
    ablation = {
        "odometry only": {"noise_m": 0.05},
        "+ loop closure": {"noise_m": 0.005, "milliseconds": 2},
        "+ mapping": {"noise_m": 0.001, "milliseconds": 4},
    }

    def capabilities(self) -> Capabilities:
        return CurveBackend().capabilities()

    def missing(self) -> str | None:
        return None


class WitnessBackend(CurveBackend):
    """Takes labels and IMU samples, and tells in its statistics what it was sent of them."""

    def capabilities(self) -> Capabilities:
        return capabilities("witness", deterministic=True, takes_semantics=True, takes_imu=True)

    def start(self, request: StartRequest) -> None:
        super().start(request)
        space = request.label_space
        self.told = {
            "label_space": None if space is None else space.name,
            "structure": [] if space is None else list(space.ids(LabelRole.STRUCTURE)),
        }
        self.labels: set[int] = set()
        self.labelled_frames = self.imu_samples = 0

    def track(self, frame: RgbdFrame) -> TrackingResult:
        if frame.semantics is not None:
            self.labelled_frames += 1
            self.labels.update(np.unique(frame.semantics).tolist())
        if frame.imu is not None:
            self.imu_samples += len(frame.imu)
        return super().track(frame)

    def finish(self) -> BackendResult:
        seen = {
            "labels": sorted(self.labels),
            "labelled_frames": self.labelled_frames,
            "imu_samples": self.imu_samples,
        }
        return replace(super().finish(), statistics=self.told | seen)


class WitnessAdapter(CurveAdapter):
    """The backend that says what it was sent."""

    server = "slam_test_backends:WitnessBackend"

    def capabilities(self) -> Capabilities:
        return WitnessBackend().capabilities()


class FaultyBackend(CurveBackend):
    """Works until frame ``at_frame`` and then does what the option ``fault`` says."""

    def capabilities(self) -> Capabilities:
        return capabilities("faulty")

    def start(self, request: StartRequest) -> None:
        super().start(request)
        self.fault, self.at_frame = request.options["fault"], request.options["at_frame"]
        if self.fault == "refuse start":
            raise BackendInputError("this camera cannot be worked with")

    def track(self, frame: RgbdFrame) -> TrackingResult:
        result = super().track(frame)
        if frame.index == self.at_frame:
            return self._fail(frame, result)
        return result

    def _fail(self, frame: RgbdFrame, result: TrackingResult) -> TrackingResult:
        match self.fault:
            case "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                sys.stderr.write("licence server not reached\n")
                sys.stderr.flush()
                os._exit(3)
            case "hang":
                time.sleep(3600)
            case "hang with a child":
                if os.fork() == 0:
                    time.sleep(3600)
                time.sleep(3600)
            case "hang with a child of its own session":
                child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
                (self.output_directory / "child").write_text(str(child.pid))
                time.sleep(3600)
            case "eat memory":
                hoard = []
                while True:
                    hoard.append(np.ones(1_000_000))
            case "raise":
                raise RuntimeError("CUDA out of memory")
            case "raise once":
                if not os.path.exists(self.options["marker"]):
                    open(self.options["marker"], "w").close()
                    raise RuntimeError("the engine was away")
            case "take over the terminal":
                raise RuntimeError("\x1b]0;mine\x07\x1b[2J gone")
            case "nan pose":
                return TrackingResult(TrackingState.OK, np.full((4, 4), np.nan))
        return result

    def finish(self) -> BackendResult:
        result = super().finish()
        poses = result.trajectory.poses.copy()
        timestamps = result.trajectory.timestamps_ns.copy()
        match self.fault:
            case "nan trajectory":
                poses[1, 0] = np.nan
            case "foreign timestamps":
                timestamps += 1
            case "unsorted trajectory":
                timestamps = timestamps[::-1]
            case "empty trajectory":
                timestamps, poses = timestamps[:0], poses[:0]
            case "file elsewhere":
                return BackendResult(result.trajectory, files=("../../elsewhere",))
        return BackendResult(Trajectory(timestamps, poses))


class FaultyAdapter(Adapter):
    """The backend that fails as it is told to."""

    server = "slam_test_backends:FaultyBackend"
    needs = ResourceNeeds(memory_bytes=400 * 1024**2)
    default_options = CurveAdapter.default_options | {"fault": "none", "at_frame": 5, "marker": ""}

    def capabilities(self) -> Capabilities:
        return FaultyBackend().capabilities()

    def missing(self) -> str | None:
        return None


class AbsentAdapter(CurveAdapter):
    """A backend whose package is not installed."""

    def missing(self) -> str | None:
        return "the package 'absent' is not installed; install it with: pip install absent"


class OneGpuAdapter(CurveAdapter):
    """A backend that needs a GPU."""

    needs = ResourceNeeds(gpus=1)


class GpuAdapter(CurveAdapter):
    """A backend that needs more GPUs than any machine has."""

    needs = ResourceNeeds(gpus=1000)
