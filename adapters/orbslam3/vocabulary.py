"""Where the vocabulary of a run comes from: a user's file, the official download, or one trained here.

As a command it trains a vocabulary and writes it, from the photographs that ship with scikit-image and
scikit-learn or from a folder of images::

    python -m adapters.orbslam3.vocabulary --output vocabulary.txt [--images DIRECTORY] [--seed N]

A trained vocabulary serves relocalisation and loop closing in one recording. For results that are to be
compared with published ones use the official vocabulary. Never train on the recordings that are evaluated.
"""

import argparse
import hashlib
import importlib.util
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.digest import file_digest
from adapters.orbslam3.settings import DOWNLOAD, TRAINED
from adapters.orbslam3.vocabulary_download import OFFICIAL_URL, download_vocabulary
from adapters.orbslam3.vocabulary_file import (
    Vocabulary,
    VocabularyError,
    VocabularyUnavailableError,
    cannot_be_kept,
    check_vocabulary_file,
    write_vocabulary,
)
from adapters.orbslam3.vocabulary_training import TrainingParameters, train_vocabulary

_LOG = logging.getLogger(__name__)
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
# Photographs of scenes and surfaces; the packages' drawings and microscope images have no such corners.
_PHOTOGRAPHS = {
    "skimage": (
        "data",
        (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "motorcycle_left.png",
            "motorcycle_right.png",
            "rocket.jpg",
        ),
    ),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
}


def obtain_vocabulary(source: str, cache_directory: Path, url: str = OFFICIAL_URL) -> Path:
    """The vocabulary file that the option ``vocabulary`` means.

    Args:
        source: ``trained``, ``download`` or a path.
        cache_directory: Where what is trained or downloaded is kept.
        url: Of the official archive or a mirror of it.

    Raises:
        VocabularyUnavailableError: This machine lacks packages or a connection.
        VocabularyError: It cannot be had for another reason; the message says which.
    """
    if source == DOWNLOAD:
        return download_vocabulary(cache_directory, url)
    if source == TRAINED:
        return trained_vocabulary(cache_directory)
    path = Path(source).expanduser().resolve()
    check_vocabulary_file(path)
    return path


def trained_vocabulary(cache_directory: Path, parameters: TrainingParameters | None = None) -> Path:
    """Trains from the photographs that ship with packages, unless the same vocabulary is in the cache.

    Raises:
        VocabularyUnavailableError: The photographs are not installed.
        VocabularyError: The cache cannot be written.
    """
    parameters = parameters or TrainingParameters()
    photographs = packaged_photographs()
    ingredients = repr((asdict(parameters), cv2.__version__, [file_digest(path) for path in photographs]))
    target = cache_directory / f"orb-trained-{hashlib.sha256(ingredients.encode()).hexdigest()[:16]}.txt"
    try:
        if not target.exists():
            # Before the training, so that nobody waits for a vocabulary that cannot be kept.
            cache_directory.mkdir(parents=True, exist_ok=True)
            _LOG.info("training a vocabulary of ORB words from %d photographs", len(photographs))
            write_vocabulary(_train(photographs, parameters), target)
    except OSError as error:
        raise cannot_be_kept(target, error) from error
    return target


def packaged_photographs() -> list[Path]:
    """Paths of the photographs that ship with scikit-image and scikit-learn.

    Raises:
        VocabularyUnavailableError: A package or one of its photographs is not there.
    """
    paths: list[Path] = []
    for package, (folder, names) in _PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        root = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
        missing = [name for name in names if root is None or not (root / folder / name).is_file()]
        if root is None or missing:
            raise VocabularyUnavailableError(
                "training a vocabulary needs the photographs of scikit-image and scikit-learn"
                f" ({package} lacks {', '.join(missing)}): pip install 'slam-harness[synthetic]', or set the"
                " option vocabulary to 'download' or to the path of an ORBvoc.txt"
            )
        paths.extend(root / folder / name for name in names)
    return paths


def _train(paths: Sequence[Path], parameters: TrainingParameters) -> Vocabulary:
    return train_vocabulary((_read_grey(path) for path in paths), parameters)


def _read_grey(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise VocabularyError(f"{path}: not an image that can be read")
    return np.asarray(image, dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains a vocabulary and writes it; the exit code is 2 when it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m adapters.orbslam3.vocabulary", description="Train a vocabulary of ORB words."
    )
    parser.add_argument("--output", type=Path, required=True, help="file to write, ending in .txt")
    parser.add_argument("--images", type=Path, help="folder of PNG or JPEG images to train from")
    parser.add_argument("--seed", type=int, default=TrainingParameters.seed, help="default: %(default)s")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if given.output.suffix != ".txt":
            raise VocabularyError(f"{given.output}: the name must end in .txt")
        paths = packaged_photographs() if given.images is None else _images_in(given.images)
        vocabulary = _train(paths, TrainingParameters(seed=given.seed))
        try:
            write_vocabulary(vocabulary, given.output)
        except OSError as error:
            raise VocabularyError(
                f"{given.output}: the vocabulary cannot be written: {error.strerror}"
            ) from error
    except VocabularyError as error:
        _LOG.error("%s", error)
        return 2
    _LOG.info("%s written from %d images", given.output, len(paths))
    return 0


def _images_in(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise VocabularyError(f"{directory}: no such folder")
    paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    if not paths:
        raise VocabularyError(f"{directory}: no PNG or JPEG images in it")
    return paths


if __name__ == "__main__":
    sys.exit(main())
