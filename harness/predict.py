"""A perception module on images of one's own: what it says of each, as files and as a picture to look at."""

import math
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from harness.errors import ResultsError
from harness.files import write_bytes
from perception.choice import ModuleChoice
from perception.errors import PerceptionError
from perception.guarded import GuardedModule, create_module
from perception.inference.canonical_camera import USUAL_FIELD_OF_VIEW_DEG
from perception.module import Prediction
from sequences.label_spaces import load_label_space
from sequences.model import Frame, Intrinsics, SequenceInfo

#: Value of one metre in depth images, as in TUM recordings.
DEPTH_SCALE = 5000
_LARGEST_VALUE = np.iinfo(np.uint16).max
_SUFFIXES = (".png", ".jpg", ".jpeg")


def predict_images(
    choice: ModuleChoice,
    paths: Sequence[Path],
    output: Path,
    progress: Callable[[str, int, int], None],
    field_of_view_deg: float = USUAL_FIELD_OF_VIEW_DEG,
) -> list[Path]:
    """Predict images and write what was predicted.

    Of ``NAME.png`` there will be ``NAME.depth.png`` (16 bits, 5000 to the metre, 0 where unknown or beyond
    the 13.107 m that fit), ``NAME.labels.png`` (8 bits, ids of the label space) and ``NAME.overview.png``,
    as far as the module gives them.

    Args:
        choice: The module.
        paths: Images, and directories of images.
        output: Directory of the files.
        progress: Told about every image.
        field_of_view_deg: Of the camera, horizontally, degrees. Some networks need it to tell how far away
            things are.

    Returns:
        The pictures to look at.

    Raises:
        PerceptionError: The module cannot work without a sensor, or fails.
        ResultsError: Two images have the same name, one cannot be read, nothing can be written, or it would
            be written among the images.
    """
    images = _images_below(paths)
    if output.resolve() in {path.resolve() for path in paths}:
        raise ResultsError(f"{output} holds the images; write what is predicted to another directory")
    module = create_module(choice)
    if module.reads_sensor:
        raise PerceptionError(f"perception '{choice.label}' reads a sensor and predicts nothing from images")
    module.load()
    pictures = []
    for index, path in enumerate(images):
        progress("predicting", index, len(images))
        rgb = _read(path)
        pictures.append(_write(output, path.stem, rgb, _predict(module, index, rgb, field_of_view_deg)))
    progress("predicting", len(images), len(images))
    return pictures


def _images_below(paths: Sequence[Path]) -> list[Path]:
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            images += sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
        else:
            images.append(path)
    if not images:
        raise ResultsError(f"no images ({', '.join(_SUFFIXES)}) in {', '.join(map(str, paths))}")
    names = [image.stem for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ResultsError(f"two images are called '{twice[0]}'; predict them into different directories")
    return images


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    # What Pillow raises depends on the format; SyntaxError and ValueError for broken files are among it.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ResultsError(f"cannot read the image {path}: {error}") from error


def _predict(
    module: GuardedModule, index: int, rgb: NDArray[np.uint8], field_of_view_deg: float
) -> Prediction:
    height, width = rgb.shape[:2]
    focal = width / 2 / math.tan(math.radians(field_of_view_deg) / 2)
    camera = Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    module.outputs(SequenceInfo("images", camera, np.array([index], dtype=np.int64), has_depth=False))
    return module.predict(Frame(index, index, rgb))


def _write(output: Path, name: str, rgb: NDArray[np.uint8], prediction: Prediction) -> Path:
    panels = [rgb]
    if prediction.depth is not None:
        _write_png(output / f"{name}.depth.png", _depth_values(prediction.depth))
        panels.append(_coloured(prediction.depth))
    if prediction.semantics is not None:
        _write_png(output / f"{name}.labels.png", prediction.semantics)
        assert prediction.label_space is not None, "labels always are of a label space"
        panels.append(load_label_space(prediction.label_space).colours()[prediction.semantics])
    if prediction.normals is not None:
        panels.append(np.rint((prediction.normals + 1) * 127.5).astype(np.uint8))
    if prediction.edges is not None:
        panels.append(np.repeat(np.rint(prediction.edges * 255).astype(np.uint8)[..., None], 3, axis=2))
    picture = output / f"{name}.overview.png"
    _write_png(picture, np.hstack(panels))
    return picture


def _depth_values(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    values = np.rint(depth * DEPTH_SCALE)
    # The greatest value would say a distance that nobody predicted.
    return np.where(values > _LARGEST_VALUE, 0, values).astype(np.uint16)


def _coloured(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Near is bright; colours span the image's own range."""
    least, greatest = float(depth.min()), float(depth.max())
    share = (greatest - depth) / max(greatest - least, 1e-6)
    return np.asarray(colormaps["magma"](share, bytes=True)[..., :3])


def _write_png(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
