"""Backends that misbehave in a container: one trial fails, with the reason; others go on, nothing is left."""

import subprocess

import pytest

MEBIBYTE = 1024**2


def test_a_container_that_is_killed_in_mid_sequence_is_reported(harness):
    process = harness.start(*harness.fault_arguments("none", "--set", "faults.milliseconds=200"))
    harness.container_of(0).kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert [record["status"] for record in harness.records()] == ["failed", "ok"]
    assert "the backend died with signal SIGKILL" in harness.record(0)["reason"]


def test_memory_that_a_backend_fills_is_named_with_its_limit(harness):
    reason = harness.failed_alone(harness.faulty("fill memory", "--memory-limit", "300M"))
    assert reason.startswith("on frame 5: out of memory: the backend was killed")
    assert "the container's limit is 0.29 GiB, raise it with --memory-limit" in reason


def test_memory_that_a_child_fills_is_named_although_the_backend_lives_to_complain(harness):
    reason = harness.failed_alone(harness.faulty("fill memory in a child", "--memory-limit", "300M"))
    assert reason.startswith(
        "out of memory: a process of the backend was killed, and then: the backend reports"
    )
    assert "the helper ended with -9" in reason
    assert "limit is 0.29 GiB" in reason


@pytest.mark.parametrize(
    ("fault", "limits", "reason"),
    [
        ("hang in start", "start_s: 2", "after 'start': the backend was silent for 2 s, which is the limit"),
        ("hang", "frame_s: 2", "on frame 5: the backend was silent for 2 s, which is the limit"),
        (
            "hang on a stopped child",
            "frame_s: 2",
            "on frame 5: the backend was silent for 2 s, which is the limit",
        ),
        (
            "hang in finish",
            "finish_s: 2",
            "after 'finish': the backend was silent for 2 s, which is the limit",
        ),
    ],
)
def test_a_backend_that_hangs_is_told_by_phase_and_frame(harness, fault, limits, reason):
    assert harness.failed_alone(harness.faulty(fault, limits=limits)) == reason


def test_a_container_that_is_stopped_from_outside_is_a_backend_that_hangs(harness):
    arguments = harness.fault_arguments("none", "--set", "faults.milliseconds=200", limits="frame_s: 2")
    process = harness.start(*arguments)
    harness.container_of(0).kill(signal="SIGSTOP")
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert [record["status"] for record in harness.records()] == ["failed", "ok"]
    assert "the backend was silent for 2 s" in harness.record(0)["reason"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("answer garbage", "1008 bytes that are no message"),
        ("answer another question", "the answer to frame 6 is for frame 1000000"),
        ("nan trajectory", "pose 1 of the trajectory has NaN or infinite values"),
        ("name a pipe", "the backend names the file 'pipe', which it did not write"),
        ("name a link to a file of the host", "the backend names the file 'link', which it did not write"),
        ("name a link to another trial", "the backend names the file 'link', which it did not write"),
        ("name a file elsewhere", "file '../../run-1/record.json' is not below the output directory"),
    ],
)
def test_answers_that_break_the_protocol_are_named(harness, fault, reason):
    assert reason in harness.failed_alone(harness.faulty(fault))


def mebibytes_on_disk(directory):
    """What ``du`` says, which knows nothing of our own count."""
    answer = subprocess.run(["du", "-sk", str(directory)], capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[0]) / 1024


@pytest.mark.parametrize("fault", ["write many files", "write below many directories", "flood the log"])
def test_ten_gigabytes_of_output_are_stopped_soon_after_the_limit(harness, fault):
    reason = harness.failed_alone(harness.faulty(fault, "--output-limit", "64M"))
    assert reason.startswith("on frame 5: the backend wrote ")
    assert "GiB of files and log, its limit is 0.06 GiB; raise it with --output-limit" in reason
    # Between two looks, and until the engine has killed it, a backend writes as fast as memory takes it: half
    # a gigabyte was seen on a busy machine. The bound is far above that and far from ten.
    assert 60 < mebibytes_on_disk(harness.directory) < 3000
    # Neither Python nor pytest can remove what lies deeper than paths reach.
    subprocess.run(["rm", "-rf", str(harness.trial_directory(0) / "backend")], check=True)


def test_files_without_content_are_output_too(harness):
    reason = harness.failed_alone(harness.faulty("write empty files", "--output-limit", "16M"))
    assert "GiB of files and log, its limit is 0.02 GiB; raise it with --output-limit" in reason


def test_a_single_file_does_not_grow_beyond_the_limit(harness):
    reason = harness.failed_alone(harness.faulty("write one huge file", "--output-limit", "64M"))
    assert "GiB of files and log, its limit is 0.06 GiB; raise it with --output-limit" in reason
    assert (harness.trial_directory(0) / "backend" / "huge.bin").stat().st_size <= 64 * MEBIBYTE


@pytest.mark.parametrize("fault", ["fill /tmp", "fill /dev/shm"])
def test_temporary_files_count_as_memory(harness, fault):
    reason = harness.failed_alone(harness.faulty(fault, "--memory-limit", "300M"))
    assert reason.startswith("on frame 5: out of memory")
    assert mebibytes_on_disk(harness.directory) < 5


def test_temporary_files_end_at_a_limit_of_their_own(harness):
    reason = harness.failed_alone(harness.faulty("fill /tmp", "--memory-limit", "2G"))
    assert reason == "the backend reports: OSError: [Errno 28] No space left on device"


def test_processes_end_at_a_limit_and_harm_nobody(harness):
    outcome = harness.faulty("start processes without end", "--memory-limit", "6G")
    assert outcome.code == 0, outcome.err
    assert [record["status"] for record in harness.records()] == ["ok", "ok"]
    assert 900 < harness.record(0)["backend"]["statistics"]["processes"] < 1024
