"""Small recordings in ASL layout, written from the format's description, and a lens that really distorts.

The true camera poses are ``seen_room.camera_path``; what is written is converted from them by hand. The body
is the IMU: its x axis points where the camera looks, y to the left, z up; the camera sits beside its origin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from seen_room import camera_path
from speckled_room import CAMERA, speckled_view

from sequences.model import Intrinsics

FIRST_NS = 1_403_636_579_763_555_584
PERIOD_NS = 50_000_000
IMU_PERIOD_NS = 5_000_000
FRAMES = 6

#: ``T_BS`` of the camera, as text: camera to body. Columns are the camera's axes in the body.
CAMERA_TO_BODY_TEXT = """0.0, 0.0, 1.0, 0.05,
         -1.0, 0.0, 0.0, -0.02,
         0.0, -1.0, 0.0, 0.03,
         0.0, 0.0, 0.0, 1.0"""
CAMERA_TO_BODY = np.array(
    [[0.0, 0.0, 1.0, 0.05], [-1.0, 0.0, 0.0, -0.02], [0.0, -1.0, 0.0, 0.03], [0.0, 0.0, 0.0, 1.0]]
)
IDENTITY_TEXT = "1.0, 0.0, 0.0, 0.0,\n 0.0, 1.0, 0.0, 0.0,\n 0.0, 0.0, 1.0, 0.0,\n 0.0, 0.0, 0.0, 1.0"

#: k1 k2 p1 p2, like those of the data set's cameras, with a stronger tangential part so that it shows.
DISTORTION = (-0.28340811, 0.07395907, 0.0019359, -0.0027611)

CAMERA_YAML = f"""# General sensor definitions.
sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)

# Sensor extrinsics wrt. the body-frame.
T_BS:
  cols: 4
  rows: 4
  data: [{CAMERA_TO_BODY_TEXT}]

# Camera specific definitions.
rate_hz: 20
resolution: [{CAMERA.width}, {CAMERA.height}]
camera_model: pinhole
intrinsics: [{CAMERA.fx}, {CAMERA.fy}, {CAMERA.cx}, {CAMERA.cy}] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [{", ".join(str(number) for number in DISTORTION)}]
"""

IMU_YAML = f"""#Default imu sensor yaml file
sensor_type: imu
comment: VI-Sensor IMU (ADIS16448)

# Sensor extrinsics wrt. the body-frame.
T_BS:
  cols: 4
  rows: 4
  data: [{IDENTITY_TEXT}]
rate_hz: 200

# inertial sensor noise model parameters (static)
gyroscope_noise_density: 1.6968e-04     # [ rad / s / sqrt(Hz) ]   ( gyro "white noise" )
gyroscope_random_walk: 1.9393e-05       # [ rad / s^2 / sqrt(Hz) ] ( gyro bias diffusion )
accelerometer_noise_density: 2.0000e-3  # [ m / s^2 / sqrt(Hz) ]   ( accel "white noise" )
accelerometer_random_walk: 3.0000e-3    # [ m / s^3 / sqrt(Hz) ].  ( accel bias diffusion )
"""

GROUND_TRUTH_YAML = f"sensor_type: visual-inertial\nT_BS:\n  cols: 4\n  rows: 4\n  data: [{IDENTITY_TEXT}]\n"

IMAGE_HEADER = "#timestamp [ns],filename"
IMU_HEADER = (
    "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
    "a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]"
)
POSE_HEADER = (
    "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], "
    "v_RS_R_x [m s^-1], v_RS_R_y [m s^-1], v_RS_R_z [m s^-1], b_w_RS_S_x [rad s^-1], b_w_RS_S_y [rad s^-1], "
    "b_w_RS_S_z [rad s^-1], b_a_RS_S_x [m s^-2], b_a_RS_S_y [m s^-2], b_a_RS_S_z [m s^-2]"
)


def flat_image(position: int) -> NDArray[np.uint8]:
    """Grey image of one shade: enough where a test is not about what is seen."""
    return np.full((CAMERA.height, CAMERA.width), 40 + 20 * position, dtype=np.uint8)


def seen_image(position: int) -> NDArray[np.uint8]:
    """What the camera sees of the room, through its lens."""
    return distorted_view(camera_path(FRAMES)[position])


@dataclass
class EurocFiles:
    """What to write; tests change what they are about and leave the rest.

    Attributes:
        image_of: Grey image of a frame.
        camera_yaml: Text of ``cam0/sensor.yaml``.
        imu_yaml: Text of ``imu0/sensor.yaml``; None writes no IMU.
        poses: Lines of the ground truth; None writes none.
        line_end: Of all tables.
    """

    image_of: Callable[[int], NDArray[np.uint8]] = flat_image
    camera_yaml: str = CAMERA_YAML
    imu_yaml: str | None = IMU_YAML
    poses: list[str] | None = field(default_factory=lambda: body_pose_lines())
    line_end: str = "\r\n"

    def write(self, directory: Path) -> Path:
        """Write the recording and return the folder that holds ``mav0``."""
        vehicle = directory / "mav0"
        self._write_camera(vehicle / "cam0")
        if self.imu_yaml is not None:
            _write(vehicle / "imu0" / "sensor.yaml", self.imu_yaml)
            self.write_table(vehicle / "imu0" / "data.csv", [IMU_HEADER, *imu_lines()])
        if self.poses is not None:
            truth = vehicle / "state_groundtruth_estimate0"
            _write(truth / "sensor.yaml", GROUND_TRUTH_YAML)
            self.write_table(truth / "data.csv", [POSE_HEADER, *self.poses])
        return directory

    def write_table(self, path: Path, lines: list[str]) -> None:
        _write(path, "".join(f"{line}{self.line_end}" for line in lines))

    def _write_camera(self, camera: Path) -> None:
        _write(camera / "sensor.yaml", self.camera_yaml)
        stamps = [FIRST_NS + position * PERIOD_NS for position in range(FRAMES)]
        self.write_table(camera / "data.csv", [IMAGE_HEADER, *(f"{stamp},{stamp}.png" for stamp in stamps)])
        (camera / "data").mkdir()
        for position, stamp in enumerate(stamps):
            cv2.imwrite(str(camera / "data" / f"{stamp}.png"), self.image_of(position))


def write_euroc_sequence(directory: Path, **changes: object) -> Path:
    """Write a recording of six frames; ``changes`` are fields of :class:`EurocFiles`."""
    return EurocFiles(**changes).write(directory)


def body_pose_lines() -> list[str]:
    """Ground truth of the body: it starts with the second image, as in the data set it starts later.

    The body's rotation is that of the camera times that of the body in the camera, the transpose of
    ``T_BS``'s; its centre lies where the camera's axes put it.
    """
    lines = []
    for position, camera in enumerate(camera_path(FRAMES)):
        if position == 0:
            continue
        body = camera[:3, :3] @ CAMERA_TO_BODY[:3, :3].T
        centre = camera[:3, 3] - body @ CAMERA_TO_BODY[:3, 3]
        x, y, z, w = Rotation.from_matrix(body).as_quat()
        numbers = [*centre, w, x, y, z, 0.1, 0.2, 0.3, -0.002, 0.02, 0.08, -0.01, 0.1, 0.09]
        lines.append(f"{FIRST_NS + position * PERIOD_NS}," + ",".join(f"{number:.9f}" for number in numbers))
    return lines


def imu_lines() -> list[str]:
    """Samples of the IMU on ``camera_path``: it turns about one axis at one rate, and feels gravity."""
    duration = (FRAMES - 1) * PERIOD_NS / 1e9
    # The path turns by this rotation vector from its first pose to its last, evenly.
    rate_in_camera = np.array([0.10, -0.22, 0.08]) / duration
    rate = CAMERA_TO_BODY[:3, :3] @ rate_in_camera
    stamps = range(FIRST_NS - 2 * IMU_PERIOD_NS, FIRST_NS + FRAMES * PERIOD_NS, IMU_PERIOD_NS)
    return [f"{stamp},{rate[0]:.9f},{rate[1]:.9f},{rate[2]:.9f},9.7,-0.3,0.2" for stamp in stamps]


def distort(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The radial-tangential model: where the lens puts the ray (x, y, 1)."""
    k1, k2, p1, p2 = DISTORTION
    squared = x * x + y * y
    radial = 1 + k1 * squared + k2 * squared * squared
    return (
        x * radial + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
        y * radial + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
    )


def distorted_view(camera_to_world: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What a camera with this lens sees of the room, grey uint8 [H, W].

    For each pixel the ray is found that the lens puts there, and looked up in a picture of a wider pinhole
    camera with four times the pixels.
    """
    rows, columns = np.indices((CAMERA.height, CAMERA.width)).astype(np.float64)
    seen_x, seen_y = (columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy
    x, y = seen_x.copy(), seen_y.copy()
    for _ in range(60):
        there_x, there_y = distort(x, y)
        x, y = x + (seen_x - there_x), y + (seen_y - there_y)
    assert max(np.abs(distort(x, y)[0] - seen_x).max(), np.abs(distort(x, y)[1] - seen_y).max()) < 1e-9
    wide = Intrinsics(2 * CAMERA.fx, 2 * CAMERA.fy, 449.5, 349.5, 900, 700)
    picture, _ = speckled_view(camera_to_world, wide)
    at = [wide.cy + y * wide.fy, wide.cx + x * wide.fx]
    assert min(at[0].min(), at[1].min()) >= 0
    assert at[0].max() <= wide.height - 1
    assert at[1].max() <= wide.width - 1
    return np.round(map_coordinates(picture.astype(np.float64), at, order=1)).astype(np.uint8)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
