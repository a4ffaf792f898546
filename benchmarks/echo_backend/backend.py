"""Takes every frame and says that it has."""

import numpy as np

from adapters.backend import (
    Backend,
    BackendResult,
    Capabilities,
    RgbdFrame,
    StartRequest,
    TrackingResult,
    TrackingState,
    Trajectory,
)
from echo_backend import CAPABILITIES


class EchoBackend(Backend):
    """Stays where it is."""

    def capabilities(self) -> Capabilities:
        """See :data:`echo_backend.CAPABILITIES`."""
        return CAPABILITIES

    def start(self, request: StartRequest) -> None:
        """Nothing to load."""
        self._timestamps: list[int] = []

    def track(self, frame: RgbdFrame) -> TrackingResult:
        """Take note of the frame."""
        self._timestamps.append(frame.timestamp_ns)
        return TrackingResult(TrackingState.OK, np.eye(4))

    def finish(self) -> BackendResult:
        """A pose for every frame."""
        poses = np.tile(np.eye(7)[-1], (len(self._timestamps), 1))
        return BackendResult(Trajectory(np.array(self._timestamps, dtype=np.int64), poses))
