"""Puts a scene together from its seed: plan, shell, furniture, textures and light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequences.synthetic import lighting
from sequences.synthetic.camera_path import CameraPath, build_camera_path, plan_route
from sequences.synthetic.floor_plan import FloorPlan, build_floor_plan
from sequences.synthetic.furnishing import furnish
from sequences.synthetic.materials import MaterialLibrary
from sequences.synthetic.mesh import Mesh, MeshBuilder
from sequences.synthetic.parameters import SyntheticParameters
from sequences.synthetic.person import build_person
from sequences.synthetic.randomness import Part, generator
from sequences.synthetic.shell import build_shell
from sequences.synthetic.texture_atlas import TextureAtlas
from sequences.synthetic.walkers import Crowd, plan_walks
from sequences.synthetic.workshop import Workshop


@dataclass(frozen=True)
class Scene:
    """A lit, textured flat, the camera's way through it, and the people who walk about in it.

    Attributes:
        plan: The rooms.
        path: The camera's path.
        mesh: All surfaces that stay where they are.
        atlas: All textures, those of the people last.
        brightness: float32 [V, 3], factor on the texture at each vertex of the mesh.
        crowd: The people, None without any.
    """

    plan: FloorPlan
    path: CameraPath
    mesh: Mesh
    atlas: TextureAtlas
    brightness: NDArray[np.float32]
    crowd: Crowd | None = None


def build_route_and_path(
    parameters: SyntheticParameters,
) -> tuple[FloorPlan, NDArray[np.float64], CameraPath]:
    """The rooms, the line on the floor that is kept free of furniture, and the camera's path along it.

    Raises:
        SequenceError: The path does not fit into the time.
    """
    plan = build_floor_plan(generator(parameters.seed, Part.PLAN), parameters.rooms)
    route = plan_route(plan, parameters)
    return plan, route, build_camera_path(generator(parameters.seed, Part.PATH), plan, route, parameters)


def build_scene(parameters: SyntheticParameters) -> Scene:
    """Build the scene that belongs to the parameters.

    Raises:
        SequenceError: The path does not fit into the time, there is no space for so many walkers, or a
            package is missing.
    """
    seed = parameters.seed
    plan, route, path = build_route_and_path(parameters)
    people_rng = generator(seed, Part.WALKERS)
    walks = plan_walks(people_rng, plan, path, parameters)
    materials = MaterialLibrary(generator(seed, Part.MATERIALS))
    builder = MeshBuilder(generator(seed, Part.TEXTURE_PLACES))
    shop = Workshop(builder, materials, generator(seed, Part.FURNITURE))
    build_shell(shop, plan)
    furnish(shop, plan, np.vstack([route, *(walk.ring for walk in walks)]))
    mesh = builder.build()
    means = np.array([image.reshape(-1, 3).mean(axis=0) for image in materials.images])
    albedo = ((means / 255) ** 2.2).astype(np.float32)[mesh.textures]
    brightness = lighting.bake(mesh, shop.lights, albedo)
    atlas = TextureAtlas.pack(materials.images)
    if not walks:
        return Scene(plan, path, mesh, atlas, brightness)
    clothes = MaterialLibrary(people_rng)
    people = [build_person(people_rng, clothes) for _ in walks]
    crowd = Crowd(people, walks, len(materials.images), int(mesh.surfaces.max()) + 1)
    return Scene(plan, path, mesh, atlas.joined(TextureAtlas.pack(clothes.images)), brightness, crowd)
