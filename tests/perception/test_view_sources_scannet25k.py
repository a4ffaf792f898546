"""ScanNet25k, out of scenes that are written here as its archive has them."""

import json
import logging
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from scannet_files import (
    COLOUR_CAMERA,
    DEPTH_CAMERA,
    camera_matrix,
    colour_to_rig,
    matrix_text,
    recorded_frames,
)
from seen_room import view
from view_batches import place_of, stream_of

from perception.training.batches import BrokenSampleError
from perception.training.datasets.scannet25k import ScanNet25kViews
from sequences.errors import DataFileError, SequenceError
from sequences.label_spaces import load_label_space

SCENES = {"scene0191_00": (0, 2, 4), "scene0191_01": (1,), "scene0707_00": (3, 5)}
TRAIN = ("scene0191_01", "scene0191_00")
VAL = ("scene0707_00",)
#: Frames in the order of the list, and by number in each scene.
TRAIN_FRAMES = [1, 0, 2, 4]


def write_scene(root, name, frames, turned=False):
    """Colour in JPEG, depth in millimetres, NYU-40 ids; every hundredth frame, six digits each."""
    folder = root / name
    for part in ("color", "depth", "instance", "label", "pose"):
        (folder / part).mkdir(parents=True)
    for place, which in enumerate(frames):
        frame, number = recorded_frames(turned=turned)[which], f"{100 * place:06d}"
        (folder / "color" / f"{number}.jpg").write_bytes(frame.colour)
        cv2.imwrite(str(folder / "depth" / f"{number}.png"), frame.depth)
        cv2.imwrite(str(folder / "label" / f"{number}.png"), frame.labels)
        cv2.imwrite(str(folder / "instance" / f"{number}.png"), frame.labels)
        (folder / "pose" / f"{number}.txt").write_text(matrix_text(frame.pose))
    for kind, camera in (("color", COLOUR_CAMERA), ("depth", DEPTH_CAMERA)):
        (folder / f"intrinsics_{kind}.txt").write_text(matrix_text(camera_matrix(camera)))
    return folder


def write_data_set(data):
    root = data / "scannet_frames_25k"
    for name, frames in SCENES.items():
        write_scene(root, name, frames)
    for part, names in (("train", TRAIN), ("val", VAL)):
        (data / f"scannetv2_{part}.txt").write_text("".join(f"{name}\n" for name in names))
    return data


def source_of(data, part="train", **parameters):
    return ScanNet25kViews(
        directory=str(data / "scannet_frames_25k"),
        scenes=str(data / f"scannetv2_{part}.txt"),
        **parameters,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set as it should be; only read."""
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture
def data(tmp_path, whole):
    """The data set with files of its own, to do harm to."""
    return shutil.copytree(whole, tmp_path / "data")


def metres(which):
    return recorded_frames()[which].depth.astype(np.float32) / np.float32(1000)


def test_scenes_come_in_the_order_of_the_list_and_frames_by_number(whole):
    source = source_of(whole)
    assert len(source) == len(TRAIN_FRAMES)
    for index, which in enumerate(TRAIN_FRAMES):
        np.testing.assert_array_equal(source.view(index).depth, metres(which))
    val = source_of(whole, "val")
    np.testing.assert_array_equal(val.view(1).depth, metres(5))
    assert len(val) == 2


def test_depth_is_in_metres_and_unknown_at_zero(whole):
    depth = source_of(whole).view(0).depth
    assert depth.dtype == np.float32
    assert not depth[:3].any()
    assert depth[60, 80] == np.float32(recorded_frames()[1].depth[60, 80]) / np.float32(1000)


def test_the_camera_is_that_of_depth(whole):
    assert source_of(whole).view(0).intrinsics == DEPTH_CAMERA


def test_colour_is_brought_to_the_pixels_of_depth(whole):
    rgb, _, _ = view(recorded_frames()[1].pose.astype(np.float64), DEPTH_CAMERA)
    found = source_of(whole).view(0).rgb
    assert (found.shape, found.dtype) == ((120, 160, 3), np.uint8)
    difference = np.abs(found.astype(float) - rgb)[5:-5, 5:-5]
    assert difference.mean() < 4


def expected_labels(which, space):
    """The label at the colour camera's pixel that is nearest, by the intrinsics of both cameras.

    Returns:
        Labels, and where no two pixels are equally near.
    """
    rows, columns = np.indices((DEPTH_CAMERA.height, DEPTH_CAMERA.width))
    depth, colour = DEPTH_CAMERA, COLOUR_CAMERA
    across = (columns - depth.cx) / depth.fx * colour.fx + colour.cx
    down = (rows - depth.cy) / depth.fy * colour.fy + colour.cy
    u, v = np.rint(across).astype(int), np.rint(down).astype(int)
    inside = (u >= 0) & (u < colour.width) & (v >= 0) & (v < colour.height)
    ids = recorded_frames()[which].labels[np.where(inside, v, 0), np.where(inside, u, 0)]
    one_is_nearest = (np.abs(across % 1 - 0.5) > 1e-3) & (np.abs(down % 1 - 0.5) > 1e-3)
    assert one_is_nearest.mean() > 0.9
    return np.where(inside, load_label_space(space).from_nyu40()[ids], 255), one_is_nearest


@pytest.mark.parametrize("space", ["scannet20", "nyu40"])
def test_labels_are_those_of_the_space_on_the_pixels_of_depth(whole, space):
    source = source_of(whole, label_space=space)
    assert source.label_space == space
    labels = source.view(1).labels
    expected, certain = expected_labels(0, space)
    np.testing.assert_array_equal(labels[certain], expected[certain])
    assert len(np.unique(labels)) >= 4


def test_unlabelled_pixels_are_unknown(data):
    labels = np.full_like(recorded_frames()[1].labels, 3)
    labels[:121] = 0
    cv2.imwrite(str(data / "scannet_frames_25k/scene0191_01/label/000000.png"), labels)
    found = source_of(data).view(0).labels
    assert np.unique(found[:50]).tolist() == [255]
    assert (found[70:100, 20:-20] == 2).all()


def test_a_colour_camera_that_looks_elsewhere_is_turned_back(tmp_path):
    folder = write_scene(tmp_path / "scannet_frames_25k", "scene0000_00", (0,), turned=True)
    (folder / "extrinsics_color.txt").write_text(matrix_text(colour_to_rig()))
    (folder / "extrinsics_depth.txt").write_text(matrix_text(np.eye(4)))
    (tmp_path / "scannetv2_train.txt").write_text("scene0000_00\n")
    rgb, _, _ = view(recorded_frames()[0].pose.astype(np.float64), DEPTH_CAMERA)
    found = source_of(tmp_path).view(0).rgb
    assert np.abs(found.astype(float) - rgb)[20:100, 20:140].mean() < 4


def test_ids_that_nyu40_does_not_have_are_unknown_with_a_warning(data, caplog):
    labels = recorded_frames()[1].labels.copy()
    labels[100:140, 100:200] = 149
    cv2.imwrite(str(data / "scannet_frames_25k/scene0191_01/label/000000.png"), labels)
    with caplog.at_level(logging.WARNING):
        found = source_of(data, label_space="nyu40").view(0).labels
    assert found[60, 75] == 255
    assert "label/000000.png: 1 ids in label images that NYU-40 does not have" in caplog.text
    assert "149" in caplog.text


def test_relative_paths_lie_below_harness_data(whole, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(whole))
    source = ScanNet25kViews(directory="scannet_frames_25k", scenes="scannetv2_val.txt")
    assert len(source) == 2


def test_the_identity_says_what_decides_the_views_and_not_where_they_are(whole, data):
    source = source_of(whole)
    identity = source.identity()
    assert str(whole) not in json.dumps(identity)
    assert {name: identity[name] for name in ("source", "views", "label_space")} == {
        "source": "scannet25k",
        "views": 4,
        "label_space": "scannet20",
    }
    assert source_of(data).identity() == identity
    (data / "scannetv2_train.txt").write_text("".join(f"{name}\n" for name in TRAIN[::-1]))
    assert source_of(data).identity() != identity


def test_threads_and_a_copy_read_the_same(whole):
    source = source_of(whole)
    copy = pickle.loads(pickle.dumps(source))
    indices = [0, 1, 2, 3] * 3
    with ThreadPoolExecutor(4) as threads:
        for index, found in zip(indices, threads.map(copy.view, indices), strict=True):
            np.testing.assert_array_equal(found.depth, metres(TRAIN_FRAMES[index]))
            np.testing.assert_array_equal(found.rgb, source.view(index).rgb)


def test_batches_have_metric_depth_and_classes(whole):
    source = source_of(whole)
    batch = stream_of(source, 4, image_size=[120, 160]).batch(0)
    place = place_of(batch, source, 2)
    np.testing.assert_array_equal(batch.targets.depth[place, 0], metres(2))
    # The first class of ScanNet-20 has id 0.
    expected, certain = expected_labels(2, "scannet20")
    np.testing.assert_array_equal(batch.targets.labels[place].numpy()[certain], expected[certain])
    camera = DEPTH_CAMERA
    assert batch.intrinsics[place].tolist() == [camera.fx, camera.fy, camera.cx, camera.cy]
    assert torch.isfinite(batch.images).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("color/000000.jpg", "the colour image is truncated"),
        ("depth/000000.png", "the depth image is truncated"),
        ("label/000000.png", "the label image is truncated"),
        ("intrinsics_depth.txt", "columns, expected 4"),
        ("pose/000000.txt", "columns, expected 4"),
    ],
)
def test_a_broken_file_stops_batches_with_its_name(data, name, message):
    source = source_of(data)
    path = data / "scannet_frames_25k/scene0191_01" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    stream = stream_of(source, 4)
    with pytest.raises(BrokenSampleError, match=rf"scannet25k/0 .*scene0191_01/{name}:.* {message}"):
        stream.batch(0)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("depth/000000.png", np.zeros((120, 160), np.uint8), "has 8 bits per pixel"),
        ("label/000100.png", np.zeros((120, 160), np.uint8), "is 160×120, .* 324×242"),
        ("label/000100.png", np.zeros((242, 324, 3), np.uint8), "has 3 channels"),
        ("color/000100.jpg", np.zeros((242, 320, 3), np.uint8), "is 320×242"),
    ],
)
def test_an_image_of_another_kind_is_named(data, name, image, message):
    cv2.imwrite(str(data / "scannet_frames_25k/scene0191_00" / name), image)
    source = source_of(data)
    with pytest.raises(DataFileError, match=rf"scene0191_00/{name}: .*{message}"):
        for index in range(1, 4):
            source.view(index)


@pytest.mark.parametrize("kind", ["color", "depth", "label"])
def test_a_frame_that_lacks_an_image_is_told_of_beforehand(data, kind):
    folder = data / "scannet_frames_25k/scene0191_00" / kind
    next(folder.glob("000100.*")).unlink()
    with pytest.raises(DataFileError, match=rf"scene0191_00/{kind}: has no image 000100"):
        source_of(data)


@pytest.mark.parametrize("kind", ["color", "depth", "label"])
def test_a_missing_folder_of_a_scene_is_named(data, kind):
    shutil.rmtree(data / "scannet_frames_25k/scene0191_00" / kind)
    with pytest.raises(DataFileError, match=rf"scene0191_00/{kind}: the folder is missing"):
        source_of(data)


def test_a_scene_without_any_frame_is_named(data):
    for path in (data / "scannet_frames_25k/scene0191_00").glob("*/*"):
        path.unlink()
    with pytest.raises(DataFileError, match="scene0191_00: has no frame"):
        source_of(data)


def test_a_scene_of_the_list_that_is_not_there_is_named(data):
    shutil.rmtree(data / "scannet_frames_25k/scene0191_00")
    with pytest.raises(DataFileError, match=r"scene0191_00: the folder is missing; .*in the list of scenes"):
        source_of(data)


def test_labels_with_ids_of_scannets_own_are_refused(data):
    folder = data / "scannet_frames_25k/scene0191_01"
    (folder / "intrinsic").mkdir()
    for kind in ("color", "depth"):
        (folder / f"intrinsics_{kind}.txt").rename(folder / "intrinsic" / f"intrinsic_{kind}.txt")
    with pytest.raises(DataFileError, match="scene0191_01: its labels have ids of ScanNet's own"):
        source_of(data).view(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scene0191_00\nscene191\n", "scannetv2_train.txt:2: 'scene191' is no scene"),
        ("scene0191_00\n\nscene0191_00\n", "scannetv2_train.txt:3: .* or is here twice"),
        ("scene0191_00 scene0191_01\n", "scannetv2_train.txt:1: has 2 columns"),
        ("# nothing\n", "scannetv2_train.txt: names no scene"),
    ],
)
def test_a_list_that_cannot_be_is_refused(data, text, message):
    (data / "scannetv2_train.txt").write_text(text)
    with pytest.raises(DataFileError, match=message):
        source_of(data)


def test_a_missing_list_or_folder_is_named(data):
    with pytest.raises(DataFileError, match=r"scannetv2_test\.txt: the file is missing"):
        source_of(data, "test")
    with pytest.raises(
        DataFileError, match="nowhere: the folder is missing; it holds a folder for every scene"
    ):
        ScanNet25kViews(directory=str(data / "nowhere"), scenes=str(data / "scannetv2_train.txt"))


def test_wrong_parameters_are_named(whole):
    with pytest.raises(SequenceError, match=r"scannet25k: 'label_space': .*; parameters: directory, scenes"):
        source_of(whole, label_space="cityscapes19")


def test_an_index_outside_is_no_view(whole):
    with pytest.raises(IndexError, match="4 views and no view 4"):
        source_of(whole).view(4)
