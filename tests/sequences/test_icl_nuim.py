"""The ICL-NUIM reader: positive fy, upright images and poses that agree with them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tum_files import CALIBRATION, colour_image, write_tum_sequence

from sequences.consistency import colour_reprojection_error, depth_reprojection_error
from sequences.errors import DataFileError
from sequences.icl_nuim import IclNuimSequence, mirror_y
from sequences.tum import TumSequence

ICL_CALIBRATION = CALIBRATION.replace("30 30", "30 -30")
POSES = ["1.0 1 2 3 0.1 0.2 0.3 0.9", "1.1 4 5 6 -0.4 0.3 0.2 0.7"]


@pytest.fixture
def recording(tmp_path):
    return write_tum_sequence(tmp_path / "icl", calibration=ICL_CALIBRATION, poses=POSES)


def test_frames_leave_with_positive_fy_and_images_unchanged(recording):
    sequence = IclNuimSequence("icl", recording)
    assert sequence.info.intrinsics.fy == 30
    np.testing.assert_array_equal(sequence.frame(1).rgb, colour_image(1))
    assert any("mirrored" in note for note in sequence.info.notes)
    assert sequence.info.source["reader"] == "icl_nuim"


def test_poses_are_mirrored_on_both_sides(recording):
    truth = IclNuimSequence("icl", recording).ground_truth()
    published = np.array([line.split()[1:] for line in POSES], dtype=float)
    mirror = np.diag([1.0, -1.0, 1.0])
    expected = mirror @ Rotation.from_quat(published[:, 3:]).as_matrix() @ mirror
    np.testing.assert_allclose(Rotation.from_quat(truth.quaternions).as_matrix(), expected, atol=1e-12)
    np.testing.assert_allclose(truth.positions, published[:, :3] @ mirror)


def test_every_pixel_looks_at_the_same_point_as_in_the_published_convention(recording):
    """The published camera (negative fy) and ours see one scene, ours mirrored at the xz plane."""
    sequence = IclNuimSequence("icl", recording)
    truth, intrinsics = sequence.ground_truth(), sequence.info.intrinsics
    published = np.array(POSES[0].split()[1:], dtype=float)
    pixel = np.array([7.0, 20.0, 1.0]) * 2.5
    published_matrix = intrinsics.matrix() * np.array([[1.0], [-1.0], [1.0]])
    published_matrix[1, 2] = intrinsics.cy
    theirs = Rotation.from_quat(published[3:]).apply(np.linalg.solve(published_matrix, pixel)) + published[:3]
    ours = Rotation.from_quat(truth.quaternions[0]).apply(np.linalg.solve(intrinsics.matrix(), pixel))
    np.testing.assert_allclose(ours + truth.positions[0], theirs * [1, -1, 1])


def test_positive_fy_points_to_the_reader_for_it(tmp_path):
    with pytest.raises(DataFileError, match="use the reader tum"):
        IclNuimSequence("icl", write_tum_sequence(tmp_path / "tum"))


def test_each_reader_recognises_its_own_recordings_alone(tmp_path, recording):
    ordinary = write_tum_sequence(tmp_path / "tum")
    assert [reader.recognises(recording) for reader in (TumSequence, IclNuimSequence)] == [False, True]
    assert [reader.recognises(ordinary) for reader in (TumSequence, IclNuimSequence)] == [True, False]
    assert not TumSequence.recognises(tmp_path)


class _PosesAsPublished(IclNuimSequence):
    """Fails to mirror the poses: the wrong handedness."""

    def ground_truth(self):
        return mirror_y(super().ground_truth())


def test_poses_and_images_of_the_real_recording_agree(recorded_data):
    """Depth has a sensor's noise of about half a per cent here, so brightness separates more sharply."""
    directory = recorded_data / "icl_nuim" / "of_kt3"
    right, wrong = IclNuimSequence("icl", directory), _PosesAsPublished("icl", directory)
    pairs = [(0, 19), (0, 10), (5, 19)]
    depth = [depth_reprojection_error(right, *pair) for pair in pairs]
    wrong_depth = [depth_reprojection_error(wrong, *pair) for pair in pairs]
    for pair, error, wrong_error in zip(pairs, depth, wrong_depth, strict=True):
        assert error.moved < wrong_error.moved, pair
        assert error.moved < error.unmoved, pair
    for pair in pairs:
        colour, wrong_colour = (colour_reprojection_error(sequence, *pair) for sequence in (right, wrong))
        assert colour.moved < 0.45 * colour.unmoved, pair
        assert colour.moved < 0.45 * wrong_colour.moved, pair
