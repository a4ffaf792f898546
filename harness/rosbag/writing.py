"""Writing a bag, message by message, into a directory that appears when all of it is there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from uuid import uuid4

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from harness.errors import ResultsError
from harness.rosbag.topics import Topic

# Version 9, the newest, writes qualities of service in a form that ROS 2 Humble does not read.
_BAG_VERSION: Literal[8] = 8


class BagWriter:
    """A ROS 2 bag in MCAP. A context manager; what fails inside leaves a bag without its index.

    Args:
        path: The bag's folder, which must not exist.
        topics: All topics that will be written to.

    Attributes:
        topics: The same.
        counts: Messages written so far, by the name of their topic.
    """

    def __init__(self, path: Path, topics: list[Topic]) -> None:
        self._writer = Writer(path, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._typestore = get_typestore(Stores.ROS2_HUMBLE)
        self.topics = topics
        self._connections: dict[Topic, Connection] = {}
        self.counts: dict[str, int] = {topic.name: 0 for topic in topics}

    def __enter__(self) -> "BagWriter":
        self._writer.open()
        for topic in self.topics:
            self._connections[topic] = self._writer.add_connection(
                topic.name, topic.kind, typestore=self._typestore, offered_qos_profiles=topic.qos()
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, traceback)

    def write(self, topic: Topic, timestamp_ns: int, message: Any) -> None:
        """Write a message, recorded at the instant that its header has."""
        raw = self._typestore.serialize_cdr(message, topic.kind)
        self._writer.write(self._connections[topic], timestamp_ns, raw)
        self.counts[topic.name] += 1


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Make a directory that appears under its name only when all that belongs into it is there.

    Args:
        path: Where it shall be.

    Yields:
        A directory beside it to fill, hidden and with the ending ``.part``. It is removed when the block
        raises; a process that is killed leaves it.

    Raises:
        ResultsError: There is something of that name, or it cannot be written.
    """
    if os.path.lexists(path):
        raise ResultsError(f"{path} exists already; choose another place, or remove it")
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        yield part
        os.rename(part, path)
    except OSError as error:
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}; "
            "make room or see to the permissions there, or choose another place"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
