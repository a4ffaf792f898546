"""Is a recording right? What verification counts, and which mistakes of a reader it recognises."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from speckled_room import CAMERA, speckled_view

from sequences.errors import DataFileError
from sequences.ground_truth_checks import Verdict
from sequences.model import Frame, GroundTruth, LeftOut, Sequence, SequenceInfo
from sequences.verification import verify

FRAMES = 60
PERIOD_NS = 50_000_000
#: Takes axes x forward, y right, z down to x right, y down, z forward.
FORWARD_RIGHT_DOWN = np.array([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def winding_path(frames=FRAMES, motion=1.0):
    """There and back in all directions, never twice alike, so that every mistake about poses must show."""
    along = np.linspace(0, 2 * np.pi, frames)
    sine, cosine = np.sin(along), np.cos(along)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    turns = motion * np.column_stack([0.25 * np.sin(2 * along), 0.5 * sine, 0.2 * np.sin(3 * along)])
    poses[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    ways = motion * np.column_stack([0.4 * sine, 0.2 * np.cos(2 * along), 0.4 * cosine])
    poses[:, :3, 3] = ways + np.array([-0.3, 0.1, -0.6])
    return poses


@cache
def seen(frames, motion):
    return [speckled_view(pose) for pose in winding_path(frames, motion)]


class RoomSequence(Sequence):
    """Right as it stands; tests make it wrong in one respect."""

    def __init__(self, frames=FRAMES, motion=1.0, has_depth=True):
        self.poses = winding_path(frames, motion)
        self.spoil_depth = lambda depth: depth
        self.depth_noise = self.image_noise = 0.0
        self.broken = ()
        self.has_truth = True
        self._info = SequenceInfo(
            "room",
            CAMERA,
            10**9 + PERIOD_NS * np.arange(frames),
            has_depth=has_depth,
            left_out=(LeftOut("colour images", "no depth image", 2, frames + 2),),
        )
        self.camera = CAMERA
        self.frames_late = 0
        self._images = seen(frames, motion)

    @property
    def info(self):
        return replace(self._info, intrinsics=self.camera)

    def frame(self, index):
        if index in self.broken:
            raise DataFileError("rgb/x.png", f"frame {index}: the colour image is truncated")
        grey, depth = self._images[index]
        random = np.random.default_rng(index)
        grey = np.clip(grey + random.normal(0, self.image_noise, grey.shape), 0, 255).astype(np.uint8)
        depth = self.spoil_depth(depth * random.normal(1, self.depth_noise, depth.shape)).astype(np.float32)
        return Frame(
            index,
            int(self.info.timestamps_ns[index]),
            np.repeat(grey[..., None], 3, axis=2),
            depth if self.info.has_depth else None,
        )

    def ground_truth(self):
        if not self.has_truth:
            return None
        quaternions = Rotation.from_matrix(self.poses[:, :3, :3]).as_quat()
        stamps = self.info.timestamps_ns + self.frames_late * PERIOD_NS
        return GroundTruth(stamps, self.poses[:, :3, 3], quaternions)


def comparison(found, what):
    return next(each for each in found.comparisons if each.what == what)


def test_a_right_recording_is_clean_and_its_counts_are_told():
    found = verify(RoomSequence())
    assert found.clean, found.problems
    assert (found.frames, found.frames_read, found.unreadable, found.frames_without_pose) == (60, 60, (), 0)
    assert found.left_out[0].count == 2
    assert [each.what for each in found.comparisons] == ["depth", "brightness", "features"]
    assert {each.verdict for each in found.comparisons} == {Verdict.AGREES}
    assert comparison(found, "depth").error < 0.1 * comparison(found, "depth").reference


def test_a_right_recording_without_depth_is_clean_by_its_features():
    (features,) = verify(RoomSequence(has_depth=False)).comparisons
    assert (features.what, features.verdict) == ("features", Verdict.AGREES)
    assert features.error < 0.2


def rotated(degrees, axis):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array(axis, dtype=float)).as_matrix()
    return turn


def transposed(poses):
    return np.concatenate(
        [np.concatenate([poses[:, :3, :3].transpose(0, 2, 1), poses[:, :3, 3:]], axis=2), poses[:, 3:]],
        axis=1,
    )


#: Poses as another convention has them, and how verification names that.
OTHER_POSES = {
    "inverted": (np.linalg.inv, "the poses inverted"),
    "OpenGL": (lambda poses: poses @ np.diag([1.0, -1, -1, 1]), "OpenGL"),
    "forward, right, down": (lambda poses: poses @ FORWARD_RIGHT_DOWN, "x forward, y right, z down"),
    "mirrored": (lambda poses: np.diag([1.0, -1, 1, 1]) @ poses @ np.diag([1.0, -1, 1, 1]), "mirrored"),
    "transposed": (transposed, "rotations transposed"),
}


@pytest.mark.parametrize("has_depth", [True, False])
@pytest.mark.parametrize("name", OTHER_POSES)
def test_poses_of_another_convention_are_recognised(name, has_depth):
    spoil, named = OTHER_POSES[name]
    sequence = RoomSequence(has_depth=has_depth)
    sequence.poses = spoil(sequence.poses)
    found = verify(sequence)
    assert comparison(found, "features").verdict is Verdict.CONTRADICTS
    assert any(named in problem for problem in found.problems), found.problems


@pytest.mark.parametrize("has_depth", [True, False])
@pytest.mark.parametrize(
    ("late", "named"), [(1, "1 frames earlier"), (3, "3 frames earlier"), (-2, "2 frames later")]
)
def test_poses_of_another_clock_are_recognised(late, named, has_depth):
    sequence = RoomSequence(has_depth=has_depth)
    sequence.frames_late = late
    assert any(f"poses {named} in time" in problem for problem in verify(sequence).problems)


@pytest.mark.parametrize("has_depth", [True, False])
@pytest.mark.parametrize(
    ("camera", "named"),
    [
        (replace(CAMERA, fx=CAMERA.fx * 1.1, fy=CAMERA.fy * 1.1), "focal lengths 0.9 times"),
        (replace(CAMERA, cx=CAMERA.cy, cy=CAMERA.cx), "cx and cy exchanged"),
    ],
)
def test_another_camera_is_recognised(camera, named, has_depth):
    sequence = RoomSequence(has_depth=has_depth)
    sequence.camera = camera
    assert any(named in problem for problem in verify(sequence).problems)


@pytest.mark.parametrize(
    ("factor", "named"),
    [
        (5.0, "0.2 times"),
        (0.2, "5 times"),
        (1.3107, "0.762951 times"),
        (1.1, "0.9 times"),
        (0.9, "1.1 times"),
    ],
)
def test_a_wrong_depth_scale_is_recognised(factor, named):
    sequence = RoomSequence()
    sequence.spoil_depth = lambda depth: depth * factor
    found = verify(sequence)
    assert any(f"depth {named}" in problem for problem in found.problems)


def test_distances_in_the_place_of_depth_are_recognised():
    sequence = RoomSequence()
    rows, columns = np.indices((CAMERA.height, CAMERA.width))
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(rows.shape)])
    sequence.spoil_depth = lambda depth: depth * np.linalg.norm(rays, axis=0)
    assert any("distances from the camera" in problem for problem in verify(sequence).problems)


@pytest.mark.parametrize("has_depth", [True, False])
def test_a_wrong_place_that_nobody_thought_of_is_contradicted_without_an_explanation(has_depth):
    sequence = RoomSequence(has_depth=has_depth)
    sequence.poses = sequence.poses @ rotated(90, [0, 0, 1])
    (*_, features) = verify(sequence).comparisons
    assert (features.verdict, features.better) == (Verdict.CONTRADICTS, None)


def test_poses_of_other_frames_are_contradicted():
    sequence = RoomSequence()
    sequence.poses = np.random.default_rng(1).permutation(sequence.poses, axis=0)
    assert any("the ground truth is contradicted by" in problem for problem in verify(sequence).problems)


def test_a_camera_that_stands_still_tells_nothing_and_that_is_said_whatever_the_noise():
    for noise in (0.0, 0.02):
        sequence = RoomSequence(motion=1e-4)
        sequence.depth_noise, sequence.image_noise = noise, 200 * noise
        found = verify(sequence)
        assert {each.verdict for each in found.comparisons} == {Verdict.UNCLEAR}
        (problem,) = found.problems
        assert "nothing tells" in problem


def test_noise_of_a_camera_and_a_depth_sensor_does_not_make_poses_wrong():
    sequence = RoomSequence()
    sequence.depth_noise, sequence.image_noise = 0.02, 10
    assert verify(sequence).clean


def test_images_without_texture_leave_depth_to_tell():
    sequence = RoomSequence()
    sequence.frame = lambda index: replace(
        RoomSequence.frame(sequence, index), rgb=np.full((CAMERA.height, CAMERA.width, 3), 150, np.uint8)
    )
    found = verify(sequence)
    assert found.clean
    assert "features" not in [each.what for each in found.comparisons]


def test_a_recording_of_which_much_is_lost_is_not_clean():
    sequence = RoomSequence()
    lost = LeftOut("colour images", "no depth image", 48, 60)
    by_design = LeftOut("IMU records", "no calibration", 500, 500, by_design=True)
    sequence._info = replace(sequence._info, left_out=(lost, by_design))
    (problem,) = verify(sequence).problems
    assert problem == "much is lost: 48 of 60 colour images left out: no depth image."


def test_depth_in_which_nothing_is_known_is_not_clean():
    sequence = RoomSequence()
    sequence.spoil_depth = np.zeros_like
    found = verify(sequence)
    assert found.frames_without_depth == 60
    assert found.problems == (
        "60 frames have depth images in which nothing is known",
        "ground truth was compared with nothing: no two frames with poses show enough in common",
    )


def test_ground_truth_that_no_frame_has_a_pose_of_is_not_clean():
    sequence = RoomSequence()
    sequence.frames_late = 1000
    found = verify(sequence)
    assert found.frames_without_pose == 60
    assert found.problems == (
        "ground truth was compared with nothing: no frame has a pose within half a frame period",
    )


def test_every_frame_that_cannot_be_read_is_counted_and_nothing_is_compared():
    sequence = RoomSequence()
    sequence.broken = (3, 8)
    found = verify(sequence)
    assert [message.split(": ")[1] for message in found.unreadable] == ["frame 3", "frame 8"]
    assert found.problems == ("2 frames cannot be read",)
    assert found.not_compared == "frames cannot be read"


def test_a_sample_reads_that_many_frames_from_first_to_last():
    sequence = RoomSequence()
    sequence.broken = (0, 7, 59)
    found = verify(sequence, largest_sample=2)
    assert found.frames_read == 2
    assert len(found.unreadable) == 2


def test_without_ground_truth_files_are_checked_and_geometry_is_said_not_to_be():
    sequence = RoomSequence()
    sequence.has_truth = False
    found = verify(sequence)
    assert found.clean
    assert found.not_compared == "there is none"
    assert found.frames_without_pose is None


def test_a_single_frame_compares_nothing():
    found = verify(RoomSequence(frames=1))
    assert found.comparisons == ()
    assert found.not_compared == "no two frames with poses show enough in common"
    assert not found.clean


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
