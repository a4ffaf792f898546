"""The labelled images of NYU Depth V2, out of MATLAB files that are written here as MATLAB lays them out."""

import builtins
import json
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from view_batches import place_of, stream_of

from perception.training.batches import BrokenSampleError
from perception.training.datasets.nyudv2 import NyudV2Views
from sequences.errors import DataFileError, SequenceError

IMAGES, CLASSES = 5, 894
TRAIN, TEST = [4, 1, 2], [5, 3]
HEIGHT, WIDTH = 480, 640
ROWS, COLUMNS = np.indices((HEIGHT, WIDTH))
#: Of the classes that images have: wall, cabinet, and one that NYU-40 does not know.
CLASS_MAP = {1: 1, 2: 3, 700: 40, 894: 0}


def rgb_of(number):
    """Image ``number``, counted from 1: rows count in red, columns in green."""
    return np.stack([ROWS % 256, COLUMNS % 256, np.full_like(ROWS, number)], axis=-1).astype(np.uint8)


def depth_of(number):
    return (number + ROWS / 100 + COLUMNS / 1000).astype(np.float32)


def labels_of(number):
    """0, unlabelled, in the upper half; four classes side by side in the lower."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for place, own in enumerate(CLASS_MAP):
        labels[240:, place * 160 : (place + 1) * 160] = own
    return labels


def as_matlab_has_it(image):
    """Dimensions the other way round, for MATLAB stores columns one after the other."""
    return image.transpose()


def write_mapping(folder, values=None):
    if values is None:
        values = np.full(CLASSES, 40, np.uint8)
        for own, target in CLASS_MAP.items():
            values[own - 1] = target
    savemat(
        folder / "classMapping40.mat", {"mapClass": values[None], "className": np.array(["wall"], object)}
    )


def write_splits(folder, train=TRAIN, test=TEST):
    columns = {"trainNdxs": np.array(train)[:, None], "testNdxs": np.array(test)[:, None]}
    savemat(folder / "splits.mat", columns)


def write_images(folder, without=(), **changes):
    """nyu_depth_v2_labeled.mat: a HDF5 file after 512 bytes in which MATLAB says who wrote it."""
    numbers = range(1, IMAGES + 1)
    raw = [np.where(COLUMNS < 320, 0, depth_of(number)).astype(np.float32) for number in numbers]
    raw[0][100, 400:403] = [np.nan, np.inf, -1]
    content = {
        "images": np.stack([as_matlab_has_it(rgb_of(number)) for number in numbers]),
        "depths": np.stack([as_matlab_has_it(depth_of(number)) for number in numbers]),
        "rawDepths": np.stack([as_matlab_has_it(image) for image in raw]),
        "labels": np.stack([as_matlab_has_it(labels_of(number)) for number in numbers]),
        **changes,
    }
    path = folder / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in content.items():
            if name not in without:
                file.create_dataset(name, data=values, chunks=(1, *values.shape[1:]), compression="gzip")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set as it should be; only read."""
    folder = tmp_path_factory.mktemp("data") / "nyudv2"
    folder.mkdir()
    write_images(folder)
    write_splits(folder)
    write_mapping(folder)
    return folder


@pytest.fixture
def folder(tmp_path, whole):
    """The data set with files of its own, to do harm to."""
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def read_on_another_process(source, index):
    return source.view(index)


def test_parts_have_the_images_of_the_split_in_its_order(whole):
    for part, numbers in (("train", TRAIN), ("test", TEST)):
        source = NyudV2Views(directory=str(whole), part=part)
        assert [int(source.view(index).rgb[0, 0, 2]) for index in range(len(source))] == numbers


def test_pixels_are_where_matlab_had_them(whole):
    view = NyudV2Views(directory=str(whole), crop=None).view(0)
    np.testing.assert_array_equal(view.rgb, rgb_of(4))
    np.testing.assert_array_equal(view.depth, depth_of(4))
    assert view.depth[100, 500] == np.float32(5.5)
    assert (view.depth.dtype, view.labels.dtype) == (np.float32, np.uint8)


def test_the_894_classes_become_those_of_nyu40_and_the_unlabelled_are_unknown(whole):
    source = NyudV2Views(directory=str(whole), crop=None)
    labels = source.view(0).labels
    assert source.label_space == "nyu40"
    assert np.unique(labels[:240]).tolist() == [255]
    assert [labels[300, 160 * place + 80] for place in range(4)] == [1, 3, 40, 255]


def test_the_camera_is_the_published_one_counted_from_the_centre_of_the_first_pixel(whole):
    camera = NyudV2Views(directory=str(whole), crop=None).view(0).intrinsics
    assert (camera.width, camera.height) == (640, 480)
    assert [camera.fx, camera.fy] == pytest.approx([518.857901, 519.469611], abs=1e-6)
    # As published 325.582449 and 253.736166, where MATLAB's first pixel is 1.
    assert [camera.cx, camera.cy] == pytest.approx([324.582449, 252.736166], abs=1e-6)


def test_the_white_frame_is_cut_off_and_the_camera_follows(whole):
    view = NyudV2Views(directory=str(whole)).view(0)
    # Rows 45 to 471 and columns 41 to 601, counted from 1.
    np.testing.assert_array_equal(view.rgb, rgb_of(4)[44:471, 40:601])
    np.testing.assert_array_equal(view.depth, depth_of(4)[44:471, 40:601])
    assert view.labels.shape == (427, 561)
    camera = view.intrinsics
    assert (camera.width, camera.height) == (561, 427)
    assert [camera.cx, camera.cy] == pytest.approx([284.582449, 208.736166], abs=1e-6)


def test_raw_depth_has_the_holes_of_the_sensor(whole):
    depth = NyudV2Views(directory=str(whole), depth="raw", crop=None).view(1).depth
    assert not depth[:, :320].any()
    # Not a number, infinite and negative in the file.
    assert not depth[100, 400:403].any()
    assert depth[100, 403] == depth_of(1)[100, 403]


def test_a_relative_path_lies_below_harness_data(whole, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(whole.parent))
    assert len(NyudV2Views(directory="nyudv2")) == 3
    monkeypatch.delenv("HARNESS_DATA")
    with pytest.raises(SequenceError, match="HARNESS_DATA is not set"):
        NyudV2Views(directory="nyudv2")


def test_threads_and_processes_read_the_same(whole):
    source = NyudV2Views(directory=str(whole))
    expected = [source.view(index).depth for index in range(3)]
    indices = [0, 1, 2] * 4
    with ThreadPoolExecutor(4) as threads:
        for index, view in zip(indices, threads.map(source.view, indices), strict=True):
            np.testing.assert_array_equal(view.depth, expected[index])
    for start in ("fork", "spawn"):
        with ProcessPoolExecutor(1, mp_context=get_context(start)) as processes:
            view = processes.submit(read_on_another_process, source, 2).result()
        np.testing.assert_array_equal(view.depth, expected[2])


def test_the_identity_says_what_decides_the_views_and_not_where_they_are(whole, folder):
    source = NyudV2Views(directory=str(whole), part="test", depth="raw")
    identity = source.identity()
    assert str(whole) not in json.dumps(identity)
    assert {name: identity[name] for name in ("source", "views", "part", "crop", "depth")} == {
        "source": "nyudv2",
        "views": 2,
        "part": "test",
        "crop": "projection_mask",
        "depth": "raw",
    }
    told = {"part": "test", "depth": "raw"}
    assert NyudV2Views(directory=str(folder), **told).identity() == identity
    # As long as before, but in another order.
    write_splits(folder, test=TEST[::-1])
    assert NyudV2Views(directory=str(folder), **told).identity() != identity
    assert pickle.loads(pickle.dumps(source)).identity() == identity


def test_batches_have_metric_depth_and_classes(whole):
    source = NyudV2Views(directory=str(whole), part="test", crop=None)
    batch = stream_of(source, 2, image_size=[480, 640]).batch(0)
    place = place_of(batch, source, 1)
    np.testing.assert_array_equal(batch.targets.depth[place, 0], depth_of(3))
    # Class 0 is the first of the space, which is NYU-40's 1.
    assert batch.targets.labels[place, 300, [80, 240, 400, 560]].tolist() == [0, 2, 39, 255]
    torch.testing.assert_close(
        batch.intrinsics[place], torch.tensor([518.857901, 519.469611, 324.582449, 252.736166])
    )


def test_a_broken_file_stops_batches_with_its_name(folder):
    source = NyudV2Views(directory=str(folder))
    path = folder / "nyu_depth_v2_labeled.mat"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(BrokenSampleError, match=r"nyudv2/\d .*nyu_depth_v2_labeled\.mat: is truncated"):
        stream_of(source, 1).batch(0)


def test_a_damaged_image_is_named_by_its_number(folder):
    source = NyudV2Views(directory=str(folder))
    path = folder / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "r") as file:
        # Where the compressed second image is, in the file without MATLAB's 512 bytes.
        chunk = file["images"].id.get_chunk_info(1)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + 100)
        file.write(bytes(50))
    source.view(0)
    with pytest.raises(DataFileError, match=r"labeled\.mat: image 2 \(counted from 1\) cannot be read"):
        source.view(2)


def test_a_label_beyond_the_mapping_is_named(folder):
    labels = np.stack([as_matlab_has_it(labels_of(number)) for number in range(1, IMAGES + 1)])
    labels[0, 5, 5] = 895
    write_images(folder, labels=labels)
    source = NyudV2Views(directory=str(folder))
    with pytest.raises(DataFileError, match=r"image 1 .* has label 895, and classMapping40\.mat maps 894"):
        source.view(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without": ["labels"]}, "has no variable labels"),
        (
            {"depths": np.zeros((IMAGES, WIDTH, HEIGHT))},
            r"'depths' is float64 \[5, 640, 480\], expected float32",
        ),
        ({"images": np.zeros((IMAGES, 3, HEIGHT, WIDTH), np.uint8)}, r"'images' is uint8 \[5, 3, 480, 640\]"),
        ({"labels": np.zeros((4, WIDTH, HEIGHT), np.uint16)}, r"'labels' is uint16 \[4, 640, 480\]"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(folder, changes, message):
    write_images(folder, **changes)
    with pytest.raises(DataFileError, match=rf"nyu_depth_v2_labeled\.mat: {message}"):
        NyudV2Views(directory=str(folder))


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_a_missing_or_damaged_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:140])
    with pytest.raises(DataFileError, match=rf"{name}: is .*download the file again"):
        NyudV2Views(directory=str(folder))
    path.unlink()
    with pytest.raises(DataFileError, match=rf"{name}: the file is missing"):
        NyudV2Views(directory=str(folder))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataFileError, match=r"nowhere: the folder is missing; it holds nyu_depth_v2_labeled"):
        NyudV2Views(directory=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([1, 6], r"'trainNdxs' has image 6, and nyu_depth_v2_labeled\.mat has images 1 to 5"),
        ([0, 1], "'trainNdxs' has image 0"),
        ([2, 2], "names an image twice"),
        ([1.5], "not made of whole numbers"),
    ],
)
def test_a_split_that_cannot_be_is_refused(folder, train, message):
    write_splits(folder, train=train)
    with pytest.raises(DataFileError, match=message):
        NyudV2Views(directory=str(folder))


def test_a_mapping_to_classes_that_nyu40_does_not_have_is_refused(folder):
    write_mapping(folder, np.full(CLASSES, 41, np.uint8))
    with pytest.raises(DataFileError, match=r"classMapping40\.mat: 'mapClass' has 41"):
        NyudV2Views(directory=str(folder))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "'directory': field required"),
        ({"directory": "x", "part": "val"}, "'part': input should be 'train' or 'test'"),
        ({"directory": "x", "split": "train"}, "'split': .*; parameters: directory, part, crop, depth"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(SequenceError, match=f"nyudv2: {message}"):
        NyudV2Views(**parameters)


def test_an_index_outside_is_no_view(whole):
    with pytest.raises(IndexError, match="3 views and no view 3"):
        NyudV2Views(directory=str(whole)).view(3)


def test_without_h5py_the_remedy_is_said(whole, monkeypatch):
    real = builtins.__import__

    def without_h5py(name, *arguments, **keywords):
        if name == "h5py":
            raise ImportError("No module named 'h5py'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(SequenceError, match=r"h5py.*pip install 'slam-harness\[nyud\]'"):
        NyudV2Views(directory=str(whole))
