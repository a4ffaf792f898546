"""The options of the map and of the alignment of predictions before it."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MapOptions:
    """What a user may set.

    Attributes:
        voxel_size: Edge of a voxel, metres.
        truncation_distance: Distance from the surface at which the signed distance is cut off, metres. Should
            be several times the noise of depth.
        map_nearest_depth: Depth below this does not enter the map, metres.
        map_farthest_depth: Depth beyond this does not enter the map, metres.
        map_stride: The map sees every so-manieth pixel of a row and of a column.
        map_full_weight_depth: Up to this depth a pixel has the weight 1, metres; beyond, the weight falls
            with the square of depth, as the error of depth grows.
        map_least_weight: Surface with no more weight than this is left out of the mesh.
        map_most_weight: The weight of a voxel grows no further than this, so that the map can still change.
        dynamic_margin: Things that move are taken to reach so far beyond their labels, pixels.
        map_block_count: Blocks of 8³ voxels that memory is taken for at the start; it grows as needed.
        label_match_probability: Probability that the label of a pixel is right. Wrong ones are taken to be
            any other class alike.
        label_least_probability: A vertex whose class is less probable than this has none.
        alignment_most_frames: So many past frames take part, at most.
        alignment_longest_s: Past frames older than this do not take part, seconds.
        alignment_gate_m: A past pixel counts if its depth differs by no more than this, metres, or ...
        alignment_gate_fraction: ... by no more than this part of the depth, whichever is more.
        alignment_decay_s: The weight of a past frame falls by the factor e in this time, seconds.
        alignment_fill_holes: Whether pixels without depth get that of the past where two frames agree.
    """

    voxel_size: float = 0.1
    truncation_distance: float = 0.3
    map_nearest_depth: float = 0.05
    map_farthest_depth: float = 8.0
    map_stride: int = 2
    map_full_weight_depth: float = 1.0
    map_least_weight: float = 0.1
    map_most_weight: float = 64.0
    dynamic_margin: int = 7
    map_block_count: int = 256
    label_match_probability: float = 0.9
    label_least_probability: float = 0.5
    alignment_most_frames: int = 3
    alignment_longest_s: float = 0.5
    alignment_gate_m: float = 0.2
    alignment_gate_fraction: float = 0.05
    alignment_decay_s: float = 1.0
    alignment_fill_holes: bool = True

    def __post_init__(self) -> None:
        self.check_map()

    def check_map(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Names the option.
        """
        positive = (
            *("voxel_size", "map_full_weight_depth", "map_most_weight"),
            *("alignment_longest_s", "alignment_decay_s"),
        )
        for name in positive:
            if not (0.0 < getattr(self, name) < math.inf):
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("dynamic_margin", "alignment_gate_m", "alignment_gate_fraction"):
            if not (0.0 <= getattr(self, name) < math.inf):
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        # Open3D looks for blocks at four points of each ray: further apart than a block, they miss some.
        if not 2.0 <= self.truncation_distance / self.voxel_size <= 12.0:
            raise ValueError(
                f"truncation_distance must be from 2 to 12 voxels ({2.0 * self.voxel_size:g} to"
                f" {12.0 * self.voxel_size:g} m), got {self.truncation_distance}"
            )
        if not 0.0 <= self.map_nearest_depth < self.map_farthest_depth < math.inf:
            raise ValueError(
                "map_nearest_depth must be at least 0 and below map_farthest_depth, got"
                f" {self.map_nearest_depth} and {self.map_farthest_depth}"
            )
        if not 0.0 <= self.map_least_weight < self.map_most_weight:
            raise ValueError(
                "map_least_weight must be at least 0 and below map_most_weight, got"
                f" {self.map_least_weight} and {self.map_most_weight}"
            )
        if not 1 <= self.map_stride <= 8:
            raise ValueError(f"map_stride must be from 1 to 8, got {self.map_stride}")
        if self.map_block_count < 1:
            raise ValueError(f"map_block_count must be at least 1, got {self.map_block_count}")
        if not 0.5 < self.label_match_probability < 1.0:
            raise ValueError(
                f"label_match_probability must be between 0.5 and 1, got {self.label_match_probability}"
            )
        if not 0.0 <= self.label_least_probability <= 1.0:
            raise ValueError(
                f"label_least_probability must be from 0 to 1, got {self.label_least_probability}"
            )
        if not 1 <= self.alignment_most_frames <= 20:
            raise ValueError(f"alignment_most_frames must be from 1 to 20, got {self.alignment_most_frames}")
