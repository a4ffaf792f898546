"""Photographs to hang, print and look out at: images that installed packages ship."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError, SequenceError

_SKIMAGE = ("skimage", "data")
_SKLEARN = ("sklearn", "datasets/images")
_PACKAGE_OF = {
    "coffee.png": _SKIMAGE,
    "astronaut.png": _SKIMAGE,
    "gravel.png": _SKIMAGE,
    "hubble_deep_field.jpg": _SKIMAGE,
    "rocket.jpg": _SKIMAGE,
    "chelsea.png": _SKIMAGE,
    "coins.png": _SKIMAGE,
    "motorcycle_left.png": _SKIMAGE,
    "ihc.png": _SKIMAGE,
    "camera.png": _SKIMAGE,
    "china.jpg": _SKLEARN,
    "flower.jpg": _SKLEARN,
}
PICTURES = (
    "coffee.png",
    "astronaut.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
    "chelsea.png",
    "coins.png",
    "motorcycle_left.png",
    "ihc.png",
    "camera.png",
    "flower.jpg",
)


@cache
def load_photograph(name: str, longest_side: int = 640) -> NDArray[np.uint8]:
    """Read one of the photographs, shrunk to at most ``longest_side`` pixels, uint8 [H, W, 3], RGB.

    Raises:
        SequenceError: The package that ships it is not installed.
        DataFileError: The package is installed without the file, or the file cannot be decoded.
    """
    package, folder = _PACKAGE_OF[name]
    try:
        path = files(package) / folder / name
    except ModuleNotFoundError as error:
        raise SequenceError(
            f"synthetic sequences need the photographs of the package {package}: "
            "pip install 'slam-harness[synthetic]'"
        ) from error
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataFileError(
            Path(str(path)), f"the package {package} ships without it; reinstall it"
        ) from error
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataFileError(Path(str(path)), f"cannot be decoded; reinstall the package {package}")
    shrink = min(1.0, longest_side / max(image.shape[:2]))
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    photograph = np.ascontiguousarray(image[..., ::-1])
    # Kept for the next caller.
    photograph.setflags(write=False)
    return photograph
