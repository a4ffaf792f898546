"""Predictions on disk by key. Whatever goes wrong with them costs a prediction anew and is no error."""

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Self

from perception.cache.bounded_directory import BoundedDirectory
from perception.cache.entry import DamagedEntryError, pack, unpack
from perception.module import Prediction

_log = logging.getLogger(__name__)

#: Name of the directory below the user's cache directory.
_DIRECTORY = "predictions"


class PredictionCache:
    """Keeps predictions for this process and others, now and later.

    Args:
        directory: Where they are; made when the first one is kept.
        limit_bytes: As for :class:`~perception.cache.bounded_directory.BoundedDirectory`.
    """

    def __init__(self, directory: Path, limit_bytes: int | None = None):
        self._entries = BoundedDirectory(directory, limit_bytes)
        self._reads = self._keeps = True

    @classmethod
    def below(cls, cache_directory: Path) -> Self:
        """The one that all share who have this cache directory."""
        return cls(cache_directory / _DIRECTORY)

    def read(self, key: str) -> Prediction | None:
        """What was kept under a key; None when that is nothing, or cannot be read any more."""
        if not self._reads:
            return None
        try:
            packed = self._entries.read(key)
        except OSError as error:
            self._reads = self._keeps = False
            _log.warning("kept predictions cannot be read, all are made anew: %s", error)
            return None
        if packed is None:
            return None
        try:
            return unpack(key, packed)
        except DamagedEntryError as error:
            _log.warning("a kept prediction in %s is made anew: %s", self._entries.path, error)
            self._entries.remove(key)
            return None

    def keep(self, key: str, prediction: Prediction) -> None:
        """Keep a prediction; where the disk is full or read-only that is the end of keeping any."""
        if not self._keeps:
            return
        try:
            self._entries.write(key, pack(key, prediction))
        except OSError as error:
            self._keeps = False
            _log.warning("predictions are not kept from here on: %s", error)

    def turn(self, key: str) -> AbstractContextManager[None]:
        """A block in which one process predicts and the others, who want the same, wait for it."""
        return self._entries.turn(key) if self._keeps else nullcontext()
