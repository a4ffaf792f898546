"""Registration of depth to colour: what the colour camera would have measured."""

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from seen_room import camera_path, view
from seven_scenes_files import COLOUR_CAMERA, DEPTH_CAMERA, DEPTH_TO_COLOUR, colour_pose

from sequences.depth_registration import DepthRegistration
from sequences.model import Intrinsics

SMALL = Intrinsics(fx=40.0, fy=42.0, cx=15.5, cy=11.5, width=32, height=24)


def shifted(x=0.0, y=0.0, z=0.0):
    motion = np.eye(4)
    motion[:3, 3] = x, y, z
    return motion


def plane(distance, camera=SMALL):
    return np.full((camera.height, camera.width), distance, dtype=np.float32)


def test_the_registered_depth_is_what_the_colour_camera_would_have_measured():
    pose = camera_path(3)[1]
    registration = DepthRegistration(DEPTH_CAMERA, COLOUR_CAMERA, DEPTH_TO_COLOUR)
    depth = view(pose, DEPTH_CAMERA)[1]
    expected = view(colour_pose(pose), COLOUR_CAMERA)[1]
    registered = registration.to_colour(depth)
    assert registered.dtype == np.float32
    known = registered > 0

    def disagreement(seen):
        return np.abs(seen[known] - expected[known]) / expected[known]

    # The colour camera sees further to the sides than the depth camera does.
    assert 0.7 < known.mean() < 0.85
    assert np.median(disagreement(registered)) < 0.002
    assert np.mean(disagreement(registered) < 0.01) > 0.99
    assert np.mean(disagreement(depth) < 0.01) < 0.65


def test_a_camera_that_is_registered_to_itself_measures_the_same():
    depth = np.random.default_rng(1).uniform(0.3, 9.0, (SMALL.height, SMALL.width)).astype(np.float32)
    depth[3:5] = 0.0
    np.testing.assert_allclose(DepthRegistration(SMALL, SMALL, np.eye(4)).to_colour(depth), depth, rtol=1e-6)


@given(distance=st.floats(0.5, 8.0), towards=st.floats(-0.3, 0.3))
def test_depth_is_measured_along_the_axis_of_the_colour_camera(distance, towards):
    registered = DepthRegistration(SMALL, SMALL, shifted(z=towards)).to_colour(plane(distance))
    np.testing.assert_allclose(registered[registered > 0], distance + towards, rtol=1e-5)
    assert (registered > 0).any()


def test_a_plane_is_seen_shifted_by_baseline_times_focal_length_over_distance():
    depth = plane(2.0)
    depth[:, 10] = 1.0
    registered = DepthRegistration(SMALL, SMALL, shifted(x=-0.1)).to_colour(depth)
    # The column at one metre moves by four pixels, what lies behind it by two.
    assert (registered[:, 6] == 1.0).all()
    np.testing.assert_array_equal(registered[0, :9], [2, 2, 2, 2, 2, 2, 1, 2, 0])
    # The last two columns show what the depth camera did not see.
    assert (registered[:, -2:] == 0).all()


def test_of_two_points_at_one_pixel_the_nearer_stays_wherever_it_comes_from():
    for near, far in ((8, 10), (12, 10)):
        depth = np.zeros((SMALL.height, SMALL.width), dtype=np.float32)
        shift = (near - far) * 2.0 * 1.0 / (40.0 * (2.0 - 1.0))
        depth[5, near], depth[5, far] = 1.0, 2.0
        registered = DepthRegistration(SMALL, SMALL, shifted(x=-shift)).to_colour(depth)
        assert (registered > 0).sum() == 1
        assert registered.max() == 1.0


def test_nothing_known_stays_nothing_known():
    registration = DepthRegistration(SMALL, SMALL, shifted(x=0.1))
    assert (registration.to_colour(plane(0.0)) == 0).all()


def test_points_behind_the_colour_camera_or_in_its_plane_are_left_out():
    for distance in (0.5, 1.0):
        assert (DepthRegistration(SMALL, SMALL, shifted(z=-1.0)).to_colour(plane(distance)) == 0).all()


def test_points_far_beside_the_image_are_left_out():
    registration = DepthRegistration(SMALL, SMALL, shifted(x=1e30, z=-1.0 + 1e-6))
    assert (registration.to_colour(plane(1.0)) == 0).all()


def test_the_colour_camera_may_have_another_size():
    wide = Intrinsics(fx=20.0, fy=21.0, cx=31.5, cy=9.5, width=64, height=20)
    registered = DepthRegistration(SMALL, wide, np.eye(4)).to_colour(plane(3.0))
    assert registered.shape == (20, 64)
    # Half the focal length shows the same field of view in half the width.
    known = np.flatnonzero(registered[9] > 0)
    assert (known.min(), known.max()) == (24, 39)


def test_it_goes_to_other_processes():
    registration = DepthRegistration(DEPTH_CAMERA, COLOUR_CAMERA, DEPTH_TO_COLOUR)
    depth = plane(2.0, DEPTH_CAMERA)
    again = pickle.loads(pickle.dumps(registration))
    np.testing.assert_array_equal(again.to_colour(depth), registration.to_colour(depth))
