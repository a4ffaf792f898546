"""Reads the map that a backend wrote beside its trajectory: labelled mesh, scene graph, label space.

The scene graph is JSON as spark-dsg writes it (Hughes et al., "Foundations of spatial perception for
robotics", IJRR 2024); the package itself is not needed to read it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from scipy.spatial.transform import Rotation

from harness.configuration import validation_message
from harness.errors import EvaluationError
from harness.evaluation.labelled_surface import LabelledSurface, read_labelled_ply
from harness.evaluation.scene_graph import Box, GraphNode, Layer, SceneGraph
from harness.report.tracks import MAP_FILE
from sequences.label_spaces import LabelSpace

Model = TypeVar("Model", bound=BaseModel)

# A wrong file can be wrong in thousands of places.
_MOST_MISTAKES = 3


class _MapFile(BaseModel):
    """``map.json``: names of files beside it, and the trajectory that is in the same world."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1]
    mesh: str = Field(min_length=1)
    scene_graph: str | None = None
    label_space: str | None = None


class _Quaternion(BaseModel):
    w: FiniteFloat
    x: FiniteFloat
    y: FiniteFloat
    z: FiniteFloat


_Vector = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class _BoundingBox(BaseModel):
    type: str
    dimensions: _Vector
    world_P_center: _Vector  # noqa: N815 - spark-dsg's own name
    world_R_center: _Quaternion  # noqa: N815


class _Attributes(BaseModel):
    position: _Vector
    name: str = ""
    semantic_label: int | None = None
    bounding_box: _BoundingBox | None = None


class _Node(BaseModel):
    id: int
    layer: int
    partition: int = 0
    attributes: _Attributes


class _LayerKey(BaseModel):
    layer: int
    partition: int = 0


class _Edge(BaseModel):
    source: int
    target: int


class _GraphFile(BaseModel):
    """What is read of a scene graph; whatever else stands in the file is passed over."""

    layer_names: dict[str, _LayerKey]
    nodes: list[_Node]
    edges: Annotated[list[_Edge], Field(default_factory=list)]


@dataclass(frozen=True)
class BackendMap:
    """A backend's map in its own world, which is that of its trajectory.

    Attributes:
        mesh: Surfaces with colours and labels.
        graph: The scene graph; None where the backend makes none.
        label_space: What labels of both mean; None where it was given no labels.
    """

    mesh: LabelledSurface
    graph: SceneGraph | None
    label_space: LabelSpace | None


def read_backend_map(directory: Path) -> BackendMap:
    """Read what ``map.json`` in a backend's output directory names.

    Raises:
        EvaluationError: A file is missing, damaged or of another layout; says which and why.
    """
    names = _read_json(_beside(directory, MAP_FILE), _MapFile)
    mesh = read_labelled_ply(_beside(directory, names.mesh))
    space = graph = None
    if names.label_space is not None:
        known = _read_json(_beside(directory, names.label_space), LabelSpace)
        space = known if known.classes else None
    if names.scene_graph is not None:
        graph = read_scene_graph(_beside(directory, names.scene_graph))
    return BackendMap(mesh, graph, space)


def read_scene_graph(path: Path) -> SceneGraph:
    """Read the layers that are drawn and scored; nodes of other layers are passed over with their edges.

    Raises:
        EvaluationError: The file is missing, damaged or no scene graph.
    """
    content = _read_json(path, _GraphFile)
    layers = {
        (key.layer, key.partition): Layer(name.lower())
        for name, key in content.layer_names.items()
        if name.lower() in {*Layer}
    }
    # The layer of agents has the number of the objects' layer, and partitions of its own.
    nodes = {
        node.id: _node(node, layers[node.layer, node.partition])
        for node in content.nodes
        if (node.layer, node.partition) in layers
    }
    edges = {
        (edge.source, edge.target)
        for edge in content.edges
        if edge.source in nodes and edge.target in nodes and edge.source != edge.target
    }
    return SceneGraph(nodes, tuple(sorted(edges)))


def _node(node: _Node, layer: Layer) -> GraphNode:
    attributes = node.attributes
    label = attributes.semantic_label
    return GraphNode(
        node.id,
        layer,
        np.array(attributes.position),
        attributes.name,
        # spark-dsg writes the largest number of 32 bits where there is no label.
        label if label is not None and 0 <= label < 255 else None,
        _box(attributes.bounding_box),
    )


def _box(box: _BoundingBox | None) -> Box | None:
    if box is None or box.type == "INVALID" or min(box.dimensions) < 0:
        return None
    turn = box.world_R_center
    if not any((turn.w, turn.x, turn.y, turn.z)):
        return None
    rotation = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    return Box(np.array(box.world_P_center), np.array(box.dimensions), rotation)


def _beside(directory: Path, name: str) -> Path:
    """A file that ``map.json`` names, which must lie where it lies; no pipe, on which a reader would wait."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise EvaluationError(f"{directory / MAP_FILE} names the file '{name}', which leads elsewhere")
    if path.exists() and not path.is_file():
        raise EvaluationError(f"{path} is no file")
    return path


def _read_json(path: Path, kind: type[Model]) -> Model:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        message = validation_message(str(path), error)
        mistakes = message.split("; ")
        if len(mistakes) > _MOST_MISTAKES:
            message = "; ".join([*mistakes[:_MOST_MISTAKES], f"and {len(mistakes) - _MOST_MISTAKES} more"])
        raise EvaluationError(message) from error
