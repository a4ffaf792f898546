"""The ranges of the options of the scene graph."""

import pytest

from adapters.mono_hydra.scene_graph.options import SceneGraphOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("object_least_vertices", 0),
        ("object_tolerance", 0.0),
        ("object_box", "round"),
        ("free_voxel_size", -0.1),
        ("free_ray_stride", 0),
        ("free_ray_limit", float("nan")),
        ("free_surface_margin", -0.1),
        ("place_spacing", 0.15),
        ("place_least_clearance", -1.0),
        ("room_widest_passage", 0.0),
        ("room_least_narrowing", 0.9),
        ("room_least_width", -0.5),
        ("room_least_volume", 0.0),
    ],
)
def test_an_option_out_of_range_is_named(name: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
        SceneGraphOptions(**{name: value})


def test_the_defaults_are_in_range() -> None:
    SceneGraphOptions().check_scene_graph()
