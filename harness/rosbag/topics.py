"""Topics of an exported bag, which are those that Mono-Hydra's ROS stack listens to, and their frames."""

from dataclasses import dataclass

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from adapters.trajectory.export_record import GROUND_TRUTH_TOPIC

#: Optical frame of the camera (x right, y down, z forward), in which all images are.
CAMERA_FRAME = "camera_color_optical_frame"
IMU_FRAME = "imu_frame"
#: What ground-truth poses are in.
WORLD_FRAME = "world"
# What ROS 2 writes for no limit.
_FOREVER = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class Topic:
    """A topic.

    Attributes:
        name: As nodes subscribe to it.
        kind: Its ROS message type.
        latched: Whether who subscribes late is still given the last message.
    """

    name: str
    kind: str
    latched: bool = False

    def qos(self) -> list[Qos]:
        """What a player of the bag must offer; nothing where its default does."""
        if not self.latched:
            return []
        return [
            Qos(
                QosHistory.KEEP_LAST,
                1,
                QosReliability.RELIABLE,
                QosDurability.TRANSIENT_LOCAL,
                _FOREVER,
                _FOREVER,
                QosLiveliness.AUTOMATIC,
                _FOREVER,
                False,
            )
        ]


COLOUR = Topic("/camera/color/image_raw", "sensor_msgs/msg/Image")
CAMERA_INFO = Topic("/camera/color/camera_info", "sensor_msgs/msg/CameraInfo")
DEPTH = Topic("/camera/depth_cam/image_raw", "sensor_msgs/msg/Image")
LABELS = Topic("/camera/seg_cam/labels_argmax", "sensor_msgs/msg/Image")
IMU = Topic("/imu/aligned", "sensor_msgs/msg/Imu")
STATIC_TRANSFORMS = Topic("/tf_static", "tf2_msgs/msg/TFMessage", latched=True)
#: Ground truth, and only where it was asked for by name.
ODOMETRY = Topic(GROUND_TRUTH_TOPIC, "nav_msgs/msg/Odometry")
