"""The options of the scene graph."""

from dataclasses import dataclass

#: How the box around an object may be laid.
BOX_KINDS = ("oriented", "axis_aligned")


@dataclass(frozen=True)
class SceneGraphOptions:
    """What a user may set.

    Attributes:
        object_least_vertices: Clusters of fewer vertices are no objects.
        object_tolerance: Vertices of one label nearer to each other than this belong together, metres.
        object_box: ``oriented``: the smallest box that is turned about the vertical; ``axis_aligned``: the
            box along the axes of the world.
        free_voxel_size: Edge of a voxel of free space, metres. Should be below a quarter of the narrowest
            doorway.
        free_ray_stride: Free space is seen along the ray of every so-manieth pixel of a row and of a column.
        free_ray_limit: Rays are followed up to this depth, metres.
        free_surface_margin: Rays end so far before the surface, metres. Should be several times the noise
            of depth.
        place_spacing: About the distance between two places, metres. Straight ways between places that are
            far apart pass close to obstacles, and rooms may fall apart.
        place_least_clearance: Places are at least so far from obstacles and from what was never seen, metres.
        room_widest_passage: What is wider than this is no passage between two rooms, metres.
        room_least_narrowing: Two rooms are each wider than the passage between them by at least this factor.
        room_least_width: What is nowhere so wide is no room of its own, metres.
        room_least_volume: Free space of less volume is no room of its own, cubic metres.
    """

    object_least_vertices: int = 40
    object_tolerance: float = 0.25
    object_box: str = "oriented"
    free_voxel_size: float = 0.2
    free_ray_stride: int = 16
    free_ray_limit: float = 5.0
    free_surface_margin: float = 0.15
    place_spacing: float = 0.5
    place_least_clearance: float = 0.15
    room_widest_passage: float = 1.3
    room_least_narrowing: float = 1.3
    room_least_width: float = 1.0
    room_least_volume: float = 2.0

    def __post_init__(self) -> None:
        self.check_scene_graph()

    def check_scene_graph(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: An option is out of range.
        """
        for name in (
            "object_tolerance",
            "free_voxel_size",
            "free_ray_limit",
            "place_spacing",
            "room_widest_passage",
            "room_least_volume",
        ):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("free_surface_margin", "place_least_clearance", "room_least_width"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("object_least_vertices", "free_ray_stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.object_box not in BOX_KINDS:
            raise ValueError(f"object_box must be one of {', '.join(BOX_KINDS)}, got {self.object_box!r}")
        if self.place_spacing < 2.0 * self.free_voxel_size:
            raise ValueError(
                f"place_spacing must be at least two voxels of free space ({2.0 * self.free_voxel_size} m),"
                f" got {self.place_spacing}"
            )
        if self.room_least_narrowing < 1.0:
            raise ValueError(f"room_least_narrowing must be at least 1, got {self.room_least_narrowing}")
