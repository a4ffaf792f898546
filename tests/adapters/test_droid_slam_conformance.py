"""The conformance suite against DROID-SLAM's backend with the double in upstream's place."""

import pytest
from upstream_doubles.droid_slam.droid_slam_runs import options_of_the_double, use_the_double

from adapters.droid_slam import DroidSlamAdapter
from adapters.runtimes.process import ProcessRuntime
from harness.conformance import CheckState, run_suite

NOT_APPLICABLE = {
    "works with labels that say nothing",
    "works without labels and imu",
    "repeats itself when it says so",
    "refuses imu samples out of order",
    "refuses labels that nobody explained",
}


@pytest.mark.slow
def test_every_check_that_applies_passes(tmp_path, monkeypatch):
    use_the_double(monkeypatch)
    adapter = DroidSlamAdapter()
    # The suite's sequences have eight frames.
    options = adapter.prepare(options_of_the_double(tmp_path) | {"warmup": 4}, tmp_path)
    outcomes = list(run_suite(adapter, ProcessRuntime(), options))
    failed = {outcome.name: outcome.detail for outcome in outcomes if outcome.state is CheckState.FAILED}
    assert not failed
    skipped = {outcome.name for outcome in outcomes if outcome.state is CheckState.NOT_APPLICABLE}
    assert skipped == NOT_APPLICABLE
