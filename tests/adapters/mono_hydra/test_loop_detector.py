from dataclasses import replace

import numpy as np
import pytest
from textured_room import INTRINSICS, OPTIONS, pose, seen_from

from adapters.mono_hydra.loops.detector import LoopDetector
from adapters.mono_hydra.loops.features import KeyframeFeatures, extract_features
from adapters.mono_hydra.model import RgbdLabels

#: A camera that turns once around in the room and a little more.
TURN_DEG = 30.0
PATH = [pose(0.2 * np.sin(0.5 * step), 0.0, 0.2, TURN_DEG * step) for step in range(14)]
SHORT_GAP = replace(OPTIONS, loop_least_gap=4)


@pytest.fixture(scope="module")
def keyframes() -> list[KeyframeFeatures]:
    return [seen_from(place, number) for number, place in enumerate(PATH)]


def blank(keyframe: int) -> KeyframeFeatures:
    shape = (INTRINSICS.height, INTRINSICS.width)
    frame = RgbdLabels(0, 0, np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32))
    return extract_features(frame, keyframe, INTRINSICS, OPTIONS)


def test_a_place_seen_again_is_found_once_around_and_no_other(keyframes):
    detector = LoopDetector(SHORT_GAP, INTRINSICS, seed=0)
    loops = [loop for features in keyframes for loop in detector.add(features)]
    assert {loop.source for loop in loops} >= {12, 13}
    assert all(loop.source - loop.target in (11, 12, 13) for loop in loops)
    for loop in loops:
        truth = np.linalg.inv(PATH[loop.target]) @ PATH[loop.source]
        np.testing.assert_allclose(loop.source_to_target, truth, atol=0.02)


def test_no_loops_are_closed_with_the_latest_keyframes(keyframes):
    detector = LoopDetector(replace(OPTIONS, loop_least_gap=2), INTRINSICS, seed=0)
    found = [detector.add(replace(keyframes[0], keyframe=number)) for number in range(4)]
    assert [len(loops) for loops in found] == [0, 0, 0, 1]
    assert found[3][0].target == 0


def test_a_new_keyframe_is_compared_with_a_bounded_number(keyframes):
    options = replace(SHORT_GAP, loop_most_candidates=2, loop_redundant_overlap=1.0)
    detector = LoopDetector(options, INTRINSICS, seed=0)
    shifted = [seen_from(pose(0.03 * number), number) for number in range(12)]
    loops = [detector.add(features) for features in shifted]
    assert max(map(len, loops)) == 2
    first, second = sorted(loop.target for loop in loops[-1])
    assert second - first > 1


@pytest.mark.parametrize(
    ("first_guess", "better_guess", "found"),
    [(None, None, False), (PATH, None, True), ([pose(10.0 * n) for n in range(12)], PATH, True)],
    ids=["without poses", "with poses", "with poses that were corrected"],
)
def test_the_estimated_poses_find_loops_that_appearance_does_not(keyframes, first_guess, better_guess, found):
    detector = LoopDetector(replace(SHORT_GAP, loop_least_similarity=1.0), INTRINSICS, seed=0)
    for number in range(12):
        detector.add(keyframes[number], None if first_guess is None else first_guess[number])
    if better_guess is not None:
        detector.update_poses(np.stack(better_guess[:12]))
    # Compared with the very same image just before, nothing else looks alike.
    detector.add(keyframes[12])
    again = replace(keyframes[12], keyframe=13)
    loops = detector.add(again, None if first_guess is None else PATH[12])
    assert bool(loops) == found


def test_a_view_that_is_kept_already_is_not_kept_again(keyframes):
    detector = LoopDetector(replace(OPTIONS, loop_least_gap=1), INTRINSICS, seed=0)
    for number in range(10):
        detector.add(replace(keyframes[number % 2], keyframe=number))
    assert len(detector) <= 4


@pytest.mark.parametrize("hint", [None, PATH[5]])
def test_a_lost_camera_is_located_among_all_keyframes(keyframes, hint):
    detector = LoopDetector(OPTIONS, INTRINSICS, seed=0)
    for features, place in zip(keyframes[:12], PATH, strict=False):
        detector.add(features, place)
    for number in (3, 11):
        lost = PATH[number] @ pose(0.1, 0.05, -0.1, 5.0)
        found = detector.locate(seen_from(lost, -1), hint)
        np.testing.assert_allclose(PATH[found.target] @ found.source_to_target, lost, atol=0.02)


def test_a_camera_elsewhere_is_not_located(keyframes):
    detector = LoopDetector(OPTIONS, INTRINSICS, seed=0)
    for features in keyframes[:3]:
        detector.add(features)
    assert detector.locate(keyframes[7]) is None


def test_images_without_features_are_neither_kept_nor_located(keyframes):
    detector = LoopDetector(replace(OPTIONS, loop_least_gap=1), INTRINSICS, seed=0)
    assert detector.locate(blank(0)) is None
    detector.add(keyframes[0])
    for number in (1, 2, 3):
        assert detector.add(blank(number), pose()) == []
    assert len(detector) == 1
    assert detector.locate(blank(-1)) is None
    assert detector.add(replace(keyframes[0], keyframe=4))


def test_the_same_keyframes_give_the_same_loops(keyframes):
    runs = []
    for _ in range(2):
        detector = LoopDetector(SHORT_GAP, INTRINSICS, seed=3)
        runs.append(
            [loop for f, place in zip(keyframes, PATH, strict=True) for loop in detector.add(f, place)]
        )
    assert [loop.target for loop in runs[0]] == [loop.target for loop in runs[1]]
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.source_to_target, second.source_to_target)
