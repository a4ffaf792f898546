"""People who walk about in a flat: where they go, and what of them can be seen at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sequences.errors import SequenceError
from sequences.synthetic.camera_path import CameraPath, Motion, evenly_spaced
from sequences.synthetic.floor_plan import FloorPlan, Room
from sequences.synthetic.mesh import Mesh
from sequences.synthetic.parameters import SyntheticParameters
from sequences.synthetic.person import Person

_CANDIDATES = 1000
# How far before the camera the middle of a walk lies at some time, metres.
_AHEAD = (0.9, 2.6)
# How near a walker's middle may come to the camera and to other walkers, and its path to walls, metres.
_CAMERA_CLEARANCE = 0.8
_WALKER_CLEARANCE = 0.75
_WALL_CLEARANCE = 0.65
_RADII = ((0.25, 1.3), (0.2, 0.8))
_SPEED = (0.45, 0.85)
_CHECKS_PER_SECOND = 8
_PERSON_WIDTH, _PERSON_HEIGHT = 0.4, 1.7
# One person in view counts for no more than this share of the image.
_LARGEST_SHARE = 0.4
# Light from a bright ceiling, warm and a little from one side, whatever the room: a walker would otherwise
# need a bake of its own in every frame.
_BRIGHTNESS, _FROM_ABOVE, _FROM_ASIDE = 0.58, 0.2, np.array([0.08, 0.1, 0.0])
_TINT = np.array([1.0, 0.97, 0.92])


@dataclass(frozen=True)
class Walk:
    """A closed path that somebody walks round and round at an even pace.

    Attributes:
        ring: float64 [N, 2], points on the floor at even distances, metres; the last is one step before
            the first.
        length: Of the path, metres.
        start: Where on the path the walk begins, metres.
        speed: Metres a second.
    """

    ring: NDArray[np.float64]
    length: float
    start: float
    speed: float

    def walked(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres along the path, from its first point, at times in seconds, float64 [N]."""
        return self.start + self.speed * times

    def positions(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points on the floor, float64 [N, 2], metres."""
        return self._at(self.walked(times))

    def placement(self, time: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where a walker stands and the unit vector that it faces along, both float64 [2]."""
        along = self.walked(np.array([time]))
        behind, here, ahead = (self._at(along + step)[0] for step in (-0.1, 0.0, 0.1))
        facing = ahead - behind
        return here, facing / np.linalg.norm(facing)

    def _at(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        closed = np.vstack([self.ring, self.ring[:1]])
        grid = np.linspace(0, self.length, len(closed))
        return np.stack([np.interp(along % self.length, grid, closed[:, axis]) for axis in (0, 1)], -1)


def plan_walks(
    rng: np.random.Generator, plan: FloorPlan, path: CameraPath, parameters: SyntheticParameters
) -> list[Walk]:
    """Choose a walk for everybody: in view as much and as large as can be, and clear of the camera.

    Of many random walks those are taken with which people cover most of the images, weighted so that many
    images with somebody in them count for more than a few full of people.

    Raises:
        SequenceError: There is not enough space for so many.
    """
    if parameters.walkers == 0:
        return []
    times = np.arange(0, path.duration, 1 / _CHECKS_PER_SECOND)
    walks, places, shares = _candidates(rng, plan, path.motion(times), times, parameters)
    most = 0
    # The best one comes first, unless there is then no space for the others.
    for first in np.argsort(-np.sqrt(shares).sum(axis=1), kind="stable"):
        chosen = [int(first)]
        while len(chosen) < parameters.walkers:
            apart = np.linalg.norm(places[:, None] - places[chosen], axis=-1).min(axis=(1, 2))
            free = np.flatnonzero(apart > _WALKER_CLEARANCE)
            if not len(free):
                break
            value = np.sqrt(shares[chosen].sum(axis=0) + shares[free]).sum(axis=1)
            chosen.append(int(free[np.argmax(value)]))
        if len(chosen) == parameters.walkers:
            return [walks[index] for index in chosen]
        most = max(most, len(chosen))
    raise SequenceError(
        f"there is space for {most} people to walk about, not for {parameters.walkers}: lower 'walkers', or "
        "choose another path or seed"
    )


def _candidates(
    rng: np.random.Generator,
    plan: FloorPlan,
    motion: Motion,
    times: NDArray[np.float64],
    parameters: SyntheticParameters,
) -> tuple[list[Walk], NDArray[np.float64], NDArray[np.float64]]:
    """Random walks, most of them before the camera, each in one room and always clear of the camera.

    Returns:
        The walks, their places [walks, times, 2], and roughly the share of the image that each takes, [walks,
        times].
    """
    cameras, forward = motion.positions[:, :2], motion.rotations[:, :2, 2]
    forward = forward / np.linalg.norm(forward, axis=1, keepdims=True)
    walks, places, shares = [], [], []
    for number in range(_CANDIDATES):
        if number % 3:
            moment = rng.integers(len(times))
            centre = cameras[moment] + rng.uniform(*_AHEAD) * forward[moment]
        else:
            # Somewhere else, for those whom there is no space for in view.
            somewhere = plan.rooms[rng.integers(len(plan.rooms))]
            centre = rng.uniform(somewhere.minimum, somewhere.maximum)
        walk = _random_walk(rng, centre)
        room = _room_around(plan, walk)
        positions = walk.positions(times)
        offsets = positions - cameras
        if room is None or np.linalg.norm(offsets, axis=1).min() < _CAMERA_CLEARANCE:
            continue
        share = _share_of_image(offsets, forward, parameters)
        # From another room there is a wall between.
        share[~np.all((cameras > room.minimum) & (cameras < room.maximum), axis=1)] = 0
        walks.append(walk)
        places.append(positions)
        shares.append(share)
    return walks, np.array(places), np.array(shares).reshape(len(walks), len(times))


def _random_walk(rng: np.random.Generator, centre: NDArray[np.float64]) -> Walk:
    """An ellipse around a point, begun anywhere, in either direction."""
    radii = np.array([rng.uniform(*bounds) for bounds in _RADII])
    turn, direction = rng.uniform(0, np.pi), rng.choice([-1, 1])
    angle = direction * np.linspace(0, 2 * np.pi, 200, endpoint=False)
    flat = radii * np.stack([np.cos(angle), np.sin(angle)], -1)
    c, s = np.cos(turn), np.sin(turn)
    ring = evenly_spaced(centre + flat @ np.array([[c, s], [-s, c]]))
    length = float(np.linalg.norm(np.diff(ring, axis=0, append=ring[:1]), axis=1).sum())
    return Walk(ring, length, float(rng.uniform(0, length)), float(rng.uniform(*_SPEED)))


def _room_around(plan: FloorPlan, walk: Walk) -> Room | None:
    """The room that a walk lies in with space to its walls."""
    for room in plan.rooms:
        low, high = room.minimum + _WALL_CLEARANCE, room.maximum - _WALL_CLEARANCE
        if np.all((walk.ring > low) & (walk.ring < high)):
            return room
    return None


def _share_of_image(
    offsets: NDArray[np.float64], forward: NDArray[np.float64], parameters: SyntheticParameters
) -> NDArray[np.float64]:
    """Roughly which share of the image a person at an offset from the camera takes, float64 [N]."""
    camera = parameters.intrinsics()
    ahead = np.maximum(np.einsum("ij,ij->i", offsets, forward), 1e-3)
    aside = np.abs(offsets[:, 0] * forward[:, 1] - offsets[:, 1] * forward[:, 0])
    half_width = camera.width / 2 / camera.fx * ahead
    seen = np.clip(half_width - aside + _PERSON_WIDTH / 2, 0, _PERSON_WIDTH) / (2 * half_width)
    high = np.minimum(_PERSON_HEIGHT / (camera.height / camera.fy * ahead), 1.0)
    return np.minimum(seen * high, _LARGEST_SHARE)


class Crowd:
    """Everybody who walks about.

    Args:
        people: Who they are.
        walks: Where each of them goes.
        first_texture: Index that their first texture has among the textures of the scene.
        first_surface: Index that their first surface gets.
    """

    def __init__(
        self, people: Sequence[Person], walks: Sequence[Walk], first_texture: int, first_surface: int
    ):
        self._people = tuple(zip(people, walks, strict=True))
        meshes = [person.mesh for person in people]
        vertices = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        surfaces = first_surface + np.cumsum([0, *(mesh.surfaces.max() + 1 for mesh in meshes)])
        self._rest = Mesh(
            vertices=np.concatenate([mesh.vertices for mesh in meshes]),
            normals=np.concatenate([mesh.normals for mesh in meshes]),
            bake_points=np.concatenate([mesh.bake_points for mesh in meshes]),
            texels=np.concatenate([mesh.texels for mesh in meshes]),
            triangles=np.concatenate(
                [mesh.triangles + first for mesh, first in zip(meshes, vertices, strict=False)]
            ).astype(np.int32),
            textures=np.concatenate([mesh.textures for mesh in meshes]) + np.int32(first_texture),
            labels=np.concatenate([mesh.labels for mesh in meshes]),
            surfaces=np.concatenate(
                [mesh.surfaces + first for mesh, first in zip(meshes, surfaces, strict=False)]
            ).astype(np.int32),
            emission=np.concatenate([mesh.emission for mesh in meshes]),
            # They are no part of the scene that maps are compared with.
            things=np.full(sum(len(mesh.triangles) for mesh in meshes), -1, np.int32),
            thing_labels=(),
        )

    def at(self, time: float) -> tuple[Mesh, NDArray[np.float32]]:
        """Everybody as they are at a time in seconds after the first image.

        Returns:
            Their mesh in the world, and the factor on the texture at each of its vertices, float32 [V, 3].
        """
        vertices, normals = [], []
        for person, walk in self._people:
            (x, y), facing = walk.placement(time)
            # The person's +y looks along the way.
            to_world = np.array([[facing[1], facing[0], 0], [-facing[0], facing[1], 0], [0, 0, 1]])
            body, outward = person.walking(float(walk.walked(np.array([time]))[0]))
            vertices.append(body @ to_world.T + (x, y, 0.0))
            normals.append(outward @ to_world.T)
        normal = np.concatenate(normals)
        light = _BRIGHTNESS + _FROM_ABOVE * normal[:, 2] + normal @ _FROM_ASIDE
        mesh = replace(
            self._rest,
            vertices=np.concatenate(vertices).astype(np.float32),
            normals=normal.astype(np.float32),
        )
        return mesh, (light[:, None] * _TINT).astype(np.float32)
