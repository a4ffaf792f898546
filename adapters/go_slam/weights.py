"""The network's weights: named by upstream's configuration or given by the user, told by their checksum."""

from pathlib import Path

from adapters.backend import BackendInputError
from adapters.digest import file_digest


def check_weights(path: Path, sha256: str) -> str:
    """Digest of a file of weights.

    Args:
        path: The file.
        sha256: What its digest must be; empty for whatever it is.

    Raises:
        BackendInputError: It cannot be read or is another file.
    """
    try:
        found = file_digest(path)
    except OSError as error:
        raise BackendInputError(f"the weights {path} cannot be read: {error.strerror}") from error
    if sha256 and found != sha256:
        raise BackendInputError(
            f"the weights {path} have the SHA-256 {found} instead of {sha256}; it is damaged or another file"
        )
    return found
