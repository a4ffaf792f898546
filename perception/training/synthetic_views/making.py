"""Makes the files of views: each once, whoever wants it, and again when it is damaged."""

import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from perception.training.synthetic_views.rendering import render_views
from perception.training.synthetic_views.settings import SyntheticViewSettings
from perception.training.synthetic_views.shards import damage_of, write_shard
from sequences.errors import SequenceError
from sequences.file_lock import locked
from sequences.synthetic.writer import Progress

_log = logging.getLogger(__name__)

_LOCKS = "locks"


def shard_path(directory: Path, seed: int) -> Path:
    """The file with the views of a flat."""
    return directory / f"{seed}.zip"


def ensure_shard(directory: Path, seed: int, settings: SyntheticViewSettings, *, wait: bool = True) -> bool:
    """Make the file of a flat unless it is there and whole.

    A lock keeps others from doing the same work. A damaged file is named in the log and made anew; who has
    it open goes on with the old one.

    Args:
        directory: Of all files with these settings.
        seed: Of the flat.
        settings: What decides its views.
        wait: Whether to wait while another process makes it.

    Returns:
        False when another process is making it and there was no waiting.

    Raises:
        SequenceError: It cannot be made.
    """
    path = shard_path(directory, seed)
    try:
        (directory / _LOCKS).mkdir(parents=True, exist_ok=True)
        with locked(directory / _LOCKS / f"{seed}", _go_on_waiting if wait else _wait_no_longer):
            if path.exists():
                damage = damage_of(path, settings.views_per_scene)
                if damage is None:
                    return True
                _log.warning("'%s' %s and is made anew", path, damage)
            # Only a killed process leaves these behind: whoever made them held the lock.
            for abandoned in directory.glob(f"{path.name}.*.part"):
                abandoned.unlink(missing_ok=True)
            write_shard(path, render_views(seed, settings))
    except _BusyError:
        return False
    except OSError as error:
        raise SequenceError(f"'{path}' cannot be made: {error.strerror or error}") from error
    return True


def ensure_shards(
    directory: Path, settings: SyntheticViewSettings, progress: Progress, processes: int
) -> None:
    """Make all files that are not there and whole.

    Args:
        directory: Of all files with these settings.
        settings: Which flats there are, and what decides their views.
        progress: Called with a description, flats done and flats in all.
        processes: How many work at once; with one, it is this process.

    Raises:
        SequenceError: A file cannot be made.
    """
    title, count = "rendering views to train on", len(settings.seeds)
    done, busy = 0, []
    progress(title, done, count)
    for seed, made in _attempts(directory, settings, processes):
        if made:
            done += 1
            progress(title, done, count)
        else:
            busy.append(seed)
    for seed in busy:
        ensure_shard(directory, seed, settings)
        done += 1
        progress(title, done, count)


def _attempts(directory: Path, settings: SyntheticViewSettings, processes: int) -> Iterator[tuple[int, bool]]:
    """Seeds as they are done with, and whether somebody else is making the file."""
    if processes == 1 or len(settings.seeds) == 1:
        for seed in settings.seeds:
            yield seed, ensure_shard(directory, seed, settings, wait=False)
        return
    # The ray caster has threads of its own, which do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = {
            pool.submit(ensure_shard, directory, seed, settings, wait=False): seed for seed in settings.seeds
        }
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        except BrokenProcessPool as error:
            raise SequenceError(
                "a process that renders views was killed, perhaps for want of memory: use fewer 'processes'; "
                "what is made stays"
            ) from error
        finally:
            for job in jobs:
                job.cancel()


class _BusyError(Exception):
    """Another process makes the file."""


def _wait_no_longer() -> None:
    raise _BusyError


def _go_on_waiting() -> None:
    """There is nothing to do meanwhile."""
