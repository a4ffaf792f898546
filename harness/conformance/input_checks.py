"""Checks of what a backend makes of frames as they may come, good ones and useless ones."""

from dataclasses import replace

import numpy as np

from adapters.backend import RgbdFrame, TrackingState
from adapters.client import BackendClient, PhaseLimits
from harness.conformance.bench import Bench
from harness.conformance.outcome import CheckFailedError, NotApplicableError

#: An id that is none of the label space's classes, beside 255.
_NO_LABEL = 254


def check_introduces_itself_as_its_adapter_declares(bench: Bench) -> None:
    """``hello`` is answered with the capabilities that the adapter declares."""
    with bench.running() as (connection, _):
        announced = BackendClient(connection, PhaseLimits()).hello()
    if not announced.agrees_with(bench.adapter.capabilities()):
        raise CheckFailedError(f"announces {announced}, its adapter declares {bench.adapter.capabilities()}")


def check_runs_a_sequence_to_its_end(bench: Bench) -> None:
    """Every frame is answered and a trajectory comes back that passes all checks."""
    bench.run(bench.frames())


def check_ends_clearly_after_a_single_frame(bench: Bench) -> None:
    """One frame is too few for most systems; the result may be empty, a crash it may not be."""
    bench.run(bench.frames(1))


def check_ends_clearly_on_black_frames_without_depth(bench: Bench) -> None:
    """Nothing can be seen: in the end tracking may not be reported as ok."""
    states, _ = bench.run(_blind(frame) for frame in bench.frames())
    if states[-1] is TrackingState.OK:
        raise CheckFailedError("reports tracking as ok on black frames without depth")


def check_ends_clearly_on_images_without_depth(bench: Bench) -> None:
    """There are images and all depth is unknown: nothing is metric, in the end tracking may not be ok."""
    bench.require_depth()
    states, _ = bench.run(replace(frame, depth=np.zeros_like(frame.depth)) for frame in bench.frames())
    if states[-1] is TrackingState.OK:
        raise CheckFailedError("reports tracking as ok on images of which all depth is unknown")


def check_ends_clearly_on_a_constant_image(bench: Bench) -> None:
    """The same grey everywhere, and depth as it was: whatever the state, it comes to an end."""
    grey = np.full_like(next(bench.frames()).rgb, 128)
    bench.run(replace(frame, rgb=grey) for frame in bench.frames())


def check_survives_a_sensor_that_fails_for_a_moment(bench: Bench) -> None:
    """In mid-sequence some frames are black and without depth."""
    bench.run(_blind(frame) if frame.index in (3, 4) else frame for frame in bench.frames())


def check_works_with_labels_that_say_nothing(bench: Bench) -> None:
    """Every label is unknown, in every other row by an id that is none of the classes."""
    bench.require_labels()
    bench.run(_unlabelled(frame) for frame in bench.frames())


def check_works_without_labels_and_imu(bench: Bench) -> None:
    """Not every sequence has an IMU, nor does every perception module give labels."""
    capabilities = bench.adapter.capabilities()
    if not (capabilities.takes_semantics or capabilities.takes_imu):
        raise NotApplicableError("it takes neither labels nor IMU samples")
    bare = (replace(frame, semantics=None, imu=None, imu_timestamps_ns=None) for frame in bench.frames())
    bench.run(bare, replace(bench.start_request(), imu=None, label_space=None))


def check_gives_live_poses_when_it_says_so(bench: Bench) -> None:
    """Frames that are tracked get a pose at once from a backend that declares live poses, from no other."""
    with bench.running() as (connection, _):
        client = bench.client(connection)
        results = [client.track(frame).result for frame in bench.frames()]
    posed = sum(result.camera_to_world is not None for result in results)
    if not bench.adapter.capabilities().live_poses:
        if posed:
            raise CheckFailedError(f"declares no live poses and gave {posed} in {len(results)} frames")
        return
    tracked = [result for result in results if result.state is TrackingState.OK]
    if not tracked:
        raise NotApplicableError(f"none of {len(results)} frames was tracked")
    if all(result.camera_to_world is None for result in tracked):
        raise CheckFailedError(f"declares live poses and gave none with {len(tracked)} tracked frames")


def check_takes_frames_while_it_works_on_the_one_before(bench: Bench) -> None:
    """Every frame is answered in turn when it was sent before the answer to the one before it."""
    frames = list(bench.frames())
    with bench.running() as (connection, _):
        client = bench.client(connection)
        for frame, upcoming in zip(frames, [*frames[1:], None], strict=True):
            client.track(frame, upcoming)
        client.finish()


def check_repeats_itself_when_it_says_so(bench: Bench) -> None:
    """A backend that calls itself deterministic gives the same bits twice."""
    if not bench.adapter.capabilities().deterministic:
        raise NotApplicableError("it does not claim to be deterministic")
    first, second = (bench.run(bench.frames())[1].result.trajectory for _ in range(2))
    if not np.array_equal(first.poses, second.poses):
        raise CheckFailedError("claims to be deterministic and gave two trajectories for the same frames")


def _blind(frame: RgbdFrame) -> RgbdFrame:
    """A frame in which nothing can be seen."""
    depth = None if frame.depth is None else np.zeros_like(frame.depth)
    return replace(frame, rgb=np.zeros_like(frame.rgb), depth=depth)


def _unlabelled(frame: RgbdFrame) -> RgbdFrame:
    labels = np.full(frame.rgb.shape[:2], 255, dtype=np.uint8)
    labels[::2] = _NO_LABEL
    return replace(frame, semantics=labels)
