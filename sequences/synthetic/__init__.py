"""Synthetic sequences: furnished flats built from a seed, ray cast along a hand-held camera path.

What the seed decides: sizes and uses of the rooms, places of doorways, doors and windows; which furniture
stands where, its sizes, woods and cloths, and what lies on it; every wallpaper, floor, rug, curtain and
print (painted by procedure, so that nothing repeats) and which photographs hang where; the camera's
heights, glances, unsteadiness and sway; who walks about, in which clothes and where; IMU biases and noise;
exposure drift, image noise, depth noise, the drift of the depth scale, and where labels are wrong. Each of
these draws from its own random numbers, so that a change in one leaves the others as they were; but
furniture keeps clear of the ways of the camera and of people, and people of the camera's. The same
parameters give the same files, bit for bit, with the same versions of the packages that
``generator.yaml`` lists.

Beside what a recording has, ``mesh.ply`` and ``scene.json`` hold the scene without the people: its surfaces
with labels, its rooms, and its things with the number of pixels and frames that show them.

Frames of reference: the world has z up and its origin on the floor in a corner of the first room; poses
are camera to world with x right, y down, z forward; the IMU has x forward, y left, z up and sits a few
centimetres beside the camera (``imu.yaml``).
"""

from pathlib import Path
from typing import Any, ClassVar, Self

from sequences.reader import ReaderContext
from sequences.synthetic.parameters import GENERATOR_VERSION, parameters_from_mapping
from sequences.synthetic.writer import generate
from sequences.tum import TumSequence

__all__ = ["SyntheticSequence"]


class SyntheticSequence(TumSequence):
    """A synthetic sequence, generated on first use and read back like any recording."""

    reader_name: ClassVar[str] = "synthetic"

    @classmethod
    def open(cls, name: str, parameters: dict[str, Any], context: ReaderContext) -> Self:
        """Open a sequence, generating it into the cache if it is not there yet.

        Args:
            name: What the sequence is called in this experiment.
            parameters: Fields of :class:`~sequences.synthetic.parameters.SyntheticParameters`.
            context: Where the cache is, and where progress is reported.

        Raises:
            SequenceError: A parameter is wrong, a package is missing, or the cache cannot be written.
        """
        checked = parameters_from_mapping(name, parameters)
        directory = context.cache_directory / "synthetic" / checked.digest()
        generate(checked, directory, context.progress)
        source = {"generator_version": GENERATOR_VERSION, "parameters": checked.as_mapping()}
        return cls(name, directory, context=context, extra_source=source)

    @classmethod
    def recognises(cls, directory: Path) -> bool:
        """Never: a generated folder is an ordinary folder in TUM layout."""
        return False
