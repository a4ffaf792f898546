"""Frames, IMU samples and poses as ROS messages."""

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.stores import ros2_humble as ros
from scipy.spatial.transform import Rotation

from harness.rosbag.topics import CAMERA_FRAME, IMU_FRAME, WORLD_FRAME
from sequences.model import NANOSECONDS_PER_SECOND, ImuCalibration, Intrinsics

# An orientation or a covariance that is not known (sensor_msgs/Imu, REP 145).
_NO_ORIENTATION = np.array([-1.0, 0, 0, 0, 0, 0, 0, 0, 0])
_UNKNOWN_3X3 = np.zeros(9)
_UNKNOWN_6X6 = np.zeros(36)


def colour_image(timestamp_ns: int, rgb: NDArray[np.uint8]) -> ros.sensor_msgs__msg__Image:
    """Colour, encoding ``rgb8``; ``rgb`` is uint8 [H, W, 3]."""
    return _image(timestamp_ns, "rgb8", rgb)


def depth_image(timestamp_ns: int, depth: NDArray[np.float32]) -> ros.sensor_msgs__msg__Image:
    """Depth in metres along the optical axis, encoding ``32FC1``.

    What is unknown, 0 in ``depth`` (float32 [H, W]), becomes NaN, as REP 118 has it for depth in floats.
    """
    return _image(timestamp_ns, "32FC1", np.where(depth > 0, depth, np.float32(np.nan)))


def label_image(timestamp_ns: int, labels: NDArray[np.uint8]) -> ros.sensor_msgs__msg__Image:
    """Ids of the label space, encoding ``mono8``, 255 where unknown; ``labels`` is uint8 [H, W]."""
    return _image(timestamp_ns, "mono8", labels)


def camera_info(timestamp_ns: int, camera: Intrinsics) -> ros.sensor_msgs__msg__CameraInfo:
    """A camera without distortion."""
    matrix = camera.matrix()
    return ros.sensor_msgs__msg__CameraInfo(
        header=_header(timestamp_ns, CAMERA_FRAME),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([matrix, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=ros.sensor_msgs__msg__RegionOfInterest(0, 0, 0, 0, False),
    )


def imu_sample(
    timestamp_ns: int, gyroscope: NDArray[np.float64], accelerometer: NDArray[np.float64]
) -> ros.sensor_msgs__msg__Imu:
    """One sample, no orientation: rad/s [3], and m/s² [3], where gravity shows upwards at rest (REP 145)."""
    return ros.sensor_msgs__msg__Imu(
        header=_header(timestamp_ns, IMU_FRAME),
        orientation=ros.geometry_msgs__msg__Quaternion(0.0, 0.0, 0.0, 1.0),
        orientation_covariance=_NO_ORIENTATION,
        angular_velocity=ros.geometry_msgs__msg__Vector3(*gyroscope.tolist()),
        angular_velocity_covariance=_UNKNOWN_3X3,
        linear_acceleration=ros.geometry_msgs__msg__Vector3(*accelerometer.tolist()),
        linear_acceleration_covariance=_UNKNOWN_3X3,
    )


def imu_on_camera(timestamp_ns: int, imu: ImuCalibration) -> ros.tf2_msgs__msg__TFMessage:
    """Where the IMU sits in the camera frame; a transform takes points of the child to its parent."""
    rotation = Rotation.from_matrix(imu.imu_to_camera[:3, :3]).as_quat()
    transform = ros.geometry_msgs__msg__Transform(
        translation=ros.geometry_msgs__msg__Vector3(*imu.imu_to_camera[:3, 3].tolist()),
        rotation=ros.geometry_msgs__msg__Quaternion(*rotation.tolist()),
    )
    header = _header(timestamp_ns, CAMERA_FRAME)
    return ros.tf2_msgs__msg__TFMessage(
        [ros.geometry_msgs__msg__TransformStamped(header, IMU_FRAME, transform)]
    )


def odometry(
    timestamp_ns: int, position: NDArray[np.float64], quaternion: NDArray[np.float64]
) -> ros.nav_msgs__msg__Odometry:
    """A pose of the optical camera frame in the world: metres [3] and x y z w [4]; no velocity."""
    zero = ros.geometry_msgs__msg__Vector3(0.0, 0.0, 0.0)
    pose = ros.geometry_msgs__msg__Pose(
        ros.geometry_msgs__msg__Point(*position.tolist()),
        ros.geometry_msgs__msg__Quaternion(*quaternion.tolist()),
    )
    return ros.nav_msgs__msg__Odometry(
        header=_header(timestamp_ns, WORLD_FRAME),
        child_frame_id=CAMERA_FRAME,
        pose=ros.geometry_msgs__msg__PoseWithCovariance(pose, _UNKNOWN_6X6),
        twist=ros.geometry_msgs__msg__TwistWithCovariance(
            ros.geometry_msgs__msg__Twist(zero, zero), _UNKNOWN_6X6
        ),
    )


def _image(
    timestamp_ns: int, encoding: str, pixels: NDArray[np.uint8] | NDArray[np.float32]
) -> ros.sensor_msgs__msg__Image:
    height, width = pixels.shape[:2]
    little_endian = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    return ros.sensor_msgs__msg__Image(
        header=_header(timestamp_ns, CAMERA_FRAME),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=little_endian.nbytes // height,
        data=little_endian.view(np.uint8).ravel(),
    )


def _header(timestamp_ns: int, frame_id: str) -> ros.std_msgs__msg__Header:
    seconds, nanoseconds = divmod(timestamp_ns, NANOSECONDS_PER_SECOND)
    return ros.std_msgs__msg__Header(ros.builtin_interfaces__msg__Time(seconds, nanoseconds), frame_id)
