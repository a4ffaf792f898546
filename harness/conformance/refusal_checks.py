"""Checks that what breaks the protocol is refused before it reaches the SLAM system."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adapters.backend import RgbdFrame, StartRequest
from adapters.client import PhaseLimits
from adapters.connection import Parts
from adapters.errors import BackendReportedError
from adapters.messages import frame_message
from adapters.protocol import PROTOCOL_VERSION, Message, MessageType, decode, encode
from harness.conformance.bench import Bench
from harness.conformance.outcome import CheckFailedError, must_raise


def check_refuses_another_protocol_version(bench: Bench) -> None:
    """A message of another version is answered with an error, not worked with."""
    hello = encode(Message(MessageType.HELLO), version=PROTOCOL_VERSION + 1)
    _must_answer_with_error(bench, hello, "a 'hello' of another protocol version")


def check_refuses_garbage_bytes(bench: Bench) -> None:
    """Bytes that are no message are answered with an error."""
    garbage = np.random.default_rng(0).bytes(1000)
    _must_answer_with_error(bench, [garbage, garbage], "a thousand random bytes")


def check_refuses_a_frame_before_start(bench: Bench) -> None:
    """The order of the conversation is kept."""
    frame = encode(frame_message(next(bench.frames())))
    _must_answer_with_error(bench, frame, "a frame before 'start'")


def check_refuses_images_of_another_size(bench: Bench) -> None:
    """Frames must have the size that was announced."""
    *whole, frame = bench.frames()
    small = replace(
        frame,
        rgb=np.ascontiguousarray(frame.rgb[::2, ::2]),
        depth=None if frame.depth is None else np.ascontiguousarray(frame.depth[::2, ::2]),
    )
    _must_refuse_frame(bench, whole, small, "an image of half the size")


def check_refuses_nan_depth(bench: Bench) -> None:
    """Depth with NaN never reaches the SLAM system."""
    bench.require_depth()
    *whole, frame = bench.frames()
    broken = replace(frame, depth=np.full_like(frame.depth, np.nan))
    _must_refuse_frame(bench, whole, broken, "depth that is NaN")


def check_refuses_frames_out_of_order(bench: Bench) -> None:
    """Frames that come after later ones never reach the SLAM system."""
    first, second, third, fourth = bench.frames(4)
    _must_refuse_frame(bench, [first, second, fourth], third, "a frame out of order")


def check_refuses_a_clock_that_goes_backwards(bench: Bench) -> None:
    """The next frame with the timestamp of an earlier one never reaches the SLAM system."""
    first, second, third = bench.frames(3)
    late = replace(third, timestamp_ns=first.timestamp_ns + 1)
    _must_refuse_frame(bench, [first, second], late, "a frame whose clock went backwards")


def check_refuses_imu_samples_out_of_order(bench: Bench) -> None:
    """IMU samples whose clock goes backwards never reach the SLAM system."""
    bench.require_imu()
    *whole, frame = bench.frames()
    assert frame.imu_timestamps_ns is not None, "every frame but the first has IMU samples"
    shuffled = replace(frame, imu_timestamps_ns=frame.imu_timestamps_ns[::-1])
    _must_refuse_frame(bench, whole, shuffled, "IMU samples out of order")


def check_refuses_labels_that_nobody_explained(bench: Bench) -> None:
    """Labels without a label space mean nothing."""
    bench.require_labels()
    unexplained = replace(bench.start_request(), label_space=None)
    _must_refuse_frame(bench, [], next(bench.frames()), "labels without a label space", unexplained)


def _must_answer_with_error(bench: Bench, parts: Parts, what: str) -> None:
    limits = PhaseLimits()
    with bench.running() as (connection, _):
        connection.send(parts, limits.hello_s, what)
        answer = connection.receive(time.monotonic() + limits.hello_s, what)
    if answer is None or decode(answer).kind is not MessageType.ERROR:
        raise CheckFailedError(f"{what} is not answered with an error")


def _must_refuse_frame(
    bench: Bench,
    good: Sequence[RgbdFrame],
    bad: RgbdFrame,
    what: str,
    request: StartRequest | None = None,
) -> None:
    """Frames that are as they must be go through; the one after them must not."""
    with bench.running() as (connection, _):
        client = bench.client(connection, request=request)
        for frame in good:
            client.track(frame)
        with must_raise(BackendReportedError, because=what):
            client.track(bad)
