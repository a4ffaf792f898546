"""Small scenes of ScanNet in both forms, written by hand from the description of the format.

Nothing of the reader is used: what a scene shows comes from :mod:`seen_room`, and every byte of a .sens file
is packed here. Tests change what they are about with the fields of :class:`ScanNetScene` and leave the rest.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from seen_room import CAMERA, camera_path, view

from sequences.model import Intrinsics

#: The camera of colour images: more pixels, other intrinsics, as in ScanNet (1296×968 and 640×480).
COLOUR_CAMERA = Intrinsics(fx=285.0, fy=283.0, cx=158.0, cy=124.0, width=324, height=242)
DEPTH_CAMERA = CAMERA

SCENE = "scene0000_00"
NO_POSE = np.full((4, 4), -np.inf, dtype=np.float32)
MILLIMETRES = 1000

#: Raw ids of what the room is made of, by NYU-40 id; one needs more than 8 bits.
RAW_IDS = {1: 1, 2: 3, 22: 41, 3: 1163, 9: 16, 8: 5}
LABEL_TABLE = "scannetv2-labels.combined.tsv"


@dataclass(frozen=True)
class RecordedFrame:
    """One frame of a scene.

    Attributes:
        pose: float32 [4, 4], depth camera to world.
        colour: A compressed image; empty without.
        depth: uint16 [120, 160], millimetres; None without.
        labels: uint8 [242, 324], NYU-40 ids on the pixels of the colour camera.
        colour_us: Time stamp of the colour image, microseconds.
        depth_us: That of the depth image.
    """

    pose: NDArray[np.float32]
    colour: bytes
    depth: NDArray[np.uint16] | None
    labels: NDArray[np.uint8]
    colour_us: int = 0
    depth_us: int = 0


@cache
def recorded_frames(count: int = 6, turned: bool = False, picture: str = ".jpg") -> tuple[RecordedFrame, ...]:
    """What a scanner on its way through the room records, without time stamps.

    Args:
        count: How many frames.
        turned: The colour camera looks where :func:`colour_to_rig` says.
        picture: How colour images are compressed.
    """
    frames = []
    for pose in camera_path(count).astype(np.float32):
        colour_pose = pose.astype(np.float64) @ (colour_to_rig() if turned else np.eye(4))
        rgb, _, labels = view(colour_pose, COLOUR_CAMERA)
        _, depth, _ = view(pose.astype(np.float64), DEPTH_CAMERA)
        encoded = cv2.imencode(picture, rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        millimetres = np.round(depth * MILLIMETRES).astype(np.uint16)
        millimetres[:3] = 0
        frames.append(RecordedFrame(pose, encoded, millimetres, labels))
    return tuple(frames)


def colour_to_rig(degrees: float = 4.0) -> NDArray[np.float64]:
    """A colour camera that looks to the right of where the depth camera looks."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.array([0.0, np.radians(degrees), 0.0]))[0]
    return turn


def camera_matrix(camera: Intrinsics) -> NDArray[np.float64]:
    """4×4, as ScanNet has camera matrices."""
    matrix = np.eye(4)
    matrix[:3, :3] = camera.matrix()
    return matrix


@dataclass(frozen=True)
class ScanNetScene:
    """What the files of a scene say beside its frames.

    Attributes:
        colour_intrinsic: 4×4.
        colour_extrinsic: 4×4.
        depth_intrinsic: 4×4.
        depth_extrinsic: 4×4.
        version: Of the .sens file.
        colour_compression: 0 raw, 1 PNG, 2 JPEG; says how the frames' images are, compresses nothing.
        depth_compression: 0 raw, 1 zlib.
        imu_records: How many IMU records there are.
        imu_records_stated: How many the file says there are; by default the truth.
        has_imu_part: Whether the file goes on after its frames.
        frames_stated: How many frames the file says it has; by default the truth.
    """

    colour_intrinsic: NDArray[np.float64] = field(default_factory=lambda: camera_matrix(COLOUR_CAMERA))
    colour_extrinsic: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    depth_intrinsic: NDArray[np.float64] = field(default_factory=lambda: camera_matrix(DEPTH_CAMERA))
    depth_extrinsic: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    version: int = 4
    colour_compression: int = 2
    depth_compression: int = 1
    imu_records: int = 5
    imu_records_stated: int | None = None
    has_imu_part: bool = True
    frames_stated: int | None = None

    def sens_header(self, frames: int) -> bytes:
        """Everything before the first frame."""
        name = b"StructureSensor"
        stated = frames if self.frames_stated is None else self.frames_stated
        colour, depth = COLOUR_CAMERA, DEPTH_CAMERA
        return b"".join(
            [
                struct.pack("<I", self.version),
                struct.pack("<Q", len(name)) + name,
                matrix_bytes(self.colour_intrinsic),
                matrix_bytes(self.colour_extrinsic),
                matrix_bytes(self.depth_intrinsic),
                matrix_bytes(self.depth_extrinsic),
                struct.pack("<ii", self.colour_compression, self.depth_compression),
                struct.pack("<IIII", colour.width, colour.height, depth.width, depth.height),
                struct.pack("<f", MILLIMETRES),
                struct.pack("<Q", stated),
            ]
        )

    def sens_frame(self, frame: RecordedFrame) -> bytes:
        """One frame: its header and its two images."""
        depth = b"" if frame.depth is None else frame.depth.astype("<u2").tobytes()
        if self.depth_compression == 1 and depth:
            depth = zlib.compress(depth)
        return frame_header(frame, len(frame.colour), len(depth)) + frame.colour + depth

    def sens_imu(self) -> bytes:
        """Everything after the last frame: record k has 100 k + i in its i-th place, and time stamp k."""
        if not self.has_imu_part:
            return b""
        stated = self.imu_records if self.imu_records_stated is None else self.imu_records_stated
        records = [
            struct.pack("<15dQ", *(100.0 * record + place for place in range(15)), record)
            for record in range(self.imu_records)
        ]
        return struct.pack("<Q", stated) + b"".join(records)


def matrix_bytes(matrix: NDArray[np.floating]) -> bytes:
    """Sixteen numbers of single precision, row by row."""
    return struct.pack("<16f", *np.asarray(matrix).reshape(-1).tolist())


def frame_header(frame: RecordedFrame, colour_bytes: int, depth_bytes: int) -> bytes:
    """What a .sens file says before the two images of a frame."""
    return matrix_bytes(frame.pose) + struct.pack(
        "<QQQQ", frame.colour_us, frame.depth_us, colour_bytes, depth_bytes
    )


def write_sens_scene(
    directory: Path,
    scene: str = SCENE,
    frames: Iterable[RecordedFrame] | None = None,
    **changes: object,
) -> Path:
    """Write ``<directory>/<scene>/<scene>.sens`` and return the scene's folder.

    Args:
        directory: Above the scene's folder.
        scene: What it is called.
        frames: Its frames, by default :func:`recorded_frames`.
        **changes: Fields of :class:`ScanNetScene`.
    """
    frames = recorded_frames() if frames is None else tuple(frames)
    said = ScanNetScene(**changes)
    folder = directory / scene
    folder.mkdir(parents=True, exist_ok=True)
    content = said.sens_header(len(frames)) + b"".join(map(said.sens_frame, frames)) + said.sens_imu()
    (folder / f"{scene}.sens").write_bytes(content)
    return folder


def write_exported_scene(
    directory: Path,
    scene: str = SCENE,
    frames: Iterable[RecordedFrame] | None = None,
    subfolder: str = "",
    names: Iterable[str] | None = None,
    picture: str = ".jpg",
    **changes: object,
) -> Path:
    """Write the same scene as it is exported, and return the scene's folder.

    Args:
        directory: Above the scene's folder.
        scene: What it is called.
        frames: Its frames, by default :func:`recorded_frames`.
        subfolder: Where in the scene's folder the images are.
        names: What frames are called; by default they are numbered from 0.
        picture: Ending of colour images.
        **changes: Fields of :class:`ScanNetScene`; matrices alone make a difference.
    """
    frames = recorded_frames() if frames is None else tuple(frames)
    said = ScanNetScene(**changes)
    folder = directory / scene / subfolder
    for part in ("color", "depth", "pose", "intrinsic"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for kind, intrinsic, extrinsic in (
        ("color", said.colour_intrinsic, said.colour_extrinsic),
        ("depth", said.depth_intrinsic, said.depth_extrinsic),
    ):
        (folder / "intrinsic" / f"intrinsic_{kind}.txt").write_text(matrix_text(intrinsic))
        (folder / "intrinsic" / f"extrinsic_{kind}.txt").write_text(matrix_text(extrinsic))
    for name, frame in zip(names or map(str, range(len(frames))), frames, strict=True):
        if frame.colour:
            (folder / "color" / f"{name}{picture}").write_bytes(frame.colour)
        if frame.depth is not None:
            cv2.imwrite(str(folder / "depth" / f"{name}.png"), frame.depth)
        (folder / "pose" / f"{name}.txt").write_text(matrix_text(frame.pose))
    return directory / scene


def matrix_text(matrix: NDArray[np.floating]) -> str:
    """Four lines of four numbers, with the nine digits that single precision has at most."""
    return "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in np.asarray(matrix))


def raw_labels(frame: RecordedFrame) -> NDArray[np.uint16]:
    """The label image of a frame as ScanNet has it: raw ids of 16 bits, on the colour camera's pixels."""
    raw = np.zeros(frame.labels.shape, dtype=np.uint16)
    for nyu40, own in RAW_IDS.items():
        raw[frame.labels == nyu40] = own
    return raw


def write_labels(folder: Path, images: Iterable[NDArray[np.generic]], kind: str = "label-filt") -> None:
    """Write label images as a folder in a scene's folder."""
    (folder / kind).mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / kind / f"{number}.png"), image)


def write_label_archive(
    folder: Path, images: Iterable[NDArray[np.generic]], kind: str = "label-filt", scene: str = SCENE
) -> Path:
    """Write label images as the archive that ScanNet gives out, and return it."""
    path = folder / f"{scene}_2d-{kind}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{kind}/", b"")
        for number, image in enumerate(images):
            archive.writestr(f"{kind}/{number}.png", cv2.imencode(".png", image)[1].tobytes())
    return path


def write_label_table(folder: Path, without: Iterable[int] = ()) -> Path:
    """Write the part of ScanNet's table that the room needs, with an id that NYU-40 has nothing for."""
    path = folder / LABEL_TABLE
    rows = [
        f"{own}\tcategory {own}\tcategory\t7\t{nyu40}\t3"
        for nyu40, own in RAW_IDS.items()
        if own not in without
    ]
    header = "id\traw_category\tcategory\tcount\tnyu40id\teigen13id"
    path.write_text("\n".join([header, *rows, "203\tunsure\tunsure\t1\t\t"]) + "\n")
    return path
