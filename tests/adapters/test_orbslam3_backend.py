"""ORB-SLAM3 run through its backend, in a process of its own."""

import cv2
import numpy as np
import pytest
from run_backend_alone import run_job_alone
from textured_corner import FIRST_NS, PERIOD_NS, camera_positions, position_errors, render, write_job

from adapters.orbslam3 import OrbSlam3Adapter
from adapters.orbslam3.vocabulary_file import write_vocabulary
from adapters.orbslam3.vocabulary_training import TrainingParameters, train_vocabulary

_MISSING = OrbSlam3Adapter().missing()
pytestmark = pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))

FRAMES = 40


@pytest.fixture(scope="module")
def corner():
    images, depths = zip(*(render(position) for position in camera_positions(FRAMES)), strict=True)
    return np.array(images), np.array(depths)


@pytest.fixture(scope="module")
def options(tmp_path_factory, corner):
    # What the words are like is of no matter here, so they may come from the images themselves.
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in corner[0][::10]]
    path = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    write_vocabulary(
        train_vocabulary(grey, TrainingParameters(depth=3, views_per_image=5, features_per_view=500)), path
    )
    return {"vocabulary": str(path)}


def run(tmp_path, corner, options, image_of, mode="rgbd"):
    return run_job_alone(OrbSlam3Adapter.server, write_job(tmp_path, *corner, image_of, options, mode))


def test_every_frame_of_a_sweep_gets_its_own_stamp_and_the_true_position(tmp_path, corner, options):
    answer = run(tmp_path, corner, options, list(range(FRAMES)))
    assert answer["states"] == ["ok"] * FRAMES
    assert answer["timestamps_ns"] == [FIRST_NS + number * PERIOD_NS for number in range(FRAMES)]
    assert np.median(position_errors(answer, FRAMES)) < 0.01
    live = np.array(answer["live_positions"])
    assert np.median(np.linalg.norm(live - np.array(answer["poses"])[:, :3], axis=1)) < 0.01
    assert answer["keyframe_indices"][0] == 0
    assert answer["statistics"]["maps_started"] == 1
    assert answer["statistics"]["frames_tracked_outside_largest_map"] == 0


def test_frames_lost_in_darkness_have_no_pose(tmp_path, corner, options):
    images, depths = corner
    dark = (
        np.concatenate([images, np.zeros_like(images[:1])]),
        np.concatenate([depths, np.zeros_like(depths[:1])]),
    )
    answer = run(tmp_path, dark, options, [*range(FRAMES), *[FRAMES] * 10])
    assert answer["states"][FRAMES + 1 :] == ["lost"] * 9 or "initialising" in answer["states"][FRAMES + 1 :]
    assert max(answer["timestamps_ns"], default=0) < FIRST_NS + FRAMES * PERIOD_NS
    assert all(position is None for position in answer["live_positions"][FRAMES:])


def test_a_single_frame_is_a_trajectory_of_one_pose(tmp_path, corner, options):
    answer = run(tmp_path, corner, options, [0])
    assert answer["timestamps_ns"] == [FIRST_NS]
    assert answer["poses"][0] == pytest.approx([0, 0, 0, 0, 0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("mode", ["rgbd", "mono"])
def test_nothing_but_black_images_ends_in_an_empty_trajectory(tmp_path, corner, options, mode):
    black = np.zeros_like(corner[0]), np.zeros_like(corner[1])
    answer = run(tmp_path, black, options, list(range(5)), mode)
    assert answer["states"] == ["initialising"] * 5
    assert answer["poses"] == []
    assert answer["keyframe_indices"] == []


def test_textured_images_without_any_depth_end_in_an_empty_trajectory(tmp_path, corner, options):
    answer = run(tmp_path, (corner[0], np.zeros_like(corner[1])), options, list(range(7)))
    assert "ok" not in answer["states"]
    assert answer["poses"] == []


def test_red_and_blue_arrive_in_their_places(tmp_path, corner, options):
    # Red 60 and blue 157 are the same grey if red is taken for red, and far apart if it is taken for blue.
    random = np.random.default_rng(2)
    red = np.kron(random.integers(0, 2, (48, 64)), np.ones((10, 10), dtype=int)) == 1
    image = np.where(red[..., None], [60, 0, 0], [0, 0, 157]).astype(np.uint8)
    answer = run(tmp_path, (image[None], np.full((1, 480, 640), 2.0, np.float32)), options, [0])
    assert answer["states"] == ["initialising"]
    swapped = run(tmp_path, (image[None, ..., ::-1], np.full((1, 480, 640), 2.0, np.float32)), options, [0])
    assert swapped["states"] == ["ok"]


@pytest.mark.slow
def test_a_map_with_another_origin_is_left_out_and_counted(tmp_path, corner, options):
    images, depths = corner
    dark = (
        np.concatenate([images, np.zeros_like(images[:1])]),
        np.concatenate([depths, np.zeros_like(depths[:1])]),
    )
    # Four seconds of darkness: longer than ORB-SLAM3 searches; then the sweep from its middle on.
    image_of = [*range(FRAMES), *[FRAMES] * 120, *range(FRAMES // 2, FRAMES)]
    answer = run(tmp_path, dark, {**options, "rgbd_wait_periods": 5.0}, image_of)
    statistics = answer["statistics"]
    assert statistics["maps_started"] == 2
    frames = (np.array(answer["timestamps_ns"]) - FIRST_NS) // PERIOD_NS
    assert (frames < FRAMES).all() or (frames > FRAMES).all()
    assert statistics["frames_tracked"] - len(frames) == statistics["frames_tracked_outside_largest_map"] > 0
    assert all(position is None for position in answer["live_positions"][FRAMES:])
    assert statistics["live_poses_withheld"] > 0
