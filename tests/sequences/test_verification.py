"""Is a recording right? What verification counts, and which mistakes of a reader it recognises."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from seen_room import CAMERA, camera_path, view

from sequences.errors import DataFileError
from sequences.model import Frame, GroundTruth, LeftOut, Sequence, SequenceInfo
from sequences.verification import Verdict, verify

FRAMES = 16
PERIOD_NS = 100_000_000
#: Takes axes x forward, y right, z down to x right, y down, z forward.
FORWARD_RIGHT_DOWN = np.array([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


class RoomSequence(Sequence):
    """Right as it stands; tests make it wrong in one respect."""

    def __init__(self, frames=FRAMES, motion=1.0, has_depth=True):
        self.poses = camera_path(frames, motion)
        self.depth_factor = 1.0
        self.depth_noise = 0.0
        self.broken = ()
        self.has_truth = True
        self._info = SequenceInfo(
            "room",
            CAMERA,
            10**9 + PERIOD_NS * np.arange(frames),
            has_depth=has_depth,
            left_out=(LeftOut("colour images", "no depth image", 2, frames + 2),),
        )
        self._images = [view(pose) for pose in self.poses]

    @property
    def info(self):
        return self._info

    def frame(self, index):
        if index in self.broken:
            raise DataFileError("rgb/x.png", f"frame {index}: the colour image is truncated")
        rgb, depth, _ = self._images[index]
        noise = np.random.default_rng(index).normal(1, self.depth_noise, depth.shape)
        depth = (depth * self.depth_factor * noise).astype(np.float32)
        return Frame(index, int(self.info.timestamps_ns[index]), rgb, depth if self.info.has_depth else None)

    def ground_truth(self):
        if not self.has_truth:
            return None
        quaternions = Rotation.from_matrix(self.poses[:, :3, :3]).as_quat()
        return GroundTruth(self.info.timestamps_ns, self.poses[:, :3, 3], quaternions)


def comparison(found, what):
    return next(each for each in found.comparisons if each.what == what)


def test_a_right_recording_is_clean_and_its_counts_are_told():
    found = verify(RoomSequence())
    assert found.clean
    assert (found.frames, found.frames_read, found.unreadable, found.frames_without_pose) == (16, 16, (), 0)
    assert found.left_out[0].count == 2
    depth = comparison(found, "depth")
    assert depth.verdict is Verdict.AGREES
    assert depth.error < 0.1 * depth.reference
    assert comparison(found, "brightness").verdict is Verdict.AGREES


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (np.linalg.inv, "poses inverted"),
        (lambda poses: poses @ np.diag([1.0, -1, -1, 1]), "OpenGL"),
        (
            lambda poses: poses @ FORWARD_RIGHT_DOWN,
            "x forward",
        ),
        (lambda poses: np.diag([1.0, -1, 1, 1]) @ poses @ np.diag([1.0, -1, 1, 1]), "mirrored"),
    ],
)
def test_poses_of_another_convention_are_recognised(spoil, named):
    sequence = RoomSequence()
    sequence.poses = spoil(sequence.poses)
    found = verify(sequence)
    assert comparison(found, "depth").verdict is Verdict.CONTRADICTS
    assert any(named in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("factor", "named"), [(5.0, "0.2 times"), (0.2, "5 times"), (1.3107, "0.762951 times")]
)
def test_a_wrong_depth_scale_is_recognised(factor, named):
    sequence = RoomSequence()
    sequence.depth_factor = factor
    found = verify(sequence)
    assert any(f"depth {named}" in problem for problem in found.problems)


def test_poses_of_other_frames_are_contradicted():
    sequence = RoomSequence()
    sequence.poses = np.random.default_rng(1).permutation(sequence.poses, axis=0)
    assert any("contradicts the ground-truth poses" in problem for problem in verify(sequence).problems)


def test_a_camera_that_stands_still_tells_nothing_and_that_is_said():
    found = verify(RoomSequence(motion=1e-4))
    assert {each.verdict for each in found.comparisons} == {Verdict.UNCLEAR}
    assert any("nothing tells" in problem for problem in found.problems)


def test_noise_of_a_depth_sensor_does_not_make_poses_wrong():
    sequence = RoomSequence()
    sequence.depth_noise = 0.02
    assert verify(sequence).clean


def test_every_frame_that_cannot_be_read_is_counted_and_nothing_is_compared():
    sequence = RoomSequence()
    sequence.broken = (3, 8)
    found = verify(sequence)
    assert [message.split(": ")[1] for message in found.unreadable] == ["frame 3", "frame 8"]
    assert found.problems == ("2 frames cannot be read",)
    assert found.not_compared == "frames cannot be read"


def test_a_sample_reads_that_many_frames_from_first_to_last():
    sequence = RoomSequence()
    sequence.broken = (0, 7, 15)
    found = verify(sequence, largest_sample=2)
    assert found.frames_read == 2
    assert len(found.unreadable) == 2


def test_without_ground_truth_files_are_checked_and_geometry_is_said_not_to_be():
    sequence = RoomSequence()
    sequence.has_truth = False
    found = verify(sequence)
    assert found.clean
    assert found.not_compared == "there is no ground truth"
    assert found.frames_without_pose is None


def test_a_single_frame_compares_nothing():
    found = verify(RoomSequence(frames=1))
    assert found.comparisons == ()
    assert found.not_compared == "no two frames with poses show something in common"


def test_frames_without_a_pose_are_counted():
    sequence = RoomSequence()
    truth = sequence.ground_truth()
    sequence.ground_truth = lambda: replace(
        truth,
        timestamps_ns=truth.timestamps_ns[4:],
        positions=truth.positions[4:],
        quaternions=truth.quaternions[4:],
    )
    assert verify(sequence).frames_without_pose == 4


def test_the_recordings_that_are_here_are_clean(recorded_data):
    from sequences.icl_nuim import IclNuimSequence
    from sequences.tum import TumSequence

    for sequence in (
        TumSequence("fr1_xyz", recorded_data / "tum" / "freiburg1_xyz_10hz"),
        IclNuimSequence("icl", recorded_data / "icl_nuim" / "of_kt3"),
    ):
        found = verify(sequence)
        assert found.clean, found.problems
        assert found.frames_read == len(sequence)
