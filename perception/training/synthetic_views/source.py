"""The synthetic views as a source to train from: made when they are needed, kept in a cache."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import platformdirs

from perception.training.source_parameters import checked_parameters
from perception.training.synthetic_views.making import ensure_shard, ensure_shards, shard_path
from perception.training.synthetic_views.settings import VIEWS_VERSION, SyntheticViewSettings
from perception.training.synthetic_views.shards import Shard
from perception.training.views import View, ViewSource
from sequences.errors import DataFileError
from sequences.synthetic.labels import LABEL_SPACE
from sequences.synthetic.parameters import GENERATOR_VERSION
from sequences.synthetic.writer import Progress

_MOST_OPEN = 16
_DISTRIBUTION, _FOLDER = "slam-harness", "training-views"


class SyntheticViews(ViewSource):
    """Views of flats out of the generator of synthetic sequences, with exact depth and labels.

    Views that are not in the cache are made when one of them is asked for, a flat at a time; `prepare` makes
    all of them on several processes.

    Args:
        cache_directory: Where files are kept; None for a folder of the user's.
        parameters: Of `SyntheticViewSettings`.

    Raises:
        SequenceError: A parameter is wrong.
    """

    name = "synthetic"
    label_space: str | None = LABEL_SPACE

    def __init__(self, cache_directory: str | Path | None = None, **parameters: Any):
        self.settings = checked_parameters(self.name, SyntheticViewSettings, parameters)
        cache = platformdirs.user_cache_path(_DISTRIBUTION) if cache_directory is None else cache_directory
        self.directory = Path(cache) / _FOLDER / self.settings.digest()
        self._open = _OpenShards(_MOST_OPEN)

    def __len__(self) -> int:
        return self.settings.scenes * self.settings.views_per_scene

    def prepare(self, progress: Progress, processes: int) -> None:
        """Make all files that are not in the cache, and those that are damaged.

        Args:
            progress: Called with a description, flats done and flats in all.
            processes: How many work at once.

        Raises:
            SequenceError: A file cannot be made.
        """
        ensure_shards(self.directory, self.settings, progress, processes)

    def view(self, index: int) -> View:
        """Read one view; its flat is built first when there is no file of it, or a damaged one.

        Raises:
            IndexError: There is no such view.
            SequenceError: The file cannot be made or read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} views and no view {index}")
        scene, number = divmod(index, self.settings.views_per_scene)
        seed = self.settings.seeds[scene]
        path = shard_path(self.directory, seed)
        try:
            return self._open.shard(path).view(number)
        except DataFileError:
            self._open.close(path)
            ensure_shard(self.directory, seed, self.settings)
            return self._open.shard(path).view(number)

    def subjects(self) -> frozenset[str]:
        """The flats."""
        return frozenset(f"synthetic flat {seed}" for seed in self.settings.seeds)

    def identity(self) -> dict[str, object]:
        """Settings and versions; the cache decides nothing."""
        return {
            "source": self.name,
            "generator_version": GENERATOR_VERSION,
            "views_version": VIEWS_VERSION,
            "settings": self.settings.model_dump(mode="json"),
        }


class _OpenShards:
    """The files that were read last are kept open; a process that was forked or sent one opens its own."""

    def __init__(self, most: int):
        self._most = most
        self._forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return _OpenShards, (self._most,)

    def shard(self, path: Path) -> Shard:
        if self._process != os.getpid():
            self._forget()
        with self._turn:
            if path not in self._shards:
                self._shards[path] = Shard(path)
                if len(self._shards) > self._most:
                    # Threads that still read from it keep it alive.
                    self._shards.popitem(last=False)
            self._shards.move_to_end(path)
            return self._shards[path]

    def close(self, path: Path) -> None:
        with self._turn:
            self._shards.pop(path, None)

    def _forget(self) -> None:
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._shards: OrderedDict[Path, Shard] = OrderedDict()
