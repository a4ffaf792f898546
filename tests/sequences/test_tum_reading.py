"""The TUM reader on recordings that are as they should be."""

import pickle
from itertools import pairwise

import cv2
import numpy as np
import pytest
from tum_files import (
    CALIBRATION,
    HEIGHT,
    STILL_POSE,
    WIDTH,
    colour_image,
    write_imu,
    write_labels,
    write_tum_sequence,
)

from sequences.consistency import colour_reprojection_error, depth_reprojection_error
from sequences.errors import SequenceError
from sequences.reader import ReaderContext
from sequences.tum import TumSequence

COEFFICIENTS = (0.9, -0.1, 0.01, 0.005, 0.0)
DISTORTED = CALIBRATION + f"# d0..d4 = {' '.join(map(str, COEFFICIENTS))}\n"
STAMPS = ["1.000000", "1.100000", "1.200000", "1.300000"]


def test_frames_carry_colour_depth_in_metres_and_exact_time_stamps(tmp_path):
    sequence = TumSequence("small", write_tum_sequence(tmp_path / "small"))
    assert len(sequence) == 4
    assert sequence.info.timestamps_ns.tolist() == [
        1_000_000_000,
        1_100_000_000,
        1_200_000_000,
        1_300_000_000,
    ]
    for index, frame in enumerate(sequence):
        assert (frame.index, frame.timestamp_ns) == (index, sequence.info.timestamps_ns[index])
        np.testing.assert_array_equal(frame.rgb, colour_image(index))
        assert frame.depth.dtype == np.float32
        assert (frame.depth[0] == 0).all()
        np.testing.assert_allclose(frame.depth[1:], 2 + 0.01 * index, rtol=1e-6)
        assert frame.labels is None
    assert sequence.info.notes == ()
    assert sequence.info.source["reader"] == "tum"


def test_a_frame_that_is_not_there_is_an_index_error(tmp_path):
    sequence = TumSequence("small", write_tum_sequence(tmp_path / "small"))
    for index in (-1, 4):
        with pytest.raises(IndexError, match="frames 0 to 3"):
            sequence.frame(index)


def test_colour_images_without_near_depth_are_left_out_and_counted(tmp_path):
    directory = write_tum_sequence(
        tmp_path / "small", depth_stamps=["1.019000", "1.121000", "1.190000", "1.210000", "1.305000"]
    )
    sequence = TumSequence("small", directory)
    assert sequence.info.timestamps_ns.tolist() == [1_000_000_000, 1_200_000_000, 1_300_000_000]
    np.testing.assert_allclose([frame.depth[5, 5] for frame in sequence], [2.0, 2.02, 2.04], rtol=1e-6)
    assert sequence.info.notes == (
        "1 of 4 colour images left out: no depth image within 20 ms.",
        "2 of 5 depth images left out: no colour image within 20 ms.",
    )
    assert [(part.what, part.count) for part in sequence.info.left_out[:2]] == [
        ("colour images", 1),
        ("depth images", 2),
    ]


def test_the_tolerance_is_half_a_frame_period_where_that_is_less(tmp_path):
    stamps = ["1.00", "1.01", "1.02"]
    directory = write_tum_sequence(
        tmp_path / "fast", rgb_stamps=stamps, depth_stamps=["0.994", "1.0149", "1.020"]
    )
    sequence = TumSequence("fast", directory)
    assert sequence.info.timestamps_ns.tolist() == [1_010_000_000, 1_020_000_000]
    assert "within 5 ms" in sequence.info.notes[0]


def test_a_recording_without_depth_needs_no_depth_scale(tmp_path):
    calibration = CALIBRATION.replace(" depth_scale", "").replace(" 5000", "")
    directory = write_tum_sequence(tmp_path / "mono", depth_stamps=None, calibration=calibration)
    sequence = TumSequence("mono", directory)
    assert not sequence.info.has_depth
    assert sequence.frame(0).depth is None


def test_a_recording_without_ground_truth_says_so(tmp_path):
    sequence = TumSequence("small", write_tum_sequence(tmp_path / "small", poses=None))
    assert sequence.ground_truth() is None
    assert "cannot be scored" in sequence.info.notes[0]
    with pytest.raises(SequenceError, match="no ground truth"):
        depth_reprojection_error(sequence, 0, 1)


def test_dropped_ground_truth_rows_are_counted_in_the_notes(tmp_path):
    poses = [f"1.0 {STILL_POSE}", "1.1 nan nan nan nan nan nan nan", f"1.2 {STILL_POSE}", f"1.2 {STILL_POSE}"]
    sequence = TumSequence("small", write_tum_sequence(tmp_path / "small", poses=poses))
    assert len(sequence.ground_truth()) == 2
    assert sequence.ground_truth().rows_dropped == 1
    assert [note.split(" left out")[0] for note in sequence.info.notes] == ["1 of 4 ground-truth rows"] * 2


def test_lens_distortion_is_removed_so_that_straight_lines_are_straight(tmp_path):
    """A pinhole image of a grid, distorted by OpenCV's own forward model, comes back as it was."""
    directory = write_tum_sequence(tmp_path / "lens", calibration=DISTORTED)
    matrix = np.array([[30, 0, 15.5], [0, 30, 11.5], [0, 0, 1.0]])
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float64), np.arange(HEIGHT, dtype=np.float64))
    seen = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    ideal = cv2.undistortPoints(seen, matrix, np.array(COEFFICIENTS), P=matrix)
    ideal = ideal.reshape(HEIGHT, WIDTH, 2)
    recorded = np.clip(ideal[..., 0] * 6 + 20, 0, 255).round().astype(np.uint8)
    cv2.imwrite(str(directory / "rgb" / "1.000000.png"), np.dstack([recorded] * 3))
    distances = (5000 * (1 + ideal[..., 0] / 100)).round().astype(np.uint16)
    cv2.imwrite(str(directory / "depth" / "1.005000.png"), distances)

    sequence = TumSequence("lens", directory)
    frame = sequence.frame(0)
    inside = (slice(5, -5), slice(5, -5))
    np.testing.assert_allclose(frame.rgb[..., 0][inside], (columns * 6 + 20)[inside], atol=1.5)
    np.testing.assert_allclose(frame.depth[inside], (1 + columns / 100)[inside], atol=0.006)
    bent = np.abs(recorded[inside].astype(float) - (columns * 6 + 20)[inside])
    assert bent.max() > 6, "the test would not notice if nothing were corrected"
    assert "Lens distortion was removed" in sequence.info.notes[0]
    assert sequence.info.intrinsics.fx == 30


def test_labels_are_unknown_where_the_lens_saw_nothing(tmp_path):
    strong = CALIBRATION + "# d0..d4 = 0.9 0 0 0 0\n"
    directory = write_tum_sequence(tmp_path / "lens", calibration=strong)
    write_labels(directory, STAMPS)
    frame = TumSequence("lens", directory).frame(0)
    assert (frame.labels[0, 0], frame.depth[0, 0]) == (255, 0)
    assert frame.labels[12, 16] == 1


def test_labels_come_with_the_name_of_their_space(tmp_path):
    directory = write_tum_sequence(tmp_path / "labelled")
    write_labels(directory, STAMPS)
    sequence = TumSequence("labelled", directory)
    assert sequence.info.label_space == "nyu40"
    assert [int(frame.labels[3, 3]) for frame in sequence] == [1, 2, 3, 4]


def test_imu_samples_between_two_frames_are_handed_over_once(tmp_path):
    directory = write_tum_sequence(tmp_path / "imu")
    times = list(range(990_000_000, 1_310_000_000, 10_000_000))
    write_imu(directory, times)
    sequence = TumSequence("imu", directory)
    assert sequence.info.imu.rate_hz == 100
    assert sequence.info.imu.imu_to_camera.shape == (4, 4)
    stamps = sequence.info.timestamps_ns.tolist()
    samples = [sequence.imu_between(before, at) for before, at in pairwise(stamps)]
    received = np.concatenate([run.timestamps_ns for run in samples])
    assert received.tolist() == [t for t in times if 1_000_000_000 < t <= 1_300_000_000]
    np.testing.assert_allclose(samples[0].gyroscope[0], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(samples[0].accelerometer[0], [2, 0, 9.81])


def test_a_recording_without_imu_says_so(tmp_path):
    sequence = TumSequence("plain", write_tum_sequence(tmp_path / "plain"))
    assert sequence.info.imu is None
    assert sequence.imu_between(0, 10**10) is None


def test_a_relative_folder_lies_below_the_data_directory(tmp_path):
    write_tum_sequence(tmp_path / "data" / "small")
    context = ReaderContext(tmp_path / "data", tmp_path / "cache")
    assert len(TumSequence.open("small", {"directory": "small"}, context)) == 4
    for parameters in ({}, {"directory": 3}, {"directory": "small", "frames": 2}):
        with pytest.raises(SequenceError, match="takes the parameters directory, find, published_frames"):
            TumSequence.open("small", parameters, context)
    with pytest.raises(SequenceError, match="there is no folder"):
        TumSequence.open("small", {"directory": "elsewhere"}, context)


def test_an_open_sequence_can_be_sent_to_another_process(tmp_path):
    sequence = TumSequence("small", write_tum_sequence(tmp_path / "small", calibration=DISTORTED))
    sequence.frame(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sequence)).frame(1).rgb, sequence.frame(1).rgb)


def test_a_camera_that_moves_forward_sees_what_it_moved_towards(tmp_path):
    """Depth shrinks by one centimetre a frame; so does the distance that poses along z leave."""
    poses = [f"{1 + step / 10:.6f} 0 0 {-step / 100} 0 0 0 1" for step in range(4)]
    sequence = TumSequence("walk", write_tum_sequence(tmp_path / "walk", poses=poses))
    error = depth_reprojection_error(sequence, 0, 3)
    assert error.moved < 1e-4
    assert error.unmoved == pytest.approx(0.03 / 2.03, rel=1e-3)
    assert error.pixels > 600


def test_frames_of_the_real_recording_agree_with_its_ground_truth(recorded_data):
    sequence = TumSequence("fr1_xyz", recorded_data / "tum" / "freiburg1_xyz_10hz")
    assert len(sequence) == 266
    assert len(sequence.ground_truth()) == 3000
    for first, second in ((0, 5), (10, 20), (50, 60)):
        depth = depth_reprojection_error(sequence, first, second)
        assert depth.moved < 0.03
        assert depth.moved < 0.2 * depth.unmoved
        colour = colour_reprojection_error(sequence, first, second)
        assert colour.moved < 0.65 * colour.unmoved
