"""DBoW2's text format for a vocabulary of ORB words: writing it, and telling it from other files.

The first line is ``k L scoring weighting``. Every further line is one node below the root, in the order of
the nodes' numbers from 1: ``parent is_leaf``, the 32 bytes of the descriptor, ``weight``.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DESCRIPTOR_BYTES = 32
# Scoring 0 is the L1 norm and weighting 0 is TF-IDF, what ORB-SLAM3's place recognition was tuned with.
_SCORING_AND_WEIGHTING = "0 0"


class VocabularyError(ValueError):
    """A vocabulary cannot be read, made or fetched; the message says which and why."""


class VocabularyUnavailableError(VocabularyError):
    """This machine lacks what making or fetching a vocabulary needs; nothing that was given is wrong."""


def cannot_be_kept(path: Path, error: OSError) -> VocabularyError:
    """What to say when a vocabulary cannot be written to the cache."""
    return VocabularyError(
        f"{path}: the vocabulary cannot be kept in the cache: {error.strerror or error}; set the environment"
        " variable XDG_CACHE_HOME to a folder that can be written to"
    )


@dataclass(frozen=True)
class Vocabulary:
    """A tree of binary words; arrays run over the nodes below the root, which have the numbers 1 to N.

    Attributes:
        branching: Most children of a node (DBoW2's k).
        depth: Levels below the root (DBoW2's L).
        parents: int64 [N], number of each node's parent, 0 for the root; smaller than the node's own.
        is_leaf: bool [N], whether the node is a word.
        descriptors: uint8 [N, 32], centre of the node.
        weights: float64 [N], inverse document frequency of words, 0 elsewhere.
    """

    branching: int
    depth: int
    parents: NDArray[np.int64]
    is_leaf: NDArray[np.bool_]
    descriptors: NDArray[np.uint8]
    weights: NDArray[np.float64]


def vocabulary_text(vocabulary: Vocabulary) -> str:
    """The vocabulary as text. There is no newline at the end: DBoW2 would read one more node from it."""
    lines = [f"{vocabulary.branching} {vocabulary.depth} {_SCORING_AND_WEIGHTING}"]
    for parent, is_leaf, descriptor, weight in zip(
        vocabulary.parents.tolist(),
        vocabulary.is_leaf.tolist(),
        vocabulary.descriptors.tolist(),
        vocabulary.weights.tolist(),
        strict=True,
    ):
        lines.append(f"{parent} {int(is_leaf)} {' '.join(map(str, descriptor))} {weight:.9g}")
    return "\n".join(lines)


def write_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Writes the file atomically; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(vocabulary_text(vocabulary))
        # mkstemp makes files private, and a container does not run as whoever trained it.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check_vocabulary_file(path: Path) -> None:
    """Looks at the first two lines, because ORB-SLAM3 ends the process when it cannot load the file.

    Raises:
        VocabularyError: The file is missing or is not a vocabulary in the text format.
    """
    if path.suffix != ".txt":
        raise VocabularyError(f"{path}: a vocabulary file must be in DBoW2's text format and end in .txt")
    try:
        with path.open("rb") as stream:
            header, node = stream.readline(256).split(), stream.readline(1024).split()
    except OSError as error:
        raise VocabularyError(f"{path}: the vocabulary cannot be read: {error.strerror}") from error
    if len(header) != 4 or not all(entry.isdigit() for entry in header):
        raise VocabularyError(f"{path}, line 1: expected the four whole numbers 'k L scoring weighting'")
    branching, depth, scoring, weighting = map(int, header)
    if not (1 < branching <= 20 and 0 < depth <= 10 and scoring <= 5 and weighting <= 3):
        raise VocabularyError(f"{path}, line 1: {b' '.join(header).decode()} is not a vocabulary's header")
    if len(node) != DESCRIPTOR_BYTES + 3 or not all(entry.isdigit() for entry in node[:-1]):
        raise VocabularyError(f"{path}, line 2: expected a node: parent, is_leaf, 32 bytes, weight")
