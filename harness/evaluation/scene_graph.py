"""A scene graph as far as it is drawn and scored: objects, places, rooms and buildings, and their edges."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.alignment import Similarity


class Layer(StrEnum):
    """The layers, from the ground up."""

    OBJECTS = "objects"
    PLACES = "places"
    ROOMS = "rooms"
    BUILDINGS = "buildings"


@dataclass(frozen=True)
class Box:
    """A box in any orientation.

    Attributes:
        centre: float64 [3], metres.
        size: float64 [3], edge lengths along its own axes, metres.
        rotation: float64 [3, 3], takes its own axes to those of the world.
    """

    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    rotation: NDArray[np.float64]

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return float(np.prod(self.size))

    def corners(self) -> NDArray[np.float64]:
        """float64 [8, 3]; corner ``i`` lies at the high end of axis ``a`` where bit ``a`` of it is set."""
        high = (np.arange(8)[:, None] >> np.arange(3)) & 1
        return self.centre + ((high - 0.5) * self.size) @ self.rotation.T

    def contains(self, points: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Whether points, float64 [..., 3], lie within it or at most ``margin`` metres outside."""
        own = (points - self.centre) @ self.rotation
        return np.asarray((np.abs(own) <= self.size / 2 + margin).all(axis=-1))

    def moved(self, fit: Similarity) -> "Box":
        """The same in another world."""
        return Box(fit.apply(self.centre[None])[0], fit.scale * self.size, fit.rotation @ self.rotation)


@dataclass(frozen=True)
class GraphNode:
    """One node.

    Attributes:
        id: Unique in its graph.
        layer: Where it belongs.
        position: float64 [3], metres.
        name: For people; may be empty.
        label: Id in the map's label space; None without one.
        box: Its extent; None where the graph gives none.
    """

    id: int
    layer: Layer
    position: NDArray[np.float64]
    name: str = ""
    label: int | None = None
    box: Box | None = None


@dataclass(frozen=True)
class SceneGraph:
    """Nodes and edges.

    Attributes:
        nodes: By id.
        edges: Pairs of ids, within a layer and between layers.
    """

    nodes: dict[int, GraphNode]
    edges: tuple[tuple[int, int], ...]

    def layer(self, layer: Layer) -> tuple[GraphNode, ...]:
        """The nodes of one layer, in order."""
        return tuple(node for node in self.nodes.values() if node.layer is layer)

    def neighbours(self, node: GraphNode, layer: Layer) -> tuple[GraphNode, ...]:
        """The nodes of one layer that share an edge with a node."""
        pairs = (edge for edge in self.edges if node.id in edge)
        ids = [second if first == node.id else first for first, second in pairs]
        return tuple(self.nodes[each] for each in ids if self.nodes[each].layer is layer)

    def moved(self, fit: Similarity) -> "SceneGraph":
        """The same in another world."""
        return replace(
            self,
            nodes={
                node.id: replace(
                    node,
                    position=fit.apply(node.position[None])[0],
                    box=node.box.moved(fit) if node.box else None,
                )
                for node in self.nodes.values()
            },
        )
