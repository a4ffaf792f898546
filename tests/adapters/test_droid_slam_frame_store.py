"""Frames come out of the store as they went in, as often as wanted, wherever they were kept."""

import numpy as np
import pytest

from adapters.droid_slam.frame_store import FrameStore, StoredFrame

SHAPE = (3, 16, 24)
FRAME_BYTES = 3 * 16 * 24


def frames(count):
    random = np.random.default_rng(0)
    return [
        StoredFrame(2 * n, 1000 * n, random.integers(0, 255, SHAPE, dtype=np.uint8)) for n in range(count)
    ]


@pytest.mark.parametrize(("memory_frames", "on_disk"), [(0, 7), (3, 4), (7, 0), (100, 0)])
def test_frames_come_back_in_order_twice(tmp_path, memory_frames, on_disk):
    overflow = tmp_path / "frames.raw"
    store = FrameStore(overflow, memory_frames * FRAME_BYTES, SHAPE)
    for frame in frames(7):
        store.append(frame)
    assert (len(store), store.on_disk) == (7, on_disk)
    assert overflow.exists() == (on_disk > 0)
    assert store.indices == (0, 2, 4, 6, 8, 10, 12)
    for _ in range(2):
        for found, wanted in zip(store, frames(7), strict=True):
            assert (found.index, found.timestamp_ns) == (wanted.index, wanted.timestamp_ns)
            np.testing.assert_array_equal(found.image, wanted.image)
    store.close()
    assert not overflow.exists()


def test_frames_can_be_added_after_some_were_read(tmp_path):
    store = FrameStore(tmp_path / "frames.raw", FRAME_BYTES, SHAPE)
    first, second, third = frames(3)
    store.append(first)
    store.append(second)
    assert [frame.index for frame in store] == [0, 2]
    store.append(third)
    np.testing.assert_array_equal(list(store)[2].image, third.image)
    np.testing.assert_array_equal(list(store)[1].image, second.image)


def test_closing_twice_does_no_harm(tmp_path):
    store = FrameStore(tmp_path / "frames.raw", 0, SHAPE)
    store.append(frames(1)[0])
    store.close()
    store.close()
