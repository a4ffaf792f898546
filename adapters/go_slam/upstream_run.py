"""One run of upstream's program: started, limited in time, and its end told in a sentence."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from adapters.backend import Mode
from adapters.go_slam.installation import Installation

_WORDS_BYTES = 4096
_WORDS_LINES = 5
#: What PyTorch, CUDA's runtime and tiny-cuda-nn say when the memory of the GPU is used up.
_OUT_OF_MEMORY = (
    "cuda out of memory",
    "cuda error: out of memory",
    "cuda_error_out_of_memory",
    "cudaerrormemoryallocation",
    "cublas_status_alloc_failed",
)
#: What evo says when it is to align a trajectory to one that does not move. With poses that are all the
#: identity, upstream's own scoring at its end comes to that, after it has written what it estimated.
_CANNOT_SCORE = "degenerate covariance rank, umeyama alignment is not possible"


@dataclass(frozen=True)
class Paths:
    """What a run reads and writes.

    Attributes:
        configuration: The configuration file.
        input_folder: The frames.
        output_folder: Where upstream writes what it made.
        log_file: Everything it prints.
    """

    configuration: Path
    input_folder: Path
    output_folder: Path
    log_file: Path


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        exit_code: Negative for a signal; None when it was stopped at the limit.
        seconds: How long it took.
        peak_memory_bytes: Most memory that one of its processes held.
        log_file: What it printed.
    """

    exit_code: int | None
    seconds: float
    peak_memory_bytes: int
    log_file: Path

    @property
    def only_scoring_failed(self) -> bool:
        """It had nothing left to do but compare its poses with those it was given, which are no truth."""
        return self.exit_code not in (0, None) and _CANNOT_SCORE in _last_words(self.log_file).lower()

    @property
    def failure(self) -> str | None:
        """What went wrong and what can be done, in a sentence; None when it ended as it should."""
        if self.exit_code == 0:
            return None
        if _says(self.log_file, _OUT_OF_MEMORY):
            return (
                f"GO-SLAM ran out of GPU memory ({self._how}); its author names 16 GB as the least: take a"
                " larger GPU or fewer frames (--max-frames)" + self._words
            )
        if self.exit_code is None:
            return (
                f"GO-SLAM was stopped because it took longer than {self.seconds:.0f} s; raise the option"
                " time_limit_s, and above it what the harness waits for 'finish' (limits: finish_s)"
                + self._words
            )
        if self.exit_code == -signal.SIGKILL:
            return (
                "GO-SLAM was killed, most often by the kernel because memory ran short; raise --memory-limit"
                + self._words
            )
        return f"GO-SLAM failed: {self._how}" + self._words

    @property
    def _how(self) -> str:
        if self.exit_code is None:
            return f"stopped after {self.seconds:.0f} s"
        return f"signal {-self.exit_code}" if self.exit_code < 0 else f"exit code {self.exit_code}"

    @property
    def _words(self) -> str:
        return log_ends(self.log_file)


def run_upstream(where: Installation, mode: Mode, paths: Paths, limit_s: float) -> Ending:
    """Run it to its end, good or bad; none of the processes in its group is left running.

    Args:
        where: What is run.
        mode: What it is told the frames are.
        paths: What it reads and writes.
        limit_s: When it is stopped, seconds.
    """
    command = [
        *(sys.executable, "-P", "-m", "adapters.go_slam.launch", str(os.getpid()), str(where.home)),
        *(where.python, str(where.program), str(paths.configuration), "--mode", mode.value),
        *("--input_folder", str(paths.input_folder), "--output", str(paths.output_folder)),
    ]
    started = time.monotonic()
    with paths.log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=paths.configuration.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        exit_code: int | None = None
        try:
            exit_code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    # Of children that have ended, the largest; ru_maxrss is in KiB on Linux.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return Ending(exit_code, time.monotonic() - started, peak, paths.log_file)


def log_ends(log_file: Path) -> str:
    """The last lines of a log, to be put after a sentence; empty when there are none."""
    lines = [line.strip() for line in _last_words(log_file).splitlines() if line.strip()]
    return f"; its log ends: {' | '.join(lines[-_WORDS_LINES:])}" if lines else ""


def _last_words(log_file: Path) -> str:
    with log_file.open("rb") as stream:
        stream.seek(max(0, log_file.stat().st_size - _WORDS_BYTES))
        return stream.read().decode(errors="replace")


def _says(log_file: Path, phrases: tuple[str, ...]) -> bool:
    """Whether a log has one of the phrases; one process of several may have died long before the end."""
    with log_file.open(errors="replace") as lines:
        return any(phrase in line.lower() for line in lines for phrase in phrases)
