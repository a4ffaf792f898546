"""The options of loop closing, relocalisation and the pose graph."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoopOptions:
    """What a user may set.

    Attributes:
        loop_features: ORB features of a keyframe, at most.
        loop_cell: Features are spread over square cells of this edge, pixels.
        loop_corner_contrast: A corner differs from its surroundings by at least this, grey levels.
        loop_word_bits: Bits of a descriptor that make a word.
        loop_word_tables: Words that are made of each descriptor, from different bits.
        loop_least_similarity: A keyframe must be at least so similar to the new one as this part of the
            similarity of the keyframe just before.
        loop_least_overlap: Part of the view that two keyframes must share by their estimated poses.
        loop_least_gap: Keyframes just before the new one among which no loops are looked for.
        loop_most_candidates: Keyframes that a new one is compared with, at most.
        loop_match_ratio: The best match must be at least so much nearer than the second best (ratio test).
        loop_match_distance: Most bits in which the descriptors of a match differ.
        loop_least_inliers: Matches that must agree on the motion between two views.
        loop_least_inlier_ratio: Part of the matches that must agree.
        loop_least_cells: Cells of an 8 x 6 grid over each image in which such matches must lie; those that
            are found only because the motion says where to look do not count here.
        loop_least_depth_agreement: Part of the surface seen in both views whose depth must agree.
        loop_depth_tolerance: How far depths may differ and still agree, as a part of the depth.
        loop_pixel_noise: Standard deviation of the place of a feature in the finest image, pixels.
        loop_inverse_depth_noise: Standard deviation of inverse depth, 1/m; at depth z the noise is z² times
            that.
        loop_translation_noise: Error of a relative pose that more features do not lower, such as that of the
            shape of depth, metres.
        loop_rotation_noise: The same for rotation, degrees.
        loop_redundant_overlap: A keyframe is not kept when a loop shows that it shares this part of its view
            with one that is.
        graph_inlier_probability: A right loop is kept with this probability.
        graph_control_step: Factor by which graduated non-convexity approaches the loss it is after.
        graph_break_translation: Standard deviation of an odometry edge across lost tracking, metres.
        graph_break_rotation: The same for rotation, degrees.
    """

    loop_features: int = 800
    loop_cell: int = 80
    loop_corner_contrast: int = 10
    loop_word_bits: int = 16
    loop_word_tables: int = 8
    loop_least_similarity: float = 0.3
    loop_least_overlap: float = 0.3
    loop_least_gap: int = 10
    loop_most_candidates: int = 4
    loop_match_ratio: float = 0.85
    loop_match_distance: int = 70
    loop_least_inliers: int = 25
    loop_least_inlier_ratio: float = 0.3
    loop_least_cells: int = 5
    loop_least_depth_agreement: float = 0.8
    loop_depth_tolerance: float = 0.1
    loop_pixel_noise: float = 0.8
    loop_inverse_depth_noise: float = 0.006
    loop_translation_noise: float = 0.005
    loop_rotation_noise: float = 0.2
    loop_redundant_overlap: float = 0.85
    graph_inlier_probability: float = 0.9
    graph_control_step: float = 1.6
    graph_break_translation: float = 5.0
    graph_break_rotation: float = 90.0

    def __post_init__(self) -> None:
        self.check_loops()

    def check_loops(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Names the option.
        """
        positive = (
            *("loop_features", "loop_corner_contrast", "loop_word_tables", "loop_least_gap"),
            *("loop_most_candidates", "loop_match_distance", "loop_depth_tolerance", "loop_pixel_noise"),
            *("loop_inverse_depth_noise", "loop_translation_noise", "loop_rotation_noise"),
            *("graph_break_translation", "graph_break_rotation"),
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        parts = (
            *("loop_least_similarity", "loop_least_overlap", "loop_match_ratio", "loop_least_inlier_ratio"),
            *("loop_least_depth_agreement", "loop_redundant_overlap"),
        )
        for name in parts:
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be above 0 and at most 1, got {getattr(self, name)}")
        if self.loop_cell < 16:
            raise ValueError(f"loop_cell must be at least 16, got {self.loop_cell}")
        if not 4 <= self.loop_word_bits <= 20:
            raise ValueError(f"loop_word_bits must be from 4 to 20, got {self.loop_word_bits}")
        if self.loop_least_inliers < 6:
            raise ValueError(f"loop_least_inliers must be at least 6, got {self.loop_least_inliers}")
        if not 1 <= self.loop_least_cells <= 48:
            raise ValueError(f"loop_least_cells must be from 1 to 48, got {self.loop_least_cells}")
        if not 0.0 < self.graph_inlier_probability < 1.0:
            raise ValueError(
                f"graph_inlier_probability must be between 0 and 1, got {self.graph_inlier_probability}"
            )
        if self.graph_control_step <= 1.0:
            raise ValueError(f"graph_control_step must be above 1, got {self.graph_control_step}")
