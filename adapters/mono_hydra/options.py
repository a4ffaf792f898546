"""The options of the backend: those of its parts and those that tie the parts together."""

from dataclasses import dataclass

from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.mapping.map_options import MapOptions
from adapters.mono_hydra.odometry.options import OdometryOptions
from adapters.mono_hydra.scene_graph.options import SceneGraphOptions


@dataclass(frozen=True)
class MonoHydraOptions(OdometryOptions, LoopOptions, MapOptions, SceneGraphOptions):
    """What a user may set; see the classes it is made of for the rest.

    Attributes:
        loop_closure: Whether loops are looked for and closed.
        temporal_alignment: Whether predictions of past frames are fused into those of keyframes.
        semantic_map: Whether a map, a mesh and a scene graph are made.
        store_nearness: Keyframes nearer to each other than this ...
        store_alignment: ... with less than this between their directions (degrees) are alike;
        store_most_alike: so many alike ones are kept for the map.
        graph_every: The pose graph is solved when so many keyframes have come since the last time, if any
            of them closed a loop.
        waiting_keyframes: So many keyframes may wait for mapping. Then tracking waits too, or, at the
            sensor's rate, the map does without a keyframe.
        rebuild_distance: The map is made anew when a closed loop has moved a keyframe by more, metres.
    """

    loop_closure: bool = True
    temporal_alignment: bool = True
    semantic_map: bool = True
    store_nearness: float = 0.2
    store_alignment: float = 12.0
    store_most_alike: int = 3
    graph_every: int = 5
    waiting_keyframes: int = 6
    rebuild_distance: float = 0.05

    def __post_init__(self) -> None:
        self.check_odometry()
        self.check_loops()
        self.check_map()
        self.check_scene_graph()
        for name in ("store_nearness", "store_alignment", "rebuild_distance"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("store_most_alike", "graph_every", "waiting_keyframes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
