"""DROID-SLAM's backend in a process of its own, through the protocol, against a double of upstream."""

import json
from dataclasses import replace

import numpy as np
import pytest
from upstream_doubles.droid_slam.droid_slam_runs import (
    CAMERA,
    FIRST_NS,
    PERIOD_NS,
    conversation,
    run,
    use_the_double,
    wall_frames,
)
from upstream_doubles.droid_slam.painted_wall import places

from adapters.backend import Mode, TrackingState
from adapters.droid_slam import PINNED_COMMIT, DroidSlamAdapter
from adapters.errors import BackendReportedError

FRAMES = 12
WARMUP = 5
INITIALISING, OK = TrackingState.INITIALISING, TrackingState.OK


@pytest.fixture(autouse=True)
def _double(monkeypatch):
    use_the_double(monkeypatch)


def true_poses(count=FRAMES):
    """float64 [count, 4, 4]: camera to the world of the first camera, metres."""
    poses = np.stack([place.camera_to_world for place in places(count)])
    return np.linalg.inv(poses[0]) @ poses


def positions(result):
    return result.trajectory.poses[:, :3]


def journal(tmp_path):
    return json.loads((tmp_path / "output" / "droid_double.json").read_text())


def test_every_frame_gets_its_stamp_and_its_true_pose(tmp_path):
    states, result = run(tmp_path, wall_frames())
    assert states == [INITIALISING] * (WARMUP - 1) + [OK] * (FRAMES - WARMUP + 1)
    stamps = FIRST_NS + np.arange(FRAMES) * PERIOD_NS
    np.testing.assert_array_equal(result.trajectory.timestamps_ns, stamps)
    truth = true_poses()
    np.testing.assert_allclose(positions(result), truth[:, :3, 3], atol=5e-4)
    half_angles = np.arctan2(truth[:, 1, 0], truth[:, 0, 0]) / 2
    quaternions = np.stack([0 * half_angles, 0 * half_angles, np.sin(half_angles), np.cos(half_angles)], 1)
    np.testing.assert_allclose(result.trajectory.poses[:, 3:], quaternions, atol=5e-4)
    assert result.keyframe_indices == tuple(range(FRAMES))
    assert result.statistics["keyframes"] == FRAMES
    assert journal(tmp_path)["backend_steps"] == [7, 12]


def test_what_upstream_sees_and_the_intrinsics_it_gets_fit_together_to_a_tenth_of_a_pixel(tmp_path):
    run(tmp_path, wall_frames())
    # Read off the first image with the intrinsics alone; a tenth of a pixel is more than a millimetre.
    first = places(1)[0]
    wanted = (first.x, first.y, first.z, first.roll)
    assert journal(tmp_path)["first_place"] == pytest.approx(wanted, abs=5e-4)


def test_monocular_runs_are_true_up_to_scale(tmp_path):
    _, result = run(tmp_path, wall_frames(mode=Mode.MONO), Mode.MONO)
    np.testing.assert_allclose(positions(result) * 4.0, true_poses()[:, :3, 3], atol=5e-4)


def test_odometry_leaves_out_the_adjustment_of_all_keyframes_and_nothing_else(tmp_path):
    _, result = run(tmp_path, wall_frames(), variant="vo")
    assert journal(tmp_path)["backend_steps"] == []
    assert len(result.trajectory) == FRAMES
    np.testing.assert_allclose(positions(result), true_poses()[:, :3, 3] * 1.05, atol=5e-4)


@pytest.mark.parametrize("fault", ["no backend", "adjusts elsewhere"])
def test_odometry_is_refused_where_upstream_cannot_be_run_as_such(tmp_path, monkeypatch, fault):
    use_the_double(monkeypatch, fault)
    with pytest.raises(BackendReportedError, match="this commit of upstream cannot be run as odometry"):
        run(tmp_path, wall_frames(), variant="vo")


def test_frames_that_show_nothing_new_have_poses_and_are_no_keyframes(tmp_path):
    frames = list(wall_frames(6))
    # The camera stands still at the end.
    still = [
        replace(frames[-1], index=number, timestamp_ns=FIRST_NS + number * PERIOD_NS) for number in (6, 7)
    ]
    _, result = run(tmp_path, [*frames, *still])
    assert result.keyframe_indices == (0, 1, 2, 3, 4, 5)
    assert len(result.trajectory) == 8


def test_time_stamps_are_indices_of_frames_when_some_were_dropped(tmp_path):
    _, result = run(tmp_path, wall_frames(8, step=3))
    seen = journal(tmp_path)
    assert seen["tracked"] == seen["streamed"] == list(range(0, 24, 3))
    assert result.keyframe_indices == tuple(range(0, 24, 3))
    assert result.trajectory.timestamps_ns.tolist() == [FIRST_NS + n * PERIOD_NS for n in range(0, 24, 3)]


def test_red_and_blue_in_each_others_places_would_be_noticed(tmp_path):
    swapped = (replace(frame, rgb=np.ascontiguousarray(frame.rgb[..., ::-1])) for frame in wall_frames())
    _, result = run(tmp_path, swapped)
    assert np.abs(positions(result) - true_poses()[:, :3, 3]).max() > 0.1


def test_depth_in_millimetres_would_be_noticed(tmp_path):
    frames = (replace(frame, depth=frame.depth * 1000) for frame in wall_frames())
    with pytest.raises(BackendReportedError, match="depth in metres"):
        run(tmp_path, frames)


def test_a_preset_reaches_upstream_with_what_the_user_set_in_its_place(tmp_path):
    options = {"preset": "scannet", "frontend_nms": 0, "beta": 0.5, "frontend_window": 30}
    _, result = run(tmp_path, wall_frames(mode=Mode.MONO), Mode.MONO, **options)
    arguments = journal(tmp_path)["arguments"]
    assert {name: arguments[name] for name in ("frontend_nms", "beta", "frontend_window")} == {
        "frontend_nms": 0,
        "beta": 0.5,
        "frontend_window": 30,
    }
    assert (arguments["keyframe_thresh"], arguments["buffer"]) == (4.0, 512)
    assert arguments["image_size"] == [136, 184]
    assert result.statistics["upstream_arguments"] == arguments


def test_the_presets_warm_up_depends_on_the_mode(tmp_path):
    for mode, warmup in ((Mode.RGBD, 8), (Mode.MONO, 12)):
        states, _ = run(tmp_path, wall_frames(mode=mode), mode, preset="scannet", warmup=-1)
        assert states.count(OK) == FRAMES - warmup + 1


def test_frames_beyond_the_memory_they_may_take_go_through_a_file_that_is_gone_at_the_end(tmp_path):
    # Of 184×136 pixels, 13 would go into one mebibyte.
    _, result = run(tmp_path, wall_frames(20), frame_memory_mib=1)
    assert result.statistics["frames_kept_in_memory"] == 13
    assert result.statistics["frames_kept_on_disk"] == 7
    np.testing.assert_allclose(positions(result), true_poses(20)[:, :3, 3], atol=5e-4)
    assert not list((tmp_path / "output").glob("droid_frames*"))


@pytest.mark.parametrize(
    ("fault", "when"),
    [
        ("memory at start", "while DROID-SLAM was loaded"),
        ("memory while tracking", "on frame 5"),
        ("memory at the end", "while all keyframes were optimised"),
    ],
)
def test_gpu_memory_that_runs_out_is_told_with_what_to_do(tmp_path, monkeypatch, fault, when):
    use_the_double(monkeypatch, fault)
    advice = f"GPU ran out of memory {when}.*set a smaller buffer .now 1024.*image_pixels .now 27170"
    with pytest.raises(BackendReportedError, match=advice):
        run(tmp_path, wall_frames())


def test_other_errors_of_upstream_are_told_as_they_are(tmp_path):
    frames = (replace(frame, depth=frame.depth * 2) for frame in wall_frames())
    with pytest.raises(BackendReportedError, match="AssertionError: upstream was used wrongly: depth"):
        run(tmp_path, frames)


def test_fewer_poses_than_frames_are_nobodys_poses(tmp_path, monkeypatch):
    use_the_double(monkeypatch, "fewer poses")
    with pytest.raises(BackendReportedError, match="gave 10×7 numbers as poses of 12 frames"):
        run(tmp_path, wall_frames())


def test_frames_whose_pose_is_nan_or_no_rotation_have_none(tmp_path, monkeypatch):
    use_the_double(monkeypatch, "nan")
    _, result = run(tmp_path, wall_frames())
    kept = [0, 1, 2, 4, 6, 8, 9, 10, 11]
    assert result.trajectory.timestamps_ns.tolist() == [FIRST_NS + n * PERIOD_NS for n in kept]
    np.testing.assert_allclose(positions(result), true_poses()[kept, :3, 3], atol=5e-4)
    assert result.statistics["frames_without_pose"] == 3


def test_nothing_but_nan_is_an_empty_trajectory(tmp_path, monkeypatch):
    use_the_double(monkeypatch, "all nan")
    _, result = run(tmp_path, wall_frames())
    assert len(result.trajectory) == 0
    assert result.statistics["frames_without_pose"] == FRAMES


@pytest.mark.parametrize("count", [0, 1, WARMUP - 1])
def test_too_few_frames_for_the_first_optimisation_give_no_poses_and_the_reason(tmp_path, count):
    states, result = run(tmp_path, wall_frames(count))
    assert states == [INITIALISING] * count
    assert len(result.trajectory) == 0
    assert f"there are {count} keyframes" in result.statistics["why_no_poses"]
    assert result.keyframe_indices == ()


def test_poses_of_no_known_unit_are_not_given_in_mode_rgbd(tmp_path):
    frames = (replace(frame, depth=np.zeros_like(frame.depth)) for frame in wall_frames())
    states, result = run(tmp_path, frames)
    assert states == [INITIALISING] * FRAMES
    assert len(result.trajectory) == 0
    assert "no keyframe has depth" in result.statistics["why_no_poses"]


def test_depth_that_comes_late_makes_poses_metric(tmp_path):
    frames = (
        replace(frame, depth=frame.depth * (frame.index > 7)) if frame.index <= 7 else frame
        for frame in wall_frames()
    )
    states, result = run(tmp_path, frames)
    assert states == [INITIALISING] * 8 + [OK] * 4
    assert len(result.trajectory) == FRAMES


def test_a_full_buffer_is_told_before_upstream_runs_over_it(tmp_path):
    with pytest.raises(BackendReportedError, match=r"all 8 keyframes .* before frame 8: set a larger buffer"):
        run(tmp_path, wall_frames(), buffer=8)


def test_weights_with_another_checksum_are_refused(tmp_path):
    with pytest.raises(BackendReportedError, match=r"has the SHA-256 .*, weights_sha256 is 0000"):
        run(tmp_path, [], weights_sha256="0" * 64)


def test_weights_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(BackendReportedError, match="there is no file"):
        run(tmp_path, [], weights=str(tmp_path / "elsewhere.pth"))


def test_an_image_without_weights_says_how_they_are_given(tmp_path):
    with pytest.raises(BackendReportedError, match=r"set the options weights .* and weights_sha256"):
        run(tmp_path, [], weights="", weights_sha256="")


def test_the_weights_of_the_image_are_used_when_no_others_are_given(tmp_path, monkeypatch):
    baked = tmp_path / "baked.pth"
    baked.write_bytes(b"weights of the double")
    monkeypatch.setenv("DROID_SLAM_WEIGHTS", str(baked))
    run(tmp_path, wall_frames(), weights="", weights_sha256="")
    assert journal(tmp_path)["arguments"]["weights"] == str(baked)


def test_upstream_that_cannot_be_imported_is_told_with_the_container_that_has_it(tmp_path, monkeypatch):
    use_the_double(monkeypatch, "import")
    with pytest.raises(BackendReportedError, match=r"libcudart.*harness backends build droid-slam"):
        run(tmp_path, [])
    assert "harness backends build droid-slam" in DroidSlamAdapter().missing()


def test_nothing_is_missing_where_upstream_can_be_imported():
    assert DroidSlamAdapter().missing() is None


def test_a_camera_whose_images_would_be_too_narrow_is_refused(tmp_path):
    narrow = replace(CAMERA, width=600, height=100)
    with (
        pytest.raises(BackendReportedError, match="at least 128 pixels a side: set image_pixels higher"),
        conversation(tmp_path, camera=narrow),
    ):
        pass


def test_the_commit_of_upstream_is_the_version(monkeypatch):
    assert DroidSlamAdapter().capabilities().version == f"DROID-SLAM {PINNED_COMMIT[:12]}"
    monkeypatch.setenv("DROID_SLAM_COMMIT", "feedfeedfeedfeed")
    assert DroidSlamAdapter().capabilities().version == "DROID-SLAM feedfeedfeed"
