"""A program in the place of GO-SLAM's: how it is run, and that nothing is left of it."""

import sys
import time

import psutil
import pytest

from adapters.backend import Mode
from adapters.go_slam.installation import Installation
from adapters.go_slam.upstream_run import Paths, run_upstream

WITH_A_CHILD = """
import pathlib, subprocess, sys
child = subprocess.Popen(["sleep", "60"])
pathlib.Path("child").write_text(str(child.pid))
"""


@pytest.fixture
def run(tmp_path):
    """Runs a program of the given text."""

    def run(program, limit_s=20.0):
        (tmp_path / "run.py").write_text(program)
        paths = Paths(tmp_path / "c.yaml", tmp_path / "in", tmp_path / "out", tmp_path / "log")
        return run_upstream(Installation(tmp_path, sys.executable), Mode.MONO, paths, limit_s)

    return run


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_is_told_what_to_read_and_where_to_write(run, tmp_path):
    ending = run("import sys; print(*sys.argv[1:])")
    expected = f"{tmp_path}/c.yaml --mode mono --input_folder {tmp_path}/in --output {tmp_path}/out\n"
    assert (tmp_path / "log").read_text() == expected
    assert (ending.exit_code, ending.failure) == (0, None)


@pytest.mark.parametrize(
    ("end", "exit_code"), [("child.wait()", None), ("", 0), ("sys.exit(2)", 2), ("raise KeyError", 1)]
)
def test_children_are_killed_however_it_ends(run, tmp_path, end, exit_code):
    ending = run(WITH_A_CHILD + end, limit_s=3.0 if exit_code is None else 20.0)
    assert ending.exit_code == exit_code
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_log_of_many_lines_is_told_by_its_last_ones(run):
    ending = run("for number in range(9000): print('line', number)\nraise SystemExit(4)")
    assert ending.failure.endswith(
        "exit code 4; its log ends: " + " | ".join(f"line {n}" for n in range(8995, 9000))
    )


def test_a_program_that_says_nothing_needs_no_last_words(run):
    assert run("raise SystemExit(4)").failure == "GO-SLAM failed: exit code 4"


def test_memory_that_ran_out_long_before_the_end_is_still_the_reason(run):
    program = "print('RuntimeError: CUDA out of memory.')\nprint('later\\n' * 9000)\nraise SystemExit(1)"
    assert run(program).failure.startswith("GO-SLAM ran out of GPU memory (exit code 1)")


def test_bytes_that_are_no_text_harm_nothing(run):
    ending = run("import sys; sys.stdout.buffer.write(bytes(range(256))); sys.exit(1)")
    assert "exit code 1" in ending.failure
