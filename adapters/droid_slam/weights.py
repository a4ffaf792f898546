"""Finds the file of weights and makes sure that it is the one expected."""

import os
from dataclasses import dataclass
from pathlib import Path

from adapters.backend import BackendInputError
from adapters.digest import file_digest
from adapters.droid_slam.options import DroidSlamOptions

#: Where the image says that its own weights are; it may have been built without.
WEIGHTS_VARIABLE = "DROID_SLAM_WEIGHTS"


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        path: Where it is.
        sha256: Of its content.
    """

    path: Path
    sha256: str


def find_weights(options: DroidSlamOptions) -> Weights:
    """The file that the options name, else the one that the image was built with.

    Raises:
        BackendInputError: There is none, or it has another checksum than the options say.
    """
    if options.weights:
        path = Path(options.weights).expanduser()
        if not path.is_file():
            raise BackendInputError(f"option weights: there is no file {path}")
        found = file_digest(path)
        if found != options.weights_sha256:
            raise BackendInputError(
                f"option weights: {path} has the SHA-256 {found}, weights_sha256 is {options.weights_sha256}"
            )
        return Weights(path, found)
    path = Path(os.environ.get(WEIGHTS_VARIABLE, ""))
    if not path.is_file():
        raise BackendInputError(
            "there are no weights: the image was built without (see docker/droid-slam/README.md); set the "
            "options weights to upstream's droid.pth and weights_sha256 to its checksum"
        )
    # Its checksum was compared when the image was built.
    return Weights(path, file_digest(path))
