"""Plug-ins whose classes are not where their entry points say: listed with the reason, in nobody's way."""

import pytest


@pytest.fixture
def with_broken_plugins(harness):
    folder = harness.directory / "plugins" / "broken_plugins-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugins\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[slam_harness.backends]\nbroken = slam_test_backends:NoSuchAdapter\n"
        "[slam_harness.perception]\nshattered = slam_test_perception:NoSuchModule\n"
    )
    harness.environment["PYTHONPATH"] += f":{folder.parent}"
    return harness


def test_a_broken_backend_is_listed_with_the_reason_among_the_others(with_broken_plugins):
    outcome = with_broken_plugins("backends", "ls")
    assert outcome.code == 0, outcome.err
    words = " ".join(outcome.out.split())
    assert "broken no" in words
    assert "broken: backend 'broken'" in words
    assert "NoSuchAdapter" in words
    assert "curve 1 rgbd, mono yes no process none" in words


def test_a_broken_perception_module_is_listed_with_the_reason_among_the_others(with_broken_plugins):
    outcome = with_broken_plugins("perception", "ls")
    assert outcome.code == 0, outcome.err
    words = " ".join(outcome.out.split())
    assert "shattered cannot be used here: perception module 'shattered'" in words
    assert "NoSuchModule" in words
    assert "sensor" in words


def test_a_broken_plugin_asked_for_by_name_is_an_error(with_broken_plugins):
    for arguments in (
        ("backends", "check", "broken"),
        ("run", "--seqs", "demo", "--perception", "sensor", "--backends", "curve,broken"),
        ("run", "--seqs", "demo", "--perception", "shattered", "--backends", "curve"),
    ):
        outcome = with_broken_plugins(*arguments)
        assert outcome.code == 2
        assert "cannot be loaded: AttributeError" in outcome.err
        assert "Traceback" not in outcome.err
