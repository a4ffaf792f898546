"""What is in a ScanNet scene comes out of it: the same of both forms, on the pixels of the depth camera."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scannet_files import (
    COLOUR_CAMERA,
    DEPTH_CAMERA,
    NO_POSE,
    SCENE,
    camera_matrix,
    colour_to_rig,
    recorded_frames,
    write_exported_scene,
    write_sens_scene,
)
from scipy.spatial.transform import Rotation
from seen_room import view

from sequences.consistency import depth_reprojection_error
from sequences.errors import SequenceError
from sequences.model import LeftOut
from sequences.reader import ReaderContext
from sequences.scannet import ScanNetSequence

COUNT = 6


def opened(folder, **parameters):
    return ScanNetSequence.open(
        "scene", {"directory": str(folder), **parameters}, ReaderContext(folder.parent, folder / "cache")
    )


def left_out(sequence, what):
    """Counts of what was left out, by reason."""
    return {part.reason: part.count for part in sequence.info.left_out if part.what == what}


def has_note(sequence, *parts):
    return any(all(part in note for part in parts) for note in sequence.info.notes)


def with_stamps(depth_us, colour_us=None):
    colour_us = depth_us if colour_us is None else colour_us
    return tuple(
        replace(frame, depth_us=depth, colour_us=colour)
        for frame, depth, colour in zip(recorded_frames(len(depth_us)), depth_us, colour_us, strict=True)
    )


@pytest.fixture
def sens(tmp_path):
    return opened(write_sens_scene(tmp_path / "sens"))


@pytest.fixture
def exported(tmp_path):
    return opened(write_exported_scene(tmp_path / "exported"))


def test_both_forms_give_the_same_frames_bit_for_bit(sens, exported):
    assert len(sens) == len(exported) == COUNT
    for one, other in zip(sens, exported, strict=True):
        assert one.timestamp_ns == other.timestamp_ns
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.depth, other.depth)


def test_both_forms_give_the_same_poses_and_intrinsics_bit_for_bit(sens, exported):
    assert sens.info.intrinsics == exported.info.intrinsics
    one, other = sens.ground_truth(), exported.ground_truth()
    np.testing.assert_array_equal(one.timestamps_ns, other.timestamps_ns)
    np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(one.quaternions, other.quaternions)


def test_frames_are_those_of_the_depth_camera(sens):
    assert sens.info.intrinsics == DEPTH_CAMERA
    frame = sens.frame(0)
    assert frame.rgb.shape == (120, 160, 3)
    assert (frame.depth.dtype, frame.rgb.dtype) == (np.float32, np.uint8)


def test_depth_is_what_was_recorded_in_metres(sens):
    recorded = recorded_frames()[3].depth
    np.testing.assert_array_equal(sens.frame(3).depth, recorded.astype(np.float32) / np.float32(1000))
    assert (sens.frame(3).depth[:3] == 0).all()


def test_poses_are_camera_to_world_as_recorded(sens):
    truth = sens.ground_truth()
    for row, frame in enumerate(recorded_frames()):
        np.testing.assert_array_equal(truth.positions[row], frame.pose[:3, 3].astype(np.float64))
        expected = Rotation.from_quat(truth.quaternions[row]).as_matrix()
        np.testing.assert_allclose(expected, frame.pose[:3, :3], atol=1e-6)


@pytest.mark.parametrize(("first", "second"), [(0, 5), (1, 4), (5, 2)])
def test_depth_moved_by_the_poses_agrees(sens, first, second):
    error = depth_reprojection_error(sens, first, second)
    assert error.moved < 0.1 * error.unmoved


@pytest.mark.parametrize(
    "mistake", [np.linalg.inv, lambda pose: pose @ np.diag([1, -1, -1, 1]), lambda pose: pose.T]
)
def test_depth_moved_by_poses_in_another_convention_does_not_agree(tmp_path, mistake):
    frames = [replace(frame, pose=mistake(frame.pose)) for frame in recorded_frames()]
    frames = [replace(frame, pose=np.vstack([frame.pose[:3], [0, 0, 0, 1]])) for frame in frames]
    error = depth_reprojection_error(opened(write_sens_scene(tmp_path, frames=frames)), 0, 5)
    assert error.moved > 0.5 * error.unmoved


def difference_to_depth_camera(sequence, index):
    """Grey levels between colour and what the depth camera would see in colour, where there is any."""
    seen, _, _ = view(recorded_frames()[index].pose.astype(np.float64), DEPTH_CAMERA)
    rgb = sequence.frame(index).rgb.astype(np.int64)
    inside = cv2.erode((rgb.sum(axis=2) > 0).astype(np.uint8), np.ones((5, 5))) > 0
    assert inside.mean() > 0.8
    return float(np.median(np.abs(rgb - seen)[inside]))


def test_colour_is_brought_to_the_depth_camera(sens):
    assert difference_to_depth_camera(sens, 2) <= 2
    assert has_note(sens, "resized from 324×242 to the depth images' 160×120")
    assert has_note(sens, "warped by up to 2.4 pixels")


def test_a_colour_camera_that_looks_elsewhere_is_turned_back(tmp_path):
    frames = recorded_frames(turned=True)
    turned = opened(write_sens_scene(tmp_path / "1", frames=frames, colour_extrinsic=colour_to_rig()))
    assert difference_to_depth_camera(turned, 2) <= 2
    assert has_note(turned, "turn the colour camera by 4°")
    unturned = opened(write_sens_scene(tmp_path / "2", frames=frames))
    assert difference_to_depth_camera(unturned, 2) > 10


def test_the_place_of_the_depth_camera_in_the_rig_counts_as_well(tmp_path):
    frames = recorded_frames(turned=True)
    both = {
        "colour_extrinsic": colour_to_rig(10) @ colour_to_rig(),
        "depth_extrinsic": colour_to_rig(10),
    }
    assert difference_to_depth_camera(opened(write_sens_scene(tmp_path, frames=frames, **both)), 2) <= 2


def test_colour_that_fits_already_is_only_resized(tmp_path):
    fitting = camera_matrix(DEPTH_CAMERA)
    across, down = COLOUR_CAMERA.width / DEPTH_CAMERA.width, COLOUR_CAMERA.height / DEPTH_CAMERA.height
    fitting[0] *= across
    fitting[1] *= down
    # The centre of the first pixel is 0: half a pixel lies before it.
    fitting[0, 2] += 0.5 * across - 0.5 + 0.04
    fitting[1, 2] += 0.5 * down - 0.5
    sequence = opened(write_sens_scene(tmp_path, colour_intrinsic=fitting))
    decoded = cv2.imdecode(np.frombuffer(recorded_frames()[0].colour, np.uint8), cv2.IMREAD_COLOR)
    resized = cv2.resize(decoded, (160, 120), interpolation=cv2.INTER_AREA)[..., ::-1]
    np.testing.assert_array_equal(sequence.frame(0).rgb, resized)
    assert not has_note(sequence, "warped")


def test_cameras_apart_are_said_and_cameras_together_are_not(tmp_path, sens):
    apart = np.eye(4)
    apart[0, 3] = 0.038
    sequence = opened(write_sens_scene(tmp_path, colour_extrinsic=apart))
    assert has_note(sequence, "38 mm away from the depth camera")
    assert not has_note(sens, "away from the depth camera")


@pytest.mark.parametrize("lost", [-np.inf, np.nan])
@pytest.mark.parametrize("write", [write_sens_scene, write_exported_scene])
def test_poses_that_are_not_finite_are_dropped_and_their_frames_stay(tmp_path, write, lost):
    frames = list(recorded_frames())
    frames[2] = replace(frames[2], pose=np.full((4, 4), lost, dtype=np.float32))
    sequence = opened(write(tmp_path, frames=frames))
    truth = sequence.ground_truth()
    assert (len(sequence), len(truth), truth.rows_dropped) == (COUNT, COUNT - 1, 1)
    assert sequence.info.timestamps_ns[2] not in truth.timestamps_ns
    assert left_out(sequence, "poses")["NaN or infinite entries"] == 1
    assert sequence.frame(2).depth is not None
    with pytest.raises(SequenceError, match="frame 2 has no ground-truth pose"):
        depth_reprojection_error(sequence, 2, 3)


def test_a_scene_without_any_pose_has_no_ground_truth_and_says_so(tmp_path):
    frames = [replace(frame, pose=NO_POSE) for frame in recorded_frames()]
    sequence = opened(write_sens_scene(tmp_path, frames=frames))
    assert sequence.ground_truth() is None
    assert has_note(sequence, "No frame has a usable pose")


def test_a_missing_pose_file_leaves_its_frame_without_a_pose(tmp_path):
    folder = write_exported_scene(tmp_path)
    (folder / "pose" / "4.txt").unlink()
    sequence = opened(folder)
    assert (len(sequence), len(sequence.ground_truth())) == (COUNT, COUNT - 1)
    assert sequence.ground_truth().rows_dropped == 0
    assert left_out(sequence, "poses") == {"there is no file of that number": 1, "NaN or infinite entries": 0}


def test_sane_time_stamps_are_used_to_the_microsecond(tmp_path):
    stamps = [1_000_000, 1_033_367, 1_066_700, 1_100_001, 1_133_400, 1_566_700]
    sequence = opened(write_sens_scene(tmp_path, frames=with_stamps(stamps)))
    assert sequence.info.timestamps_ns.tolist() == [stamp * 1000 for stamp in stamps]
    assert has_note(sequence, "those of the depth images.")


STEADY = [33_333 * number for number in range(1, COUNT + 1)]


@pytest.mark.parametrize(
    ("stamps", "problem"),
    [
        ([0] * COUNT, "are all 0"),
        ([9, 2**63 + 5, 17, 2**64 - 1, 3, 4], "are further away than any clock goes"),
        ([40, 33_000, 12, 99_000, 70_000, 1], "do not increase after frame 1"),
        ([*STEADY[:3], *STEADY[2:5]], "do not increase after frame 2"),
        ([stamp + 2_000_000 * (stamp > STEADY[2]) for stamp in STEADY], "a gap of 2.03333 s after frame 2"),
        ([stamp * 1000 for stamp in STEADY], "are 33.333 s apart"),
        ([stamp // 1000 for stamp in STEADY], "are 3.3e-05 s apart"),
    ],
)
def test_time_stamps_that_cannot_be_true_give_way_to_counting(tmp_path, stamps, problem):
    sequence = opened(write_sens_scene(tmp_path, frames=with_stamps(stamps)), rate_hz=25)
    assert sequence.info.timestamps_ns.tolist() == [40_000_000 * number for number in range(COUNT)]
    assert has_note(sequence, problem, "counted at 25 Hz")


def test_time_stamps_of_colour_serve_where_those_of_depth_do_not(tmp_path):
    sequence = opened(write_sens_scene(tmp_path, frames=with_stamps([0] * COUNT, STEADY)))
    assert sequence.info.timestamps_ns.tolist() == [stamp * 1000 for stamp in STEADY]
    assert has_note(sequence, "those of the colour images", "those of the depth images are all 0")


def test_exported_images_have_no_time_stamps_and_are_counted(exported):
    assert exported.info.timestamps_ns.tolist() == [round(number / 30 * 1e9) for number in range(COUNT)]
    assert has_note(exported, "no time stamps", "over 30 Hz")


def test_files_are_in_order_of_their_numbers(tmp_path):
    frames = recorded_frames(12)
    sequence = opened(write_exported_scene(tmp_path, frames=frames))
    assert len(sequence) == 12
    np.testing.assert_array_equal(sequence.frame(2).depth, frames[2].depth / np.float32(1000))
    np.testing.assert_array_equal(sequence.ground_truth().positions[10], frames[10].pose[:3, 3])


def test_an_export_of_every_tenth_frame_keeps_its_times(tmp_path):
    sequence = opened(write_exported_scene(tmp_path, names=[f"{10 * n:06d}" for n in range(COUNT)]))
    assert sequence.info.timestamps_ns.tolist() == [round(n / 3 * 1e9) for n in range(COUNT)]
    assert left_out(sequence, "frame numbers") == {"no image has them": 45}


@pytest.mark.parametrize("write", [write_sens_scene, write_exported_scene])
def test_images_without_a_partner_are_left_out_and_counted(tmp_path, write):
    frames = list(recorded_frames())
    frames[1] = replace(frames[1], depth=None)
    frames[3] = replace(frames[3], colour=b"")
    frames[4] = replace(frames[4], colour=b"")
    sequence = opened(write(tmp_path, frames=frames))
    assert len(sequence) == len(sequence.ground_truth()) == 3
    assert sequence.info.timestamps_ns.tolist() == [0, 66_666_667, 166_666_667]
    assert list(left_out(sequence, "colour images").values()) == [1]
    assert list(left_out(sequence, "depth images").values()) == [2]
    np.testing.assert_array_equal(sequence.frame(2).depth, frames[5].depth / np.float32(1000))


@pytest.mark.parametrize("picture", [".png", ".jpeg"])
def test_exported_colour_may_be_of_any_of_three_endings(tmp_path, picture):
    frames = recorded_frames(picture=picture)
    sequence = opened(write_exported_scene(tmp_path, frames=frames, picture=picture))
    assert difference_to_depth_camera(sequence, 1) <= 2


def test_png_and_raw_images_are_read_as_well(tmp_path, sens):
    frames = recorded_frames(picture=".png")
    png = opened(write_sens_scene(tmp_path / "png", frames=frames, colour_compression=1))
    raw_frames = [
        replace(frame, colour=cv2.imdecode(np.frombuffer(frame.colour, np.uint8), 1)[..., ::-1].tobytes())
        for frame in frames
    ]
    raw = opened(
        write_sens_scene(tmp_path / "raw", frames=raw_frames, colour_compression=0, depth_compression=0)
    )
    np.testing.assert_array_equal(png.frame(1).rgb, raw.frame(1).rgb)
    np.testing.assert_array_equal(raw.frame(1).depth, sens.frame(1).depth)


def test_a_sequence_that_was_pickled_reads_the_same(sens):
    before = sens.frame(1)
    after = pickle.loads(pickle.dumps(sens)).frame(1)
    np.testing.assert_array_equal(before.rgb, after.rgb)
    np.testing.assert_array_equal(before.depth, after.depth)


def test_what_is_pickled_holds_no_images_and_no_maps(sens):
    sens.frame(0)
    assert len(pickle.dumps(sens)) < 20_000


def test_frames_read_from_several_threads_are_those_read_one_by_one(sens):
    wanted = [index % COUNT for index in range(60)]
    one_by_one = [sens.frame(index) for index in range(COUNT)]
    fresh = pickle.loads(pickle.dumps(sens))
    with ThreadPoolExecutor(8) as threads:
        for index, frame in zip(wanted, threads.map(fresh.frame, wanted), strict=True):
            np.testing.assert_array_equal(frame.rgb, one_by_one[index].rgb)
            np.testing.assert_array_equal(frame.depth, one_by_one[index].depth)


def test_imu_records_are_counted_and_are_no_part_of_frames(sens):
    assert list(left_out(sens, "IMU records").values()) == [5]
    assert sens.info.imu is None
    assert sens.imu_between(0, 10**9) is None
    assert has_note(sens, "5 of 5 IMU records", "how the IMU sits on the camera", "without gravity")


@pytest.mark.parametrize(
    ("changes", "records", "note"),
    [
        ({"has_imu_part": False}, [], "no IMU part"),
        ({"imu_records_stated": 8}, [5], "5 of 8 records are there"),
        ({"imu_records_stated": 2**63}, [5], f"5 of {2**63} records are there"),
    ],
)
def test_a_file_that_ends_in_or_before_its_imu_part_is_readable(tmp_path, changes, records, note):
    sequence = opened(write_sens_scene(tmp_path, **changes))
    assert sequence.frame(COUNT - 1).depth is not None
    assert has_note(sequence, note)
    assert list(left_out(sequence, "IMU records").values()) == records


def test_a_scene_without_imu_records_says_nothing_of_them(tmp_path):
    sequence = opened(write_sens_scene(tmp_path, imu_records=0))
    assert not has_note(sequence, "IMU")


def test_the_published_number_of_frames_is_compared(tmp_path):
    folder = write_sens_scene(tmp_path)
    assert has_note(opened(folder, published_frames=5578), "6 usable frames here and 5578")
    assert not has_note(opened(folder, published_frames=COUNT), "published")


def test_what_identifies_a_scene_is_in_its_source(tmp_path):
    sequence = opened(write_sens_scene(tmp_path), rate_hz=25)
    assert sequence.info.source["reader"] == "scannet"
    assert sequence.info.source["rate_hz"] == 25
    assert sequence.info.source["calibration"] == f"{SCENE}.sens, sensor 'StructureSensor'"


def test_counts_of_what_was_looked_for_and_not_met_are_there(sens):
    assert LeftOut("colour images", "no depth image", 0, COUNT) in sens.info.left_out
    assert LeftOut("poses", "NaN or infinite entries", 0, COUNT) in sens.info.left_out
