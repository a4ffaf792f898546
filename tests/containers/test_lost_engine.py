"""The container engine goes away while trials run."""

import pytest
from container_command_line import wait_for
from private_engine import PrivateEngine, why_not_here
from slam_test_fault_adapters import FaultAdapter

from adapters.images.image import image_reference
from adapters.runtimes.engine import engine


@pytest.fixture(scope="module")
def private_engine(faults_image):
    """An engine that has the image; tests may leave it stopped."""
    reason = why_not_here()
    if reason:
        pytest.skip(reason)
    private = PrivateEngine()
    try:
        private.start()
        image = engine().client.images.get(faults_image.digest)
        private.client().images.load(image.save(named=image_reference(FaultAdapter())))
        yield private
    finally:
        private.close()


@pytest.fixture
def running_engine(private_engine, harness):
    harness.environment |= {"DOCKER_HOST": private_engine.address}
    if not private_engine.is_running():
        private_engine.start()
    return private_engine


def finished(harness):
    files = harness.directory.glob("experiment/trials/*/*/*/run-*/record.json")
    return {file: file.stat().st_mtime_ns for file in files}


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_engine_that_goes_away_fails_what_it_ran_and_loses_nothing(harness, running_engine, how):
    # Run 0 is under way all the time, while the others come and go beside it.
    process = harness.start(*harness.fault_arguments("hang", "--set", "faults.milliseconds=100", runs=6))
    wait_for(lambda: finished(harness), 60)
    before = finished(harness)
    assert harness.processes_in_containers()
    getattr(running_engine, how)()
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "6 trials: " in errors
    assert before.items() <= finished(harness).items()
    assert not harness.processes_in_containers()
    assert harness.record(0)["status"] == harness.record(5)["status"] == "failed"
    assert harness.record(0)["reason"].startswith("on frame 5: the container was lost: ")
    assert "the container engine does not answer" in harness.record(0)["reason"]
    reason = harness.record(5)["reason"]
    assert str(running_engine.directory) in reason
    assert ("does not exist; install and start Docker" in reason) == (how == "stop")
    assert ("does not answer" in reason) == (how == "kill")

    # What was left is removed by a reaper that still tries, or by the next command.
    running_engine.start()
    assert harness("backends", "ls").code == 0
    assert not running_engine.client().containers.list(all=True)
    (harness.trial_directory(5) / "record.json").unlink()
    assert harness("run", "--resume", "experiment").code == 1
    assert harness.record(5)["status"] == "ok"
