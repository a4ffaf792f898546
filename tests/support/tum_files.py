"""Small recordings in TUM layout, and what is needed to break them one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 32, 24
DEPTH_SCALE = 5000
CALIBRATION = f"# fx fy cx cy width height depth_scale\n30 30 15.5 11.5 {WIDTH} {HEIGHT} {DEPTH_SCALE}\n"
STILL_POSE = "0 0 0 0 0 0 1"


@dataclass
class TumFiles:
    """What to write; tests change what they are about and leave the rest.

    Attributes:
        rgb_stamps: Time stamps of colour images, as text; they name the files as well.
        depth_stamps: The same of depth images; None writes no depth.
        poses: Lines of the ground truth; None writes no file.
        calibration: Text of the calibration; None writes no file.
    """

    rgb_stamps: list[str] = field(default_factory=lambda: ["1.000000", "1.100000", "1.200000", "1.300000"])
    depth_stamps: list[str] | None = field(
        default_factory=lambda: ["1.005000", "1.105000", "1.205000", "1.305000"]
    )
    poses: list[str] | None = field(
        default_factory=lambda: [f"{1 + step / 100:.6f} {STILL_POSE}" for step in range(31)]
    )
    calibration: str | None = CALIBRATION

    def write(self, directory: Path) -> Path:
        """Write the recording and return its folder."""
        directory.mkdir(parents=True, exist_ok=True)
        _write_images(directory, "rgb", self.rgb_stamps, colour_image)
        if self.depth_stamps is not None:
            _write_images(directory, "depth", self.depth_stamps, depth_image)
        if self.poses is not None:
            write_lines(directory / "groundtruth.txt", ["# timestamp tx ty tz qx qy qz qw", *self.poses])
        if self.calibration is not None:
            (directory / "calibration.txt").write_text(self.calibration)
        return directory


def write_tum_sequence(directory: Path, **changes: object) -> Path:
    """Write a recording of four frames; ``changes`` are fields of :class:`TumFiles`."""
    return TumFiles(**changes).write(directory)


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def colour_image(position: int) -> NDArray[np.uint8]:
    """RGB: red grows to the right, green downwards, blue with the frame."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[..., 0] = np.arange(WIDTH) * 8
    image[..., 1] = np.arange(HEIGHT)[:, None] * 10
    image[..., 2] = position * 20
    return image


def depth_image(position: int) -> NDArray[np.uint16]:
    """Two metres, one centimetre more with every frame, unknown in the first row."""
    image = np.full((HEIGHT, WIDTH), 2 * DEPTH_SCALE + 50 * position, dtype=np.uint16)
    image[0] = 0
    return image


def write_labels(directory: Path, stamps: list[str], label_space: str | None = "nyu40") -> None:
    (directory / "labels").mkdir()
    for position, stamp in enumerate(stamps):
        labels = np.full((HEIGHT, WIDTH), position + 1, dtype=np.uint8)
        cv2.imwrite(str(directory / "labels" / f"{stamp}.png"), labels)
    if label_space is not None:
        (directory / "labels" / "LABEL_SPACE").write_text(f"{label_space}\n")


def write_imu(directory: Path, timestamps_ns: list[int]) -> None:
    rows = [f"{t},0.1,0.2,0.3,{index},0,9.81" for index, t in enumerate(timestamps_ns)]
    write_lines(directory / "imu.csv", ["timestamp_ns,gx,gy,gz,ax,ay,az", *rows])
    write_lines(
        directory / "imu.yaml",
        [
            "rate_hz: 100",
            "gyroscope_noise: 0.001",
            "gyroscope_walk: 0.0001",
            "accelerometer_noise: 0.01",
            "accelerometer_walk: 0.001",
            "imu_to_camera: [[0, -1, 0, 0.1], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]",
        ],
    )


def _write_images(
    directory: Path, kind: str, stamps: list[str], image_of: Callable[[int], NDArray[np.generic]]
) -> None:
    (directory / kind).mkdir(exist_ok=True)
    write_lines(directory / f"{kind}.txt", ["# timestamp filename", *(f"{s} {kind}/{s}.png" for s in stamps)])
    for position, stamp in enumerate(stamps):
        image = image_of(position)
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        cv2.imwrite(str(directory / kind / f"{stamp}.png"), stored)
