"""RGB-D odometry run through its backend, and its parts."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_backend_alone import run_job
from scipy.spatial.transform import Rotation
from textured_corner import FIRST_NS, INTRINSICS, camera_positions, position_errors, render, write_job

from adapters.backend import BackendInputError
from adapters.options import parse_options
from adapters.rgbd_odometry import RgbdOdometryAdapter
from adapters.rgbd_odometry.observability import geometric_constraint
from adapters.rgbd_odometry.options import RgbdOdometryOptions
from adapters.rotations import quaternion_from_rotation, rotation_angle

needs_open3d = pytest.mark.skipif(
    importlib.util.find_spec("open3d") is None, reason="open3d is not installed"
)

FRAMES = 20
# Few pixels and memory for few blocks make the tests quick.
OPTIONS = {"block_limit": 1500, "stride": 4}


@pytest.fixture(scope="module")
def corner():
    images, depths = zip(*(render(position) for position in camera_positions(FRAMES)), strict=True)
    return np.array(images), np.array(depths)


def run(tmp_path, frames, image_of, **options):
    job = write_job(tmp_path, *frames, image_of, {**OPTIONS, **options})
    return run_job(RgbdOdometryAdapter.server, job)


@given(
    quaternion=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
)
def test_a_rotation_and_its_quaternion_are_the_same_turn(quaternion):
    rotation = Rotation.from_quat(quaternion)
    found = Rotation.from_quat(quaternion_from_rotation(rotation.as_matrix()))
    assert (found.inv() * rotation).magnitude() < 1e-7
    assert rotation_angle(rotation.as_matrix()) == pytest.approx(rotation.magnitude(), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voxel_size": 0.0}, "voxel_size"),
        ({"truncation_distance": 0.01}, "at least two voxels"),
        ({"nearest_depth": 6.0}, "nearest_depth"),
        ({"iterations": []}, "every pyramid level"),
        ({"start_iterations": []}, "every pyramid level"),
        ({"start_depth_outlier": 0.0}, "start_depth_outlier"),
        ({"iterations": [3, 0.5]}, "list of whole numbers"),
        ({"least_fitness": 1.5}, "least_fitness"),
        ({"block_limit": 10}, "block_limit must be at least 100"),
        ({"voxels": 1}, "unknown option voxels"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(BackendInputError, match=message):
        parse_options(RgbdOdometryOptions, options)


@needs_open3d
def test_a_sweep_along_a_corner_is_followed_and_live_poses_are_final(tmp_path, corner):
    answer = run(tmp_path, corner, list(range(FRAMES)))
    assert answer["states"] == ["ok"] * FRAMES
    assert position_errors(answer, FRAMES).max() < 0.03
    assert answer["live_positions"] == [pose[:3] for pose in answer["poses"]]


@needs_open3d
def test_the_first_motion_is_found_though_no_velocity_is_known(tmp_path, corner):
    every_fourth = list(range(0, FRAMES, 4))
    answer = run(tmp_path, corner, every_fourth, stride=2)
    found = np.diff(np.array(answer["poses"])[:, :3], axis=0)
    true = np.diff(camera_positions(FRAMES)[every_fourth], axis=0)
    assert np.linalg.norm(true[0]) > 0.1
    assert np.linalg.norm(found - true, axis=1).max() < 0.01


@needs_open3d
def test_the_first_view_of_the_model_has_no_holes_that_a_second_has_not():
    from adapters.rgbd_odometry.model import TsdfModel

    rows, columns = np.indices((240, 320))
    # Depth in steps fills several times the blocks that Open3D reckons with for an image this small.
    depth = (1.5 + 0.7 * ((rows // 20 + columns // 20) % 5)).astype(np.float32)
    matrix = np.array([[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]])
    model = TsdfModel(RgbdOdometryOptions(block_limit=3000), matrix)
    model.integrate(depth, np.eye(4))
    first, second = (model.depth_from(np.eye(4), *depth.shape).numpy() for _ in range(2))
    assert np.count_nonzero(first) > 0.8 * depth.size
    np.testing.assert_array_equal(first, second)


@needs_open3d
def test_images_whose_sides_fill_no_whole_tiles_are_tracked(tmp_path, corner):
    """Every third pixel of 640×480 makes 214×160; Open3D's ray casting hangs on sizes like that."""
    answer = run(tmp_path, corner, list(range(6)), stride=3)
    assert answer["states"] == ["ok"] * 6


@needs_open3d
def test_frames_without_depth_are_lost_and_tracking_recovers_from_the_last_good_pose(tmp_path, corner):
    images, depths = corner
    frames = np.concatenate([images, images[:1]]), np.concatenate([depths, np.zeros_like(depths[:1])])
    answer = run(tmp_path, frames, [*range(10), FRAMES, FRAMES, *range(10, FRAMES)])
    assert answer["states"] == ["ok"] * 10 + ["lost"] * 2 + ["ok"] * 10
    assert len(answer["timestamps_ns"]) == FRAMES
    assert answer["statistics"]["frames_rejected"] == 2
    recovered = np.array(answer["poses"])[10:, :3]
    truth = camera_positions(FRAMES)
    assert np.linalg.norm(recovered - truth[10:], axis=1).max() < 0.03


@needs_open3d
def test_before_the_first_depth_the_backend_initialises(tmp_path, corner):
    images, depths = corner
    answer = run(tmp_path, (images, np.zeros_like(depths)), [0, 1, 2])
    assert answer["states"] == ["initialising"] * 3
    assert answer["poses"] == []
    assert answer["statistics"]["frames_rejected"] == 0


@needs_open3d
def test_identical_frames_stay_where_they_are(tmp_path, corner):
    answer = run(tmp_path, corner, [0] * 6)
    assert answer["states"] == ["ok"] * 6
    assert np.linalg.norm(np.array(answer["poses"])[:, :3], axis=1).max() < 0.01


@needs_open3d
def test_a_featureless_wall_that_holds_nothing_in_place_gives_no_pose(tmp_path):
    shape = (INTRINSICS.height, INTRINSICS.width)
    grey, wall = np.full((1, *shape, 3), 128, np.uint8), np.full((1, *shape), 2.0, np.float32)
    answer = run(tmp_path, (grey, wall), [0] * 4)
    assert answer["states"] == ["ok", "lost", "lost", "lost"]


@needs_open3d
def test_along_a_flat_wall_the_picture_on_it_is_followed(tmp_path):
    # One pixel of the tracked image a frame: 7.7 mm at this distance.
    picture = render(np.zeros(3))[0]
    shifted = np.stack([np.roll(picture, -2 * step, axis=1) for step in range(6)])
    wall = np.full(shifted.shape[:3], 2.0, np.float32)
    answer = run(tmp_path, (shifted, wall), list(range(6)), stride=2)
    assert answer["states"] == ["ok"] * 6
    assert answer["statistics"]["frames_placed_by_last_frame"] == 5
    truth = np.outer(np.arange(6), [2 * 2.0 / INTRINSICS.fx, 0.0, 0.0])
    assert np.linalg.norm(np.array(answer["poses"])[:, :3] - truth, axis=1).max() < 0.02


def test_one_plane_constrains_nothing_and_a_corner_constrains_all():
    matrix = np.array([[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]])
    noise = np.random.default_rng(0).normal(0.0, 0.002, (240, 320))
    assert geometric_constraint((2.0 + noise).astype(np.float32), matrix) < 0.004
    depth = render(np.zeros(3))[1][::2, ::2]
    assert geometric_constraint(depth, matrix) > 0.02
    assert geometric_constraint(np.zeros_like(depth), matrix) == 0.0


@needs_open3d
def test_a_leap_is_rejected_rather_than_believed(tmp_path, corner):
    answer = run(tmp_path, corner, [0, 1, FRAMES - 1, 2], largest_translation=0.1)
    assert answer["states"] == ["ok", "ok", "lost", "ok"]
    assert (np.array(answer["timestamps_ns"]) - FIRST_NS > 0).sum() == 2


@needs_open3d
def test_a_model_that_is_full_starts_afresh_and_tracking_goes_on(tmp_path, corner):
    answer = run(
        tmp_path, corner, list(range(FRAMES)), voxel_size=0.01, truncation_distance=0.08, block_limit=600
    )
    statistics = answer["statistics"]
    assert statistics["model_restarts"] >= 1
    assert answer["states"] == ["ok"] * FRAMES
    assert position_errors(answer, FRAMES).max() < 0.1
