"""The options of the odometry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OdometryOptions:
    """What a user may set.

    Attributes:
        features: Corners that are followed at a time, at most.
        feature_distance: Least distance between two corners, pixels.
        flow_window: Edge of the window that optical flow compares, pixels.
        flow_levels: Levels of the image pyramid above the full image.
        flow_largest_return: Corners that do not come back to where they started within this when they are
            followed backwards are dropped, pixels.
        pixel_noise: Standard deviation of the place of a corner, pixels.
        inverse_depth_noise: Standard deviation of inverse depth that is assumed at the start, 1/m; at depth z
            the noise is z² times that. It is then estimated from what tracking sees.
        nearest_depth: Depth below this is not used, metres.
        farthest_depth: Depth beyond this is not used, metres.
        depth_step: A corner beside a jump of depth larger than this part of its depth has no depth.
        least_inliers: Landmarks that must agree on a pose.
        keyframe_overlap: A keyframe is made when less than this part of the last one's corners is left.
        keyframe_parallax: ... when corners have moved by this in the median, apart from rotation, pixels.
        keyframe_rotation: ... when the camera has turned by this, degrees.
        keyframe_longest_s: ... at the latest after this time, if the camera has moved at all.
        window_keyframes: Keyframes that are optimised together.
        window_iterations: Steps of Levenberg-Marquardt for the window, at most.
        restart_after_s: When nothing says where the camera is for so long, tracking begins afresh.
        use_imu: Whether IMU samples are used where there are any.
        imu_longest_gap_s: For so long the IMU alone carries the pose before tracking counts as lost.
        estimate_scale: Whether the common scale of depth is estimated, which needs an IMU.
        scale_prior: Standard deviation of the scale of depth before anything was seen.
        scale_walk: How much the scale may change, standard deviation after one second.
    """

    features: int = 250
    feature_distance: int = 14
    flow_window: int = 21
    flow_levels: int = 3
    flow_largest_return: float = 0.7
    pixel_noise: float = 0.7
    inverse_depth_noise: float = 0.004
    nearest_depth: float = 0.2
    farthest_depth: float = 6.0
    depth_step: float = 0.06
    least_inliers: int = 15
    keyframe_overlap: float = 0.7
    keyframe_parallax: float = 25.0
    keyframe_rotation: float = 12.0
    keyframe_longest_s: float = 0.5
    window_keyframes: int = 12
    window_iterations: int = 6
    restart_after_s: float = 1.0
    use_imu: bool = True
    imu_longest_gap_s: float = 2.0
    estimate_scale: bool = True
    scale_prior: float = 0.15
    scale_walk: float = 0.002

    def __post_init__(self) -> None:
        self.check_odometry()

    def check_odometry(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Names the option.
        """
        positive = (
            *("features", "feature_distance", "flow_levels", "flow_largest_return", "pixel_noise"),
            *("inverse_depth_noise", "depth_step", "keyframe_parallax", "keyframe_rotation"),
            *(
                "keyframe_longest_s",
                "window_iterations",
                "imu_longest_gap_s",
                "restart_after_s",
                "scale_prior",
                "scale_walk",
            ),
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.flow_window < 5 or self.flow_window % 2 == 0:
            raise ValueError(f"flow_window must be odd and at least 5, got {self.flow_window}")
        if not 0.0 <= self.nearest_depth < self.farthest_depth:
            raise ValueError(
                f"nearest_depth must be at least 0 and below farthest_depth, got {self.nearest_depth} and"
                f" {self.farthest_depth}"
            )
        if self.least_inliers < 6:
            raise ValueError(f"least_inliers must be at least 6, got {self.least_inliers}")
        if not 0.0 < self.keyframe_overlap < 1.0:
            raise ValueError(f"keyframe_overlap must be between 0 and 1, got {self.keyframe_overlap}")
        if self.window_keyframes < 3:
            raise ValueError(f"window_keyframes must be at least 3, got {self.window_keyframes}")
