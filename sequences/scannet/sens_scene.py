"""A scene out of its .sens file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequences.errors import DataFileError
from sequences.model import LeftOut
from sequences.pose_matrices import is_rigid_motion
from sequences.scannet.scene import Scene, ScenePoses, scanned_camera
from sequences.scannet.sens_file import ImuPart, SensFile
from sequences.scannet.sens_images import SensImages


def read_sens_scene(path: Path) -> Scene:
    """Read what a file says about its scene; no image is decoded.

    Raises:
        DataFileError: The file is damaged, of another version or compression, or has impossible matrices.
    """
    file = SensFile(path)
    header, total = file.header, len(file)
    has_colour, has_depth = file.colour_bytes > 0, file.depth_bytes > 0
    numbers = np.flatnonzero(has_colour & has_depth)
    if not len(numbers):
        raise DataFileError(path, f"none of its {total} frames has both a colour and a depth image")
    return Scene(
        colour=scanned_camera(
            "colour", (path, header.colour_intrinsic), (path, header.colour_extrinsic), header.colour_size
        ),
        depth=scanned_camera(
            "depth", (path, header.depth_intrinsic), (path, header.depth_extrinsic), header.depth_size
        ),
        numbers=numbers,
        poses=ScenePoses(tuple(_poses(file, numbers)), np.arange(len(numbers))),
        stamps_us={"depth": file.depth_us[numbers], "colour": file.colour_us[numbers]},
        images=SensImages(file, numbers),
        calibration=f"{path.name}, sensor {header.sensor_name!r}",
        notes=_imu_notes(file.imu),
        left_out=(
            LeftOut("colour images", "no depth image", int((has_colour & ~has_depth).sum()), total),
            LeftOut("depth images", "no colour image", int((has_depth & ~has_colour).sum()), total),
            *_imu_left_out(file.imu),
        ),
    )


def _poses(file: SensFile, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.float64] | None]:
    """The poses of frames; ScanNet marks one that is not known by -inf."""
    for frame, pose in enumerate(file.camera_to_world[numbers].astype(np.float64)):
        if not np.isfinite(pose).all():
            yield None
        elif is_rigid_motion(pose):
            yield pose
        else:
            raise DataFileError(
                file.path,
                f"frame {frame}: the pose is no rotation and translation: {pose.tolist()}; "
                "download the file again",
            )


def _imu_left_out(imu: ImuPart) -> tuple[LeftOut, ...]:
    if not imu.whole:
        return ()
    reason = "ScanNet does not say how the IMU sits on the camera, and its accelerations are without gravity"
    return (LeftOut("IMU records", reason, imu.whole, imu.whole, by_design=True),)


def _imu_notes(imu: ImuPart) -> tuple[str, ...]:
    if imu.stated is None:
        return ("The file ends after its frames: it has no IMU part.",)
    if imu.whole < imu.stated:
        return (f"The file is cut off within its IMU part: {imu.whole} of {imu.stated} records are there.",)
    return ()
