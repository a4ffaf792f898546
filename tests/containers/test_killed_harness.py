"""``kill -9`` of the harness: everything it started ends, and the experiment goes on where it was."""

import os
import signal
import time

import psutil
from container_command_line import wait_for

RUN = ("--set", "faults.milliseconds=200")


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def finished(harness):
    """When each record was written, by its file."""
    files = harness.directory.glob("experiment/trials/*/*/*/run-*/record.json")
    return {file: file.stat().st_mtime_ns for file in files}


def reapers(harness):
    return [process for process in harness.processes() if "adapters.runtimes.reaper" in process.cmdline()]


def test_nothing_outlives_a_killed_harness_and_a_resumed_run_repeats_nothing(harness):
    process = harness.start(*harness.fault_arguments("none", *RUN, runs=4))
    # Two run at a time.
    for run in (2, 3):
        harness.container_of(run)
    kill(process)
    before = finished(harness)
    assert 1 <= len(before) < 4
    assert len(reapers(harness)) >= 1
    wait_for(lambda: not harness.left_behind(), 15)

    outcome = harness("run", "--resume", "experiment")
    assert outcome.code == 0, outcome.err
    assert [record["status"] for record in harness.records()] == ["ok"] * 4
    assert before.items() <= finished(harness).items()


def test_a_container_whose_reaper_was_killed_too_is_swept_by_the_next_command(harness, temporary_files):
    process = harness.start(*harness.fault_arguments("none", "--set", "faults.milliseconds=300", runs=1))
    container = harness.container_of(0)
    for reaper in reapers(harness):
        reaper.kill()
    kill(process)
    wait_for(lambda: not harness.processes(), 15)
    time.sleep(1)
    assert [found.id for found in harness.containers()] == [container.id]
    # The directory of its socket is younger than what a sweep would touch; it is made older here.
    (directory,) = temporary_files.glob("slam-harness-*")
    os.utime(directory, (0, 0))

    assert harness("backends", "ls").code == 0
    assert harness.containers() == []
    assert not harness.processes_in_containers()
    assert harness("run", "--resume", "experiment").code == 0


def test_the_sweep_leaves_the_containers_of_a_harness_that_runs(harness):
    # It must still run after a command that takes some seconds on a busy machine.
    process = harness.start(*harness.fault_arguments("none", "--set", "faults.milliseconds=1500", runs=1))
    container = harness.container_of(0)
    assert harness("backends", "ls").code == 0
    container.reload()
    assert container.status == "running"
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert harness.record(0)["status"] == "ok"


def test_a_harness_that_is_interrupted_takes_its_containers_along(harness):
    # Where tests run in the background of a shell, what they start would ignore this signal.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = harness.start(*harness.fault_arguments("none", "--set", "faults.milliseconds=5000", runs=2))
    finally:
        signal.signal(signal.SIGINT, inherited)
    harness.container_of(0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "continue with: harness run --resume experiment" in errors
    assert not harness.left_behind()


def test_a_worker_that_is_killed_loses_its_container_and_fails_alone(harness):
    process = harness.start(*harness.fault_arguments("none", *RUN, runs=2))
    harness.container_of(0)
    worker = next(
        child
        for child in psutil.Process(process.pid).children()
        if str(harness.trial_directory(0) / "worker.log") in [file.path for file in child.open_files()]
        or os.readlink(f"/proc/{child.pid}/fd/2") == str(harness.trial_directory(0) / "worker.log")
    )
    worker.kill()
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert [record["status"] for record in harness.records()] == ["failed", "ok"]
    assert "the trial's process was killed by signal 9 and left no record" in harness.record(0)["reason"]
