"""Runs the backend ``droid-slam`` in a process of its own, through the protocol, against the double."""

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path

from upstream_doubles.droid_slam.painted_wall import places, render

from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest
from adapters.client import BackendClient, PhaseLimits
from adapters.connection import Connection
from adapters.droid_slam import DroidSlamAdapter
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import LaunchRequest, socket_directory

DOUBLE = Path(__file__).parent
#: Neither side is a multiple of anything, nor is the principal point in the middle.
CAMERA = CameraIntrinsics(203.0, 201.0, 117.3, 92.4, 241, 181)
#: After resizing 190×143, after the cut 184×136.
PIXELS = 190 * 143
PERIOD_NS = 33_333_333
FIRST_NS = 1_700_000_000_123_456_789


def use_the_double(monkeypatch, fault=""):
    """Have backends that are started from now on find the double in upstream's place."""
    monkeypatch.setenv("PYTHONPATH", f"{DOUBLE}{os.pathsep}{os.environ['PYTHONPATH']}")
    monkeypatch.setenv("DROID_DOUBLE_FAULT", fault)


def options_of_the_double(directory):
    """Options with weights that the double takes."""
    weights = directory / "droid.pth"
    weights.write_bytes(b"weights of the double")
    return {"weights": str(weights), "weights_sha256": hashlib.sha256(b"weights of the double").hexdigest()}


@contextmanager
def conversation(tmp_path, mode=Mode.RGBD, camera=CAMERA, **options):
    """A client of the backend, started with small images and a short warm-up."""
    adapter = DroidSlamAdapter()
    set_by_user = {"image_pixels": PIXELS, "warmup": 5, "filter_thresh": 0.5}
    set_by_user |= options_of_the_double(tmp_path) | options
    adapter.check_options(set_by_user)
    output = tmp_path / "output"
    with socket_directory() as directory:
        request = LaunchRequest(
            adapter, directory / "s", output, tmp_path / "log", adapter.needs.memory_bytes
        )
        with Connection(request.socket_path) as connection, ProcessRuntime().start(request) as running:
            connection.watch(running)
            client = BackendClient(connection, PhaseLimits())
            assert client.hello() == adapter.capabilities()
            prepared = adapter.prepare(set_by_user, tmp_path / "cache")
            client.start(StartRequest(camera, mode, 0, 30.0, prepared, output))
            yield client


def wall_frames(count=12, mode=Mode.RGBD, step=1):
    """The painted wall on the sweep of :func:`places`; with ``step`` other than 1 indices have gaps."""
    camera = (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy, CAMERA.width, CAMERA.height)
    for number, place in enumerate(places(count)):
        rgb, depth = render(place, *camera)
        index = number * step
        yield RgbdFrame(index, FIRST_NS + index * PERIOD_NS, rgb, depth if mode is Mode.RGBD else None)


def run(tmp_path, frames, mode=Mode.RGBD, **options):
    """The states after every frame, and the result."""
    with conversation(tmp_path, mode, **options) as client:
        states = [client.track(frame).result.state for frame in frames]
        return states, client.finish().result
