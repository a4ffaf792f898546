"""Keyframes kept for the map: few of those that look alike, and as they were."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adapters.mono_hydra.keyframe_store import KeyframeStore
from adapters.mono_hydra.model import RgbdLabels


def frame(index=0, labels=True):
    random = np.random.default_rng(index)
    smooth = np.linspace(40, 200, 64, dtype=np.uint8)[None, :, None]
    return RgbdLabels(
        index,
        1000 + index,
        np.broadcast_to(smooth, (48, 64, 3)).copy(),
        random.uniform(0.0, 12.0, (48, 64)).astype(np.float32),
        random.integers(0, 256, (48, 64)).astype(np.uint8) if labels else None,
    )


def view(x, turn_deg=0.0):
    pose = np.eye(4)
    pose[0, 3] = x
    pose[:3, :3] = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    return pose


def test_a_frame_comes_back_as_it_was():
    store = KeyframeStore(0.2, 12.0, 3)
    original = frame(7)
    assert store.offer(0, original, view(0.0), [view(0.0)])
    back = store.frame(0)
    assert (back.index, back.timestamp_ns) == (7, 1007)
    assert np.abs(back.depth - original.depth).max() <= 0.000126
    assert np.abs(back.rgb.astype(int) - original.rgb).max() <= 6
    assert (back.labels == original.labels).all()


def test_a_frame_without_labels_and_with_far_depth_comes_back_too():
    store = KeyframeStore(0.2, 12.0, 3)
    original = frame(0, labels=False)
    original.depth[0, 0] = 40.0
    store.offer(0, original, view(0.0), [view(0.0)])
    back = store.frame(0)
    assert back.labels is None
    assert back.depth[0, 0] == pytest.approx(40.0, abs=0.001)
    assert np.abs(back.depth - original.depth).max() < 0.001


def test_a_camera_that_stays_where_it_is_fills_no_memory():
    store = KeyframeStore(0.2, 12.0, 3)
    poses = [view(0.01 * (number % 3)) for number in range(50)]
    kept = [store.offer(number, frame(number), poses[number], poses) for number in range(50)]
    assert sum(kept) == len(store) == 3
    memory = store.nbytes
    store.offer(50, frame(50), view(0.0), [*poses, view(0.0)])
    assert store.nbytes == memory


def test_another_place_and_another_direction_are_something_new():
    store = KeyframeStore(0.2, 12.0, 1)
    poses = [view(0.0), view(0.0, 30.0), view(0.5)]
    assert [store.offer(number, frame(number), poses[number], poses) for number in range(3)] == [True] * 3
    assert store.keyframes == [0, 1, 2]
