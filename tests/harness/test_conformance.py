"""The conformance suite passes a backend that keeps to the protocol and catches one that does not."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slam_test_backends import CurveAdapter, CurveBackend, WitnessAdapter, WitnessBackend

from adapters import client, messages, protocol
from adapters.backend import BackendResult, TrackingResult, TrackingState, Trajectory
from adapters.errors import ProtocolViolationError
from adapters.protocol import Message, MessageType
from adapters.runtimes.process import ProcessRuntime
from harness.conformance import CHECKS, Bench, CheckState, check_name, run_check


def check_named(name):
    (check,) = [check for check in CHECKS if check_name(check) == name]
    return check


def outcome_of(check, adapter, tmp_path, monkeypatch=None):
    """The outcome of a check; with ``monkeypatch`` the backend may be one of this file."""
    if monkeypatch is not None:
        monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{Path(__file__).parent}")
    return run_check(check, Bench(adapter, ProcessRuntime(), adapter.prepare({}, tmp_path), tmp_path))


@pytest.mark.parametrize("check", CHECKS, ids=check_name)
def test_a_backend_that_keeps_to_the_protocol_passes(check, tmp_path):
    outcome = outcome_of(check, WitnessAdapter(), tmp_path)
    assert outcome.state is CheckState.PASSED, outcome.detail


def test_labels_and_imu_samples_are_tried_on_backends_that_take_them(tmp_path):
    adapter = WitnessAdapter()
    bench = Bench(adapter, ProcessRuntime(), adapter.default_options, tmp_path)
    _, answer = bench.run(bench.frames(4))
    seen = answer.result.statistics
    assert seen["label_space"] == "nyu40"
    assert (seen["labels"], seen["labelled_frames"]) == ([1, 5, 31, 255], 4)
    assert seen["imu_samples"] == 3 * 20, "20 samples a frame, none with the first"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("works with labels that say nothing", "it takes no labels"),
        ("works without labels and imu", "it takes neither labels nor IMU samples"),
        ("refuses imu samples out of order", "it takes no IMU samples"),
        ("refuses labels that nobody explained", "it takes no labels"),
    ],
)
def test_nothing_of_that_is_asked_of_other_backends(name, reason, tmp_path):
    outcome = outcome_of(check_named(name), CurveAdapter(), tmp_path)
    assert (outcome.state, outcome.detail) == (CheckState.NOT_APPLICABLE, reason)


class RandomBackend(CurveBackend):
    """Calls itself deterministic and is not."""

    def start(self, request):
        super().start(request)
        self.random = np.random.default_rng()


class RandomAdapter(CurveAdapter):
    server = "test_conformance:RandomBackend"


class CarelessBackend(CurveBackend):
    """Reports every frame as tracked, whatever it shows."""

    def track(self, frame):
        super().track(frame)
        return TrackingResult(TrackingState.OK)


class CarelessAdapter(CurveAdapter):
    server = "test_conformance:CarelessBackend"


class DemandingBackend(WitnessBackend):
    """Cannot do without labels, nor with those it does not know."""

    def track(self, frame):
        names = {1: "wall", 5: "chair", 31: "person", 255: "unknown"}
        seen = [names[label] for label in np.unique(frame.semantics).tolist()]
        assert "wall" in seen
        return super().track(frame)


class DemandingAdapter(WitnessAdapter):
    server = "test_conformance:DemandingBackend"


class DividingBackend(CurveBackend):
    """Divides by how much there is to see."""

    def track(self, frame):
        1 // int(np.ptp(frame.rgb))
        return super().track(frame)


class DividingAdapter(CurveAdapter):
    server = "test_conformance:DividingBackend"


class BlindBackend(CurveBackend):
    """Declares live poses and gives none."""

    def track(self, frame):
        return TrackingResult(super().track(frame).state)


class BlindAdapter(CurveAdapter):
    server = "test_conformance:BlindBackend"


class ModestAdapter(CurveAdapter):
    """Declares no live poses, which its backend gives."""

    def capabilities(self):
        return replace(super().capabilities(), live_poses=False)


class LateAdapter(CurveAdapter):
    """Declares no live poses and gives none."""

    server = "test_conformance:BlindBackend"

    def capabilities(self):
        return replace(super().capabilities(), live_poses=False)


class DyingBackend(CurveBackend):
    """Fails on every frame, those that are as they must be too."""

    def track(self, frame):
        raise RuntimeError("no licence")


class DyingAdapter(CurveAdapter):
    server = "test_conformance:DyingBackend"


class PoselessBackend(CurveBackend):
    """Tracks and hands over an empty trajectory."""

    def finish(self):
        return BackendResult(Trajectory(np.zeros(0, dtype=np.int64), np.zeros((0, 7))))


class PoselessAdapter(CurveAdapter):
    server = "test_conformance:PoselessBackend"


class SkewedBackend(CurveBackend):
    """Its live poses are no rigid transformations."""

    def track(self, frame):
        return TrackingResult(TrackingState.OK, np.full((4, 4), 2.0))


class SkewedAdapter(CurveAdapter):
    server = "test_conformance:SkewedBackend"


class BoastfulAdapter(CurveAdapter):
    """Declares what its backend does not announce."""

    def capabilities(self):
        return replace(super().capabilities(), takes_semantics=True)


@pytest.mark.parametrize(
    ("adapter", "caught_by", "detail"),
    [
        (RandomAdapter(), "repeats itself when it says so", "two trajectories for the same frames"),
        (CarelessAdapter(), "ends clearly on black frames without depth", "ok on black frames"),
        (CarelessAdapter(), "ends clearly on images without depth", "all depth is unknown"),
        (DividingAdapter(), "ends clearly on a constant image", "ZeroDivisionError"),
        (DividingAdapter(), "survives a sensor that fails for a moment", "ZeroDivisionError"),
        (DemandingAdapter(), "works with labels that say nothing", "KeyError: 254"),
        (DemandingAdapter(), "works without labels and imu", "KeyError"),
        (DyingAdapter(), "refuses a clock that goes backwards", "no licence"),
        (BlindAdapter(), "gives live poses when it says so", "gave none with 8 tracked frames"),
        (ModestAdapter(), "gives live poses when it says so", "declares no live poses and gave 8"),
        (DyingAdapter(), "refuses images of another size", "no licence"),
        (DyingAdapter(), "refuses nan depth", "no licence"),
        (DyingAdapter(), "refuses frames out of order", "no licence"),
        (SkewedAdapter(), "a trajectory with nan is refused", "broke the protocol by itself"),
        (SkewedAdapter(), "a trajectory of frames never sent is refused", "broke the protocol by itself"),
        (BoastfulAdapter(), "introduces itself as its adapter declares", "its adapter declares"),
    ],
)
def test_a_backend_that_breaks_its_word_is_caught(adapter, caught_by, detail, tmp_path, monkeypatch):
    outcome = outcome_of(check_named(caught_by), adapter, tmp_path, monkeypatch)
    assert outcome.state is CheckState.FAILED
    assert detail in outcome.detail


def test_a_backend_without_live_poses_that_says_so_passes(tmp_path, monkeypatch):
    check = check_named("gives live poses when it says so")
    assert outcome_of(check, LateAdapter(), tmp_path, monkeypatch).state is CheckState.PASSED


def test_nan_cannot_be_put_into_a_trajectory_without_poses(tmp_path, monkeypatch):
    check = check_named("a trajectory with nan is refused")
    outcome = outcome_of(check, PoselessAdapter(), tmp_path, monkeypatch)
    assert outcome.state is CheckState.NOT_APPLICABLE
    assert outcome.detail == "it gave none of 8 frames a pose"


class CarelessNumpy:
    """numpy for the module that checks answers, with one function that finds nothing wrong."""

    def __init__(self, blind_function):
        self.blind_function = blind_function

    def __getattr__(self, name):
        if name == self.blind_function:
            return lambda array, *_: np.ones(np.shape(array), dtype=bool)
        return getattr(np, name)


def overlook_nan(monkeypatch):
    monkeypatch.setattr(messages, "np", CarelessNumpy("isfinite"))


def overlook_frames_never_sent(monkeypatch):
    monkeypatch.setattr(messages, "np", CarelessNumpy("isin"))


def overlook_the_frame_an_answer_is_for(monkeypatch):
    parse = messages.parse_acknowledgement
    monkeypatch.setattr(
        client, "parse_acknowledgement", lambda message, _: parse(message, message.fields["index"])
    )


def overlook_garbage(monkeypatch):
    def decode(parts):
        try:
            return protocol.decode(parts)
        except ProtocolViolationError:
            fields = {"state": "ok", "milliseconds": 1.0, "waited_seconds": 0.0}
            return Message(MessageType.ACK, fields)

    monkeypatch.setattr(client, "decode", decode)
    monkeypatch.setattr(
        client,
        "parse_acknowledgement",
        lambda message, index: messages.parse_acknowledgement(
            replace(message, fields=message.fields | {"index": index}), index
        ),
    )


@pytest.mark.parametrize(
    ("overlook", "noticed_by"),
    [
        (overlook_nan, "a trajectory with nan is refused"),
        (overlook_frames_never_sent, "a trajectory of frames never sent is refused"),
        (overlook_the_frame_an_answer_is_for, "an answer for the wrong frame is refused"),
        (overlook_garbage, "garbage from it is refused"),
    ],
)
def test_a_harness_that_overlooks_something_is_caught_by_the_check_for_it(
    overlook, noticed_by, tmp_path, monkeypatch
):
    overlook(monkeypatch)
    outcome = outcome_of(check_named(noticed_by), CurveAdapter(), tmp_path)
    assert outcome.state is CheckState.FAILED
    assert outcome.detail.endswith("went through")
    healthy = outcome_of(check_named("runs a sequence to its end"), CurveAdapter(), tmp_path)
    assert healthy.state is CheckState.PASSED, healthy.detail
