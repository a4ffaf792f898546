"""Scaled frames show what the scaled camera sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.droid_slam.preprocessing import GRID, InputScaling

TUM = CameraIntrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)
PIXELS = 384 * 512


def project(camera, point):
    x, y, z = point
    return np.array([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])


@given(
    width=st.integers(300, 1200),
    height=st.integers(300, 1200),
    pixels=st.integers(150_000, 400_000),
)
def test_sides_are_multiples_of_the_grid_and_about_the_wanted_size(width, height, pixels):
    scaling = InputScaling.of(CameraIntrinsics(500, 500, 200, 200, width, height), pixels)
    across, down = scaling.resized
    assert across / down == pytest.approx(width / height, rel=0.01)
    assert across * down == pytest.approx(pixels, rel=0.01)
    for resized, cut in ((across, scaling.camera.width), (down, scaling.camera.height)):
        assert cut % GRID == 0
        assert 0 <= resized - cut < GRID


def test_the_published_size_of_a_camera_of_640_by_480_is_512_by_384():
    scaling = InputScaling.of(TUM, PIXELS)
    assert scaling.resized == (scaling.camera.width, scaling.camera.height) == (512, 384)


@pytest.mark.parametrize("pixels", [PIXELS, 240 * 320, 123_457, 640 * 480])
@pytest.mark.parametrize("point", [(0.0, 0.0, 2.0), (-0.4, 0.3, 1.5), (1.1, -0.7, 2.5)])
def test_a_point_is_seen_where_the_scaled_camera_projects_it(pixels, point):
    # A spot around the projection, as wide as to outlast the scaling; its centre of mass is the projection.
    columns, rows = np.meshgrid(np.arange(TUM.width), np.arange(TUM.height))
    column, row = project(TUM, point)
    spot = 250.0 * np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * 6.0**2))
    rgb = np.repeat(np.round(spot).astype(np.uint8)[..., None], 3, axis=2)
    scaling = InputScaling.of(TUM, pixels)
    seen = scaling.image(rgb)[0].astype(float)
    columns, rows = np.meshgrid(np.arange(seen.shape[1]), np.arange(seen.shape[0]))
    found = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    np.testing.assert_allclose(found, project(scaling.camera, point), atol=0.02)


def test_what_is_cut_off_is_at_the_right_and_the_bottom():
    camera = CameraIntrinsics(300.0, 300.0, 158.0, 122.0, 317, 245)
    scaling = InputScaling.of(camera, 317 * 245)
    image = np.random.default_rng(0).integers(0, 255, (245, 317, 3), dtype=np.uint8)
    assert scaling.resized == (317, 245)
    assert scaling.camera == CameraIntrinsics(300.0, 300.0, 158.0, 122.0, 312, 240)
    np.testing.assert_array_equal(scaling.image(image), image[:240, :312, ::-1].transpose(2, 0, 1))


def test_images_come_out_blue_first_and_one_channel_after_the_other():
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:] = 10, 20, 30
    image = InputScaling.of(TUM, PIXELS).image(rgb)
    assert image.shape == (3, 384, 512)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert [set(channel.ravel().tolist()) for channel in image] == [{30}, {20}, {10}]


def test_depth_of_two_surfaces_is_never_mixed_and_unknown_depth_stays_unknown():
    depth = np.full((480, 640), 1.0, np.float32)
    depth[:, 301:] = 4.0
    depth[::7] = 0.0
    scaled = InputScaling.of(TUM, PIXELS).depth(depth)
    assert scaled.shape == (384, 512)
    assert scaled.dtype == np.float32
    assert scaled.flags.c_contiguous
    assert set(np.unique(scaled).tolist()) == {0.0, 1.0, 4.0}


@given(pixels=st.integers(60_000, 600_000))
def test_an_edge_of_depth_is_where_the_scaled_image_has_it_to_half_a_pixel(pixels):
    edge = 301
    depth = np.where(np.arange(640) < edge, 1.0, 4.0).astype(np.float32)[None].repeat(480, axis=0)
    scaling = InputScaling.of(TUM, pixels)
    # Pixels reach half a pixel to either side of their centre.
    true = edge * scaling.resized[0] / 640 - 0.5
    found = np.flatnonzero(scaling.depth(depth)[50] > 2.0)[0] - 0.5
    assert abs(found - true) <= 0.51


def test_a_camera_too_narrow_for_the_network_is_refused():
    with pytest.raises(BackendInputError, match=r"1000×200 become .*; DROID-SLAM needs at least 128"):
        InputScaling.of(CameraIntrinsics(500, 500, 500, 100, 1000, 200), 60_000)
