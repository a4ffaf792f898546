"""The options of the RGB-D odometry backend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RgbdOdometryOptions:
    """What a user may set.

    Attributes:
        voxel_size: Edge of a voxel of the model, metres.
        truncation_distance: Distance from the surface, metres, at which the signed distance is cut off.
            Should be several times the noise of depth at ``farthest_depth``; with less, the camera drifts.
        nearest_depth: Depth below this is not used, metres.
        farthest_depth: Depth beyond this is not used, metres.
        stride: Tracking and the model see every so-manieth pixel of a row and of a column.
        iterations: Of the alignment with the model, per pyramid level, coarse to fine.
        retry_iterations: The same for second tries.
        start_iterations: The same for the alignment with the last frame while the velocity is unknown.
        depth_outlier: Pairs of points further apart than this along the ray are no pairs, metres.
        start_depth_outlier: The same while the velocity is unknown, metres.
        least_fitness: An alignment that pairs a smaller part of the model's visible points is rejected.
        least_geometric_constraint: A frame whose surfaces determine the motion less than this, from 0 (one
            plane) to 1/3, is placed by brightness too, against the last frame.
        least_brightness_gradient: Mean step between pixels, 0 to 1, below which brightness places nothing.
        largest_translation: Motion between two frames above this is rejected, metres.
        largest_rotation: Motion between two frames above this is rejected, degrees.
        block_limit: Blocks of 16³ voxels the model may have; memory for all is taken at the start, 33 kB
            each. A model that would outgrow it is started afresh from the frame at hand.
    """

    voxel_size: float = 0.02
    truncation_distance: float = 0.2
    nearest_depth: float = 0.2
    farthest_depth: float = 5.0
    stride: int = 2
    iterations: tuple[int, ...] = (6, 3, 1)
    retry_iterations: tuple[int, ...] = (15, 10, 5)
    start_iterations: tuple[int, ...] = (60, 30, 10)
    depth_outlier: float = 0.07
    start_depth_outlier: float = 0.3
    least_fitness: float = 0.25
    least_geometric_constraint: float = 0.004
    least_brightness_gradient: float = 0.005
    largest_translation: float = 0.4
    largest_rotation: float = 30.0
    block_limit: int = 8000

    def __post_init__(self) -> None:
        lengths = (
            self.voxel_size,
            self.depth_outlier,
            self.start_depth_outlier,
            self.largest_translation,
            self.largest_rotation,
        )
        if min(lengths) <= 0.0:
            raise ValueError(
                "voxel_size, depth_outlier, start_depth_outlier, largest_translation and largest_rotation"
                f" must be above 0, got {', '.join(map(str, lengths))}"
            )
        if self.truncation_distance < 2.0 * self.voxel_size:
            raise ValueError(
                f"truncation_distance must be at least two voxels ({2.0 * self.voxel_size} m), got"
                f" {self.truncation_distance}"
            )
        if not 0.0 <= self.nearest_depth < self.farthest_depth:
            raise ValueError(
                f"nearest_depth must be at least 0 and below farthest_depth, got {self.nearest_depth} and"
                f" {self.farthest_depth}"
            )
        if not 1 <= self.stride <= 8:
            raise ValueError(f"stride must be from 1 to 8, got {self.stride}")
        iterations = (self.iterations, self.retry_iterations, self.start_iterations)
        if not all(levels and min(levels) > 0 for levels in iterations):
            raise ValueError(
                "iterations, retry_iterations and start_iterations must have a number above 0 for every"
                " pyramid level"
            )
        if not 0.0 < self.least_fitness <= 1.0:
            raise ValueError(f"least_fitness must be above 0 and at most 1, got {self.least_fitness}")
        if self.block_limit < 100:
            raise ValueError(f"block_limit must be at least 100, got {self.block_limit}")
