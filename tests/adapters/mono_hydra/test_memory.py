"""What is kept of a camera that stays where it has been."""

from functools import cache

import numpy as np
import pytest
from textured_room import INTRINSICS, pose, seen_from, view

pytest.importorskip("gtsam", reason="gtsam is not installed")
pytest.importorskip("spark_dsg", reason="spark-dsg is not installed")
pytest.importorskip("open3d", reason="open3d is not installed")

from adapters.mono_hydra.back_end import BackEnd
from adapters.mono_hydra.back_end_messages import BackEndSetup, Finish, NewKeyframe
from adapters.mono_hydra.loops.detector import LoopDetector
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.model import Link
from adapters.mono_hydra.options import MonoHydraOptions

# Along a wall and back; the steps are small against what makes views alike.
THERE = [pose(x=0.05 * step) for step in range(9)]
ROUND = THERE + THERE[::-1]
# The rest of the room: the same steps, with the camera turning to walls it has not seen.
NEW_SPACE = [pose(x=0.05 * step, turn_deg=18.0 * step) for step in range(1, 10)]
# Memory for voxels doubles when it is full: that few blocks are full soon.
OPTIONS = MonoHydraOptions(map_block_count=16)
OF_THE_MAP = ("map_keyframes", "map_keyframe_bytes", "map_bytes")


@cache
def image(number):
    return view((ROUND + NEW_SPACE)[number])


@pytest.fixture(scope="module")
def kept_after(tmp_path_factory):
    """Figures of the back end after some views, by their number in ROUND + NEW_SPACE."""

    @cache
    def figures(*numbers):
        directory = tmp_path_factory.mktemp("map")
        back_end = BackEnd(BackEndSetup(OPTIONS, INTRINSICS, None, 0, directory))
        poses = [(ROUND + NEW_SPACE)[number] for number in numbers]
        for keyframe, number in enumerate(numbers):
            where = {keyframe: poses[keyframe]}
            link = Link.TRACKED if keyframe else Link.NONE
            message = NewKeyframe(keyframe, image(number), where, link, None, True, 0.004)
            back_end.take_keyframe(message)
        return back_end.finish(
            Finish(np.stack(poses), np.ones(len(poses)), ((0, np.array([0.0, -1, 0])),))
        ).statistics

    return figures


ONE_ROUND = tuple(range(len(ROUND)))
ON_TO_NEW_SPACE = ONE_ROUND + tuple(range(len(ROUND), len(ROUND + NEW_SPACE)))


@pytest.mark.parametrize("figure", OF_THE_MAP)
def test_the_map_stays_as_large_as_after_the_first_round(kept_after, figure):
    assert kept_after(*ONE_ROUND * 3)[figure] == kept_after(*ONE_ROUND)[figure] > 0


@pytest.mark.parametrize("figure", OF_THE_MAP)
def test_the_map_grows_with_new_space(kept_after, figure):
    assert kept_after(*ON_TO_NEW_SPACE)[figure] > 1.2 * kept_after(*ONE_ROUND)[figure]


def keyframes_for_loops(poses):
    detector = LoopDetector(LoopOptions(), INTRINSICS, seed=0)
    for keyframe, camera_to_world in enumerate(poses):
        detector.add(seen_from(camera_to_world, keyframe), camera_to_world)
    return len(detector)


def test_loop_closing_keeps_no_more_than_after_the_first_round():
    assert keyframes_for_loops(ROUND * 3) == keyframes_for_loops(ROUND)


def test_loop_closing_keeps_more_of_new_space():
    assert keyframes_for_loops(ROUND + NEW_SPACE) > keyframes_for_loops(ROUND)
