"""Fetches the vocabulary that ORB-SLAM3's authors publish, checks it and unpacks it."""

import http.client
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from adapters.digest import file_digest
from adapters.orbslam3.vocabulary_file import (
    VocabularyError,
    VocabularyUnavailableError,
    cannot_be_kept,
    check_vocabulary_file,
)

OFFICIAL_URL = "https://github.com/UZ-SLAMLab/ORB_SLAM3/raw/master/Vocabulary/ORBvoc.txt.tar.gz"
OFFICIAL_SHA1 = "ad82cc2a05da116bf211192e4748024a19b7606e"
_MEMBER = "ORBvoc.txt"
_SILENCE_SECONDS = 60.0
_CHUNK_BYTES = 1 << 20


def download_vocabulary(directory: Path, url: str = OFFICIAL_URL, sha1: str = OFFICIAL_SHA1) -> Path:
    """The official vocabulary, fetched once and kept under ``directory``.

    Args:
        directory: Where it is kept; made if need be.
        url: Of the archive ``ORBvoc.txt.tar.gz``, the authors' or a mirror's.
        sha1: Digest of the archive.

    Raises:
        VocabularyUnavailableError: The server cannot be reached, or the connection breaks off.
        VocabularyError: The address leads to nothing or to another file, or the cache cannot be written.
    """
    target = directory / f"ORBvoc-{sha1[:12]}.txt"
    try:
        if target.exists():
            return target
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".orbslam3-vocabulary-", dir=directory) as scratch:
            archive = Path(scratch, "archive.tar.gz")
            _fetch(url, archive)
            found = file_digest(archive, "sha1")
            if found != sha1:
                raise VocabularyError(
                    f"{url}: the archive has the SHA-1 {found} instead of {sha1}; it was damaged on the"
                    " way or is another file"
                )
            unpacked = Path(scratch, _MEMBER)
            _unpack(archive, unpacked)
            check_vocabulary_file(unpacked)
            os.replace(unpacked, target)
    except OSError as error:
        raise cannot_be_kept(target, error) from error
    return target


def _fetch(url: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_SILENCE_SECONDS) as response, path.open("wb") as stream:
            while chunk := response.read(_CHUNK_BYTES):
                stream.write(chunk)
            expected = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise VocabularyError(f"{url}: the server answered {error.code} {error.reason}") from error
    except (ValueError, http.client.InvalidURL) as error:
        raise VocabularyError(f"option vocabulary_url: {url} is no address: {error}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise VocabularyUnavailableError(f"{url}: the vocabulary cannot be fetched: {error}") from error
    if expected is not None and path.stat().st_size != int(expected):
        raise VocabularyUnavailableError(
            f"{url}: the connection ended after {path.stat().st_size} of {expected} bytes"
        )


def _unpack(archive: Path, path: Path) -> None:
    """Copies the one wanted member out; names and links inside the archive decide nothing."""
    try:
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                if member.isfile() and Path(member.name).name == _MEMBER:
                    content = members.extractfile(member)
                    assert content is not None
                    with content, path.open("wb") as stream:
                        while chunk := content.read(_CHUNK_BYTES):
                            stream.write(chunk)
                    return
    except (tarfile.TarError, EOFError) as error:
        raise VocabularyError(f"{archive.name}: the archive cannot be unpacked: {error}") from error
    raise VocabularyError(f"{archive.name}: the archive has no file {_MEMBER}")
