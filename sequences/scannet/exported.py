"""A scene as ScanNet's own tools export it: a file for every image and every pose.

``color/N.jpg``, ``depth/N.png`` in millimetres, ``pose/N.txt``, and 4×4 matrices in ``intrinsic/`` or, as
in the subset ``scannet_frames_25k``, beside the folders. N is not padded with zeros as a rule: files are in
order of the number, not of the name.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sequences.errors import DataFileError
from sequences.images import decode_depth, read_encoded
from sequences.model import LeftOut
from sequences.numbered_frames import numbered_files, pair_by_number
from sequences.pose_matrices import read_pose_file
from sequences.scannet.scene import Scene, ScenePoses, scanned_camera
from sequences.scannet.sens_file import LARGEST_SIZE
from sequences.scannet.sens_images import decode_colour
from sequences.text_table import read_rows

COLOUR_FOLDER, DEPTH_FOLDER, POSE_FOLDER = "color", "depth", "pose"
#: Where the layout is found inside of a scene's folder.
SUBFOLDERS = ("frames", "exported")
_COLOUR_NAME = re.compile(r"(\d+)\.(?:jpg|jpeg|png)", re.IGNORECASE | re.ASCII)
_DEPTH_NAME = re.compile(r"(\d+)\.png", re.IGNORECASE | re.ASCII)
_POSE_NAME = re.compile(r"(\d+)\.txt", re.IGNORECASE | re.ASCII)
_MILLIMETRES = 1000.0


@dataclass(frozen=True)
class _MatrixFiles:
    """What the files of camera matrices are called.

    Attributes:
        intrinsic: ``{}`` stands for ``color`` or ``depth``.
        extrinsic: The same.
        label_ids: ``raw`` or ``nyu40``: what label images hold where files are called so.
    """

    intrinsic: str
    extrinsic: str
    label_ids: str


#: The label images of the subset were brought to NYU-40 ids before it was published.
_MATRIX_FILES = (
    _MatrixFiles("intrinsic/intrinsic_{}.txt", "intrinsic/extrinsic_{}.txt", "raw"),
    _MatrixFiles("intrinsics_{}.txt", "extrinsics_{}.txt", "nyu40"),
)


@dataclass(frozen=True)
class ExportedImages:
    """Images that are files of their own; :class:`~sequences.scannet.scene.SceneImages`.

    Attributes:
        colour_files: One per frame.
        depth_files: One per frame.
        colour_size: Width and height of all colour images.
        depth_size: Width and height of all depth images.
    """

    colour_files: tuple[Path, ...]
    depth_files: tuple[Path, ...]
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]

    def colour(self, index: int) -> NDArray[np.uint8]:
        """The colour image of a frame, uint8 [H, W, 3], blue first.

        Raises:
            DataFileError: It is missing, damaged or of another size than the first.
        """
        return decode_colour(read_encoded(self.colour_files[index], index, "colour"), self.colour_size)

    def depth(self, index: int) -> NDArray[np.float32]:
        """The depth image of a frame, float32 [h, w], metres, 0 where unknown.

        Raises:
            DataFileError: It is missing, damaged, not of 16 bits or of another size than the first.
        """
        return decode_depth(
            read_encoded(self.depth_files[index], index, "depth"), self.depth_size, _MILLIMETRES
        )


def is_exported(folder: Path) -> bool:
    """Whether a folder has the exported layout itself."""
    return all((folder / name).is_dir() for name in (COLOUR_FOLDER, DEPTH_FOLDER, POSE_FOLDER)) and any(
        (folder / files.intrinsic.format("depth")).is_file() for files in _MATRIX_FILES
    )


def find_exported(scene_folder: Path) -> Path | None:
    """The folder with the exported layout: the scene's own or one in it; None without."""
    candidates = (scene_folder, *(scene_folder / name for name in SUBFOLDERS))
    return next((folder for folder in candidates if is_exported(folder)), None)


def read_exported_scene(folder: Path) -> Scene:
    """Read which files there are, and the matrices; no image is decoded.

    Raises:
        DataFileError: A file is missing or malformed, or no frame has both a colour and a depth image.
    """
    pairs = pair_by_number(
        folder,
        numbered_files(folder / COLOUR_FOLDER, _COLOUR_NAME),
        numbered_files(folder / DEPTH_FOLDER, _DEPTH_NAME),
        "color/0.jpg and depth/0.png",
    )
    colour_size, depth_size = _image_size(pairs.rgb[0], "colour"), _image_size(pairs.depth[0], "depth")
    files = next(each for each in _MATRIX_FILES if (folder / each.intrinsic.format("depth")).is_file())
    colour, depth = (
        scanned_camera(
            name,
            _read_matrix(folder / files.intrinsic.format(in_names)),
            _read_matrix_if_there(folder / files.extrinsic.format(in_names)),
            size,
        )
        for name, in_names, size in (("colour", "color", colour_size), ("depth", "depth", depth_size))
    )
    poses = _read_poses(folder / POSE_FOLDER, pairs.numbers)
    missing_poses = len(pairs.numbers) - len(poses.frames)
    return Scene(
        colour=colour,
        depth=depth,
        numbers=pairs.numbers,
        poses=poses,
        stamps_us={},
        images=ExportedImages(pairs.rgb, pairs.depth, colour_size, depth_size),
        calibration=files.intrinsic.format("depth"),
        label_ids=files.label_ids,
        left_out=(
            *pairs.left_out,
            LeftOut("poses", "there is no file of that number", missing_poses, len(pairs.numbers)),
        ),
    )


def _image_size(path: Path, kind: str) -> tuple[int, int]:
    """Width and height by the image's header."""
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise read_encoded(path, 0, kind).error(
            "cannot be decoded; download or export the file again"
        ) from error
    if max(size) > LARGEST_SIZE:
        raise read_encoded(path, 0, kind).error(
            f"is {size[0]}×{size[1]}, more than {LARGEST_SIZE} pixels a side; export the file again"
        )
    return size


def _read_matrix(path: Path) -> tuple[Path, NDArray[np.float64]]:
    """A matrix, float64 [4, 4], with the file it is from."""
    rows = list(read_rows(path, "m1 m2 m3 m4"))
    if len(rows) != 4:
        raise DataFileError(path, f"has {len(rows)} rows, expected 4 of 4 numbers")
    matrix = np.empty((4, 4))
    for number, row in enumerate(rows):
        try:
            matrix[number] = [float(cell) for cell in row.cells]
        except ValueError as error:
            raise DataFileError(path, f"'{' '.join(row.cells)}' is not a row of numbers", row.line) from error
    return path, _single_precision(matrix)


def _read_matrix_if_there(path: Path) -> tuple[Path, NDArray[np.float64]]:
    return _read_matrix(path) if path.exists() else (path, np.eye(4))


def _read_poses(folder: Path, numbers: NDArray[np.int64]) -> ScenePoses:
    files = numbered_files(folder, _POSE_NAME)
    frames = [frame for frame, number in enumerate(numbers.tolist()) if number in files]
    matrices = (read_pose_file(files[int(numbers[frame])]) for frame in frames)
    return ScenePoses(
        tuple(None if matrix is None else _single_precision(matrix) for matrix in matrices),
        np.array(frames, dtype=np.int64),
    )


def _single_precision(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded as in the .sens file that it was exported from, so that both forms give the same."""
    return matrix.astype(np.float32).astype(np.float64)
