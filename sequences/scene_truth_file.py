"""``scene.json``: the rooms and objects of a scene, next to the mesh they are in."""

import json
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sequences.model import SceneObject, SceneRoom, SceneTruth
from sequences.yaml_file import read_json

SCENE_FILE = "scene.json"
MESH_FILE = "mesh.ply"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

_Point = tuple[float, float, float]


class _Box(BaseModel):
    """What has a least and a greatest corner, metres in the world."""

    model_config = _STRICT
    minimum: _Point
    maximum: _Point

    @model_validator(mode="after")
    def _check_corners(self) -> Self:
        if any(low > high for low, high in zip(self.minimum, self.maximum, strict=True)):
            raise ValueError("minimum must not be greater than maximum in any direction")
        return self


class _Room(_Box):
    kind: str = Field(min_length=1)
    floor: list[tuple[float, float]] = Field(min_length=3)


class _Object(_Box):
    label: int = Field(ge=0, le=254)
    name: str = Field(min_length=1)
    room: int | None = Field(ge=0)
    pixels: int = Field(ge=0)
    frames: int = Field(ge=0)


class _Scene(BaseModel):
    model_config = _STRICT
    label_space: str = Field(min_length=1)
    rooms: list[_Room]
    objects: list[_Object]

    @model_validator(mode="after")
    def _check_rooms(self) -> Self:
        for index, entry in enumerate(self.objects):
            if entry.room is not None and entry.room >= len(self.rooms):
                raise ValueError(
                    f"object {index} is in room {entry.room}, but there are {len(self.rooms)} rooms"
                )
        return self


def find_scene_truth(directory: Path) -> SceneTruth | None:
    """What a recording's folder says about its scene; None unless ``scene.json`` and ``mesh.ply`` are there.

    Raises:
        DataFileError: ``scene.json`` is malformed.
    """
    path, mesh_path = directory / SCENE_FILE, directory / MESH_FILE
    if not (path.is_file() and mesh_path.is_file()):
        return None
    scene = read_json(path, _Scene)
    return SceneTruth(
        mesh_path=mesh_path,
        label_space=scene.label_space,
        rooms=tuple(
            SceneRoom(room.kind, np.array(room.minimum), np.array(room.maximum), np.array(room.floor))
            for room in scene.rooms
        ),
        objects=tuple(
            SceneObject(
                entry.label,
                entry.name,
                np.array(entry.minimum),
                np.array(entry.maximum),
                entry.room,
                entry.pixels,
                entry.frames,
            )
            for entry in scene.objects
        ),
    )


def write_scene_truth(truth: SceneTruth) -> None:
    """Write ``scene.json`` beside the mesh, to the tenth of a millimetre, one room or object a line."""
    rooms = [
        {
            "kind": room.kind,
            "minimum": _rounded(room.minimum),
            "maximum": _rounded(room.maximum),
            "floor": _rounded(room.floor),
        }
        for room in truth.rooms
    ]
    objects = [
        {
            "label": entry.label,
            "name": entry.name,
            "minimum": _rounded(entry.minimum),
            "maximum": _rounded(entry.maximum),
            "room": entry.room,
            "pixels": entry.pixels,
            "frames": entry.frames,
        }
        for entry in truth.objects
    ]
    text = (
        f'{{"label_space": {json.dumps(truth.label_space)},\n'
        f'"rooms": [\n{_lines(rooms)}\n],\n"objects": [\n{_lines(objects)}\n]}}\n'
    )
    (truth.mesh_path.parent / SCENE_FILE).write_text(text)


def _rounded(values: np.ndarray) -> list:
    return np.round(values, 4).tolist()


def _lines(entries: list[dict]) -> str:
    return ",\n".join(json.dumps(entry) for entry in entries)
