"""The conformance suite passes a backend that keeps to the protocol and catches one that does not."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slam_test_backends import CurveAdapter, CurveBackend

from adapters.backend import TrackingResult, TrackingState
from adapters.runtimes.process import ProcessRuntime
from harness.conformance import CHECKS, Bench, CheckState, check_name, run_check


def outcome_of(check, adapter, tmp_path):
    return run_check(check, Bench(adapter, ProcessRuntime(), adapter.prepare({}, tmp_path), tmp_path))


@pytest.mark.parametrize("check", CHECKS, ids=check_name)
def test_a_backend_that_keeps_to_the_protocol_passes(check, tmp_path):
    outcome = outcome_of(check, CurveAdapter(), tmp_path)
    assert outcome.state is CheckState.PASSED, outcome.detail


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


class BoastfulAdapter(CurveAdapter):
    """Declares what its backend does not announce."""

    def capabilities(self):
        return replace(super().capabilities(), takes_semantics=True)


@pytest.mark.parametrize(
    ("adapter", "caught_by", "detail"),
    [
        (RandomAdapter(), "repeats itself when it says so", "two trajectories for the same frames"),
        (CarelessAdapter(), "ends clearly on black frames without depth", "ok on black frames"),
        (BoastfulAdapter(), "introduces itself as its adapter declares", "its adapter declares"),
    ],
)
def test_a_backend_that_breaks_its_word_is_caught(adapter, caught_by, detail, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{Path(__file__).parent}")
    (check,) = [check for check in CHECKS if check_name(check) == caught_by]
    outcome = outcome_of(check, adapter, tmp_path)
    assert outcome.state is CheckState.FAILED
    assert detail in outcome.detail
