"""The double of DROID-SLAM notices what upstream could not work with: a green test means something."""

import sys
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from upstream_doubles.droid_slam.droid_slam_runs import DOUBLE
from upstream_doubles.droid_slam.painted_wall import locate, places, render

CAMERA = (200.0, 198.0, 90.3, 70.2)
WIDTH, HEIGHT = 184, 136


@pytest.fixture
def droid_module(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOUBLE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROID_DOUBLE_FAULT", raising=False)
    import droid

    yield droid
    del sys.modules["droid"], sys.modules["painted_wall"]


@pytest.fixture
def arguments(tmp_path, droid_module):
    (tmp_path / "droid.pth").write_bytes(droid_module.WEIGHTS)
    whole = {"buffer": 20, "warmup": 4, "frontend_window": 25, "frontend_radius": 2, "frontend_nms": 1}
    fractions = {"filter_thresh": 0.5, "keyframe_thresh": 4.0, "frontend_thresh": 16.0, "beta": 0.3}
    return Namespace(
        **whole,
        **fractions,
        backend_thresh=22.0,
        backend_radius=2,
        backend_nms=3,
        stereo=False,
        upsample=False,
        disable_vis=True,
        weights=str(tmp_path / "droid.pth"),
        image_size=[HEIGHT, WIDTH],
    )


def frame(number):
    """What ``track`` takes of one frame, all as it must be."""
    rgb, depth = render(places(8)[number], *CAMERA, WIDTH, HEIGHT)
    image = torch.from_numpy(np.ascontiguousarray(rgb[..., ::-1].transpose(2, 0, 1)))[None]
    return SimpleNamespace(
        tstamp=number, image=image, depth=torch.from_numpy(depth), intrinsics=torch.tensor(CAMERA)
    )


def track(droid, frame):
    droid.track(frame.tstamp, frame.image, depth=frame.depth, intrinsics=frame.intrinsics)


def stream(numbers):
    return [(frame(n).tstamp, frame(n).image, frame(n).intrinsics) for n in numbers]


def test_the_place_of_a_camera_can_be_read_off_the_wall():
    for place in places(8):
        rgb, _ = render(place, *CAMERA, WIDTH, HEIGHT)
        found = locate(rgb[..., ::-1].transpose(2, 0, 1), *CAMERA)
        wanted = (place.x, place.y, place.z, place.roll)
        assert (found.x, found.y, found.z, found.roll) == pytest.approx(wanted, abs=3e-4)


def test_what_is_right_goes_through(droid_module, arguments):
    droid = droid_module.Droid(arguments)
    for number in range(6):
        track(droid, frame(number))
    poses = droid.terminate(stream(range(6)))
    assert poses.shape == (6, 7)
    first, last = places(8)[0].camera_to_world, places(8)[5].camera_to_world
    np.testing.assert_allclose(poses[5, :3], (np.linalg.inv(first) @ last)[:3, 3], atol=1e-3)
    # The buffer has the way back.
    world_to_camera = droid.video.poses[5].numpy()
    np.testing.assert_allclose(world_to_camera[:3], (np.linalg.inv(last) @ first)[:3, 3], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", "/dev/null", "weights"),
        ("image_size", [WIDTH, HEIGHT + 1], "image_size"),
        ("image_size", [120, 160], "image_size"),
        ("buffer", 20.0, "argument buffer"),
        ("beta", None, "argument beta"),
        ("stereo", True, "argument stereo"),
        ("disable_vis", False, "argument disable_vis"),
    ],
)
def test_arguments_are_checked(droid_module, arguments, name, value, message):
    setattr(arguments, name, value)
    with pytest.raises(AssertionError, match=message):
        droid_module.Droid(arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tstamp": 1.5}, "time stamps are indices"),
        ({"tstamp": 0}, "time stamp 0 after"),
        ({"image": frame(1).image.float()}, "images are uint8"),
        ({"image": frame(1).image[0]}, "images are uint8"),
        ({"image": frame(1).image.transpose(2, 3)}, "images are uint8"),
        ({"depth": frame(1).depth.double()}, "depth is float32"),
        ({"depth": frame(1).depth[None]}, "depth is float32"),
        ({"depth": frame(1).depth * 1000}, "depth in metres"),
        ({"depth": frame(1).depth / 1.005}, "depth in metres"),
        ({"depth": frame(1).depth * float("nan")}, "depth is finite"),
        ({"depth": None}, "depth comes with every frame"),
        ({"intrinsics": frame(1).intrinsics / 8}, "the camera changed"),
        ({"intrinsics": frame(1).intrinsics.double()}, "intrinsics are float32"),
        ({"intrinsics": torch.eye(3)}, "intrinsics are float32"),
    ],
)
def test_frames_are_checked(droid_module, arguments, change, message):
    droid = droid_module.Droid(arguments)
    track(droid, frame(0))
    with pytest.raises(AssertionError, match=message):
        track(droid, SimpleNamespace(**vars(frame(1)) | change))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (range(5), "fewer frames"),
        (range(7), "more frames"),
        ([0, 1, 2, 3, 5, 6], "other stamps"),
    ],
)
def test_the_stream_is_compared_with_what_was_tracked(droid_module, arguments, numbers, message):
    droid = droid_module.Droid(arguments)
    for number in range(6):
        track(droid, frame(number))
    with pytest.raises(AssertionError, match=message):
        droid.terminate(stream(numbers))


def test_other_images_or_depth_in_the_stream_are_noticed(droid_module, arguments):
    for change, message in (
        (lambda item: (item[0], 255 - item[1], item[2]), "other images"),
        (lambda item: (*item, frame(0).depth), "stamp, image, intrinsics"),
    ):
        droid = droid_module.Droid(arguments)
        for number in range(6):
            track(droid, frame(number))
        with pytest.raises(AssertionError, match=message):
            droid.terminate(map(change, stream(range(6))))


def test_the_order_of_calls_is_checked(droid_module, arguments):
    droid = droid_module.Droid(arguments)
    for number in range(3):
        track(droid, frame(number))
    with pytest.raises(AssertionError, match="before the first optimisation"):
        droid.terminate(stream(range(3)))
    track(droid, frame(3))
    droid.terminate(stream(range(4)))
    with pytest.raises(AssertionError, match="track after terminate"):
        track(droid, frame(4))
    with pytest.raises(AssertionError, match="terminate twice"):
        droid.terminate(stream(range(4)))


def test_keyframes_beyond_the_buffer_are_refused(droid_module, arguments):
    arguments.buffer = 5
    droid = droid_module.Droid(arguments)
    for number in range(5):
        track(droid, frame(number))
    with pytest.raises(AssertionError, match="no room"):
        track(droid, frame(5))
