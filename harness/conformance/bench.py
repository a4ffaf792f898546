"""A backend on the test bench: started as often as a check wants, with a camera to feed it from."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.adapter import Adapter
from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest, TrackingState
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.messages import FinalAnswer
from adapters.runtimes.runtime import LaunchRequest, RunningBackend, Runtime, socket_directory
from harness.conformance.outcome import NotApplicableError
from harness.environment import hardware
from harness.labels import backend_label_space

#: Frames of a run.
FRAMES = 8

_WIDTH, _HEIGHT = 320, 240
_FRAME_PERIOD_NS = 100_000_000
_INTRINSICS = CameraIntrinsics(260.0, 260.0, (_WIDTH - 1) / 2, (_HEIGHT - 1) / 2, _WIDTH, _HEIGHT)
_DISTANCE_M = 2.0

_LABEL_SPACE = "nyu40"
#: In bands from left to right: wall, chair (an object), person (which moves by itself), unknown.
_LABELS = np.array([1, 5, 31, 255], dtype=np.uint8)
_BAND = 40

_IMU_PERIOD_NS = 5_000_000
_IMU = {
    "rate_hz": 1e9 / _IMU_PERIOD_NS,
    "gyroscope_noise": 1e-3,
    "gyroscope_walk": 1e-5,
    "accelerometer_noise": 1e-2,
    "accelerometer_walk": 1e-4,
    "imu_to_camera": np.eye(4).ravel().tolist(),
}
#: The camera moves steadily and looks along the horizon: no rotation, and gravity along the image's columns.
_IMU_SAMPLE = (0.0, 0.0, 0.0, 0.0, -9.81, 0.0)


@dataclass(frozen=True)
class Bench:
    """A backend and the means to start it as often as a check wants.

    Attributes:
        adapter: The backend.
        runtime: What starts it.
        options: Its options, prepared.
        directory: Where it may write.
    """

    adapter: Adapter
    runtime: Runtime
    options: dict[str, object]
    directory: Path

    @contextmanager
    def running(self) -> Iterator[tuple[Connection, RunningBackend]]:
        """A freshly started backend and the connection to it."""
        with socket_directory() as directory:
            request = LaunchRequest(
                self.adapter,
                directory / "s",
                self.output_directory,
                self.directory / "backend.log",
                self.adapter.needs.memory_bytes,
                options=self.options,
                gpus=tuple(gpu.identifier for gpu in hardware().gpus[: self.adapter.needs.gpus]),
            )
            with Connection(request.socket_path) as connection, self.runtime.start(request) as running:
                connection.watch(running)
                yield connection, running
                # A conversation that a check leaves open gives the backend nothing to end for.
                running.stop()

    @property
    def output_directory(self) -> Path:
        """Where the backend may write."""
        return self.directory / "output"

    @property
    def mode(self) -> Mode:
        """``rgbd`` where the backend can, since that sends more."""
        modes = self.adapter.capabilities().modes
        return Mode.RGBD if Mode.RGBD in modes else modes[0]

    def require_depth(self) -> None:
        """Raise ``NotApplicableError`` for backends that take no depth."""
        if self.mode is not Mode.RGBD:
            raise NotApplicableError("it takes no depth")

    def require_labels(self) -> None:
        """Raise ``NotApplicableError`` for backends that take no labels."""
        if not self.adapter.capabilities().takes_semantics:
            raise NotApplicableError("it takes no labels")

    def require_imu(self) -> None:
        """Raise ``NotApplicableError`` for backends that take no IMU samples."""
        if not self.adapter.capabilities().takes_imu:
            raise NotApplicableError("it takes no IMU samples")

    def start_request(self) -> StartRequest:
        """The camera of :meth:`frames`, with a label space and an IMU for backends that take them."""
        capabilities = self.adapter.capabilities()
        return StartRequest(
            _INTRINSICS,
            self.mode,
            seed=0,
            frame_rate_hz=1e9 / _FRAME_PERIOD_NS,
            options=dict(self.options),
            output_directory=self.output_directory,
            imu=_IMU if capabilities.takes_imu else None,
            label_space=backend_label_space(_LABEL_SPACE) if capabilities.takes_semantics else None,
        )

    def frames(self, count: int = FRAMES) -> Iterator[RgbdFrame]:
        """A camera that moves sideways along a textured wall two metres away.

        Labels and IMU samples come with them for backends that take them.
        """
        capabilities = self.adapter.capabilities()
        wall = np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH + 4 * count, 3), dtype=np.uint8)
        wall = np.repeat(np.repeat(wall[::4, ::4], 4, axis=0), 4, axis=1)
        bands = _LABELS[np.arange(wall.shape[1]) // _BAND % len(_LABELS)]
        labels = np.broadcast_to(bands, wall.shape[:2])
        depth = np.full((_HEIGHT, _WIDTH), _DISTANCE_M, dtype=np.float32)
        for index in range(count):
            seen = (slice(None), slice(2 * index, 2 * index + _WIDTH))
            timestamp_ns = 1_000_000_000 + index * _FRAME_PERIOD_NS
            imu_timestamps_ns = None
            if capabilities.takes_imu and index:
                imu_timestamps_ns = _imu_timestamps_ns(timestamp_ns)
            yield RgbdFrame(
                index,
                timestamp_ns,
                np.ascontiguousarray(wall[seen]),
                depth if self.mode is Mode.RGBD else None,
                np.ascontiguousarray(labels[seen]) if capabilities.takes_semantics else None,
                None if imu_timestamps_ns is None else np.tile(_IMU_SAMPLE, (len(imu_timestamps_ns), 1)),
                imu_timestamps_ns,
            )

    def client(
        self,
        connection: Connection,
        limits: PhaseLimits | None = None,
        request: StartRequest | None = None,
    ) -> BackendClient:
        """A conversation that has been started."""
        client = BackendClient(connection, limits or PhaseLimits())
        client.hello()
        client.start(self.runtime.as_seen_inside(request or self.start_request(), self.adapter))
        return client

    def run(
        self, frames: Iterable[RgbdFrame], request: StartRequest | None = None
    ) -> tuple[list[TrackingState], FinalAnswer]:
        """The state after every frame, and what the backend hands over; every answer has been checked.

        Raises:
            AdapterError: The backend failed, or broke the protocol.
        """
        with self.running() as (connection, _):
            client = self.client(connection, request=request)
            states = [client.track(frame).result.state for frame in frames]
            return states, client.finish()


def _imu_timestamps_ns(frame_timestamp_ns: int) -> NDArray[np.int64]:
    """Those since the frame before, this one's own included."""
    after = frame_timestamp_ns - _FRAME_PERIOD_NS
    return np.arange(after + _IMU_PERIOD_NS, frame_timestamp_ns + 1, _IMU_PERIOD_NS, dtype=np.int64)
