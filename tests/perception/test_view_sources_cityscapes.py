"""Cityscapes, out of files that are written here as its README describes them."""

import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
import torch
from view_batches import place_of, stream_of

from perception.training.batches import BrokenSampleError
from perception.training.datasets.cityscapes import CityscapesViews
from sequences.errors import DataFileError, SequenceError
from sequences.label_spaces import load_label_space

WIDTH, HEIGHT = 2048, 1024
#: As published for Aachen.
CAMERA = {
    "extrinsic": {
        "baseline": 0.209313,
        "pitch": 0.038,
        "roll": 0.0,
        "x": 1.7,
        "y": 0.1,
        "yaw": -0.02,
        "z": 1.22,
    },
    "intrinsic": {"fx": 2262.52, "fy": 2265.3017905988554, "u0": 1096.98, "v0": 513.137},
}
NAMES = ("aachen/aachen_000000_000019", "aachen/aachen_000001_000019", "ulm/ulm_000000_000019")
#: The label ids of the training classes, by the scripts of the data set.
IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
NO_CLASS = [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30]


def rgb_of(number):
    """Image ``number``: red everywhere, but for a green pixel in the corner."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0], rgb[0, 0] = 100 + number, (0, 255, 0)
    return rgb


def label_ids():
    """Every id in a column of its own from the left, 30 pixels wide; unlabelled beyond."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for own in range(34):
        labels[:, own * 30 : (own + 1) * 30] = own
    return labels


def disparities(number):
    """12 pixels and ``number`` steps; none in the first column, one step and two steps in the next."""
    stored = np.full((HEIGHT, WIDTH), 12 * 256 + 1 + number, np.uint16)
    stored[:, :3] = [0, 1, 2]
    return stored


def path_of(root, kind, name, part="train"):
    return root / kind / part / f"{name}_{ENDINGS[kind]}"


ENDINGS = {
    "leftImg8bit": "leftImg8bit.png",
    "gtFine": "gtFine_labelIds.png",
    "disparity": "disparity.png",
    "camera": "camera.json",
}


def write_view(root, name, number, part="train"):
    paths = {kind: path_of(root, kind, name, part) for kind in ENDINGS}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(paths["leftImg8bit"]), rgb_of(number)[..., ::-1])
    cv2.imwrite(str(paths["gtFine"]), label_ids())
    cv2.imwrite(str(paths["disparity"]), disparities(number))
    paths["camera"].write_text(json.dumps(CAMERA))
    # What else the archive has beside the label ids.
    polygons = path_of(root, "gtFine", name, part).with_name(
        f"{name.rpartition('/')[2]}_gtFine_polygons.json"
    )
    polygons.write_text("{}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set as it should be; only read."""
    root = tmp_path_factory.mktemp("data") / "cityscapes"
    # Written in another order than they are read in.
    for number in (2, 0, 1):
        write_view(root, NAMES[number], number)
    write_view(root, "bochum/bochum_000000_000313", 9, "val")
    return root


@pytest.fixture
def root(tmp_path, whole):
    """The data set with files of its own, to do harm to."""
    return shutil.copytree(whole, tmp_path / "cityscapes")


def test_views_come_in_the_order_of_city_sequence_and_frame(whole):
    source = CityscapesViews(directory=str(whole))
    assert [source.view(index).rgb[1, 1].tolist() for index in range(len(source))] == [
        [100, 0, 0],
        [101, 0, 0],
        [102, 0, 0],
    ]
    assert source.view(0).rgb[0, 0].tolist() == [0, 255, 0]


def test_parts_are_kept_apart(whole):
    source = CityscapesViews(directory=str(whole), part="val")
    assert len(source) == 1
    assert source.view(0).rgb[1, 1, 0] == 109


def test_the_camera_is_that_of_the_file(whole):
    camera = CityscapesViews(directory=str(whole)).view(0).intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (2262.52, 2265.3017905988554, 1096.98, 513.137)
    assert (camera.width, camera.height) == (2048, 1024)


def test_depth_is_baseline_times_focal_length_over_disparity(whole):
    view = CityscapesViews(directory=str(whole)).view(1)
    assert view.depth.dtype == np.float32
    # A disparity of 12 pixels and one step of 1/256.
    assert view.depth[500, 1000] == np.float32(0.209313 * 2262.52 / (12 + 1 / 256))
    # No measurement, no disparity, and the least there is.
    assert view.depth[500, :3].tolist() == [0.0, 0.0, np.float32(0.209313 * 2262.52 * 256)]


def test_label_ids_become_the_training_ids_and_all_others_are_unknown(whole):
    source = CityscapesViews(directory=str(whole))
    labels = source.view(0).labels
    by_id = {own: int(labels[700, own * 30 + 15]) for own in range(34)}
    assert [by_id[own] for own in IDS] == list(range(19))
    assert {by_id[own] for own in NO_CLASS} == {255}
    assert len(IDS) + len(NO_CLASS) == 34


def test_the_classes_have_the_names_of_the_label_space(whole):
    space = load_label_space(CityscapesViews(directory=str(whole)).label_space)
    assert [entry.id for entry in space.classes] == list(range(19))
    assert [space.classes[place].name for place in (0, 11, 18)] == ["road", "person", "bicycle"]


def test_a_relative_path_lies_below_harness_data(whole, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(whole.parent))
    assert len(CityscapesViews(directory="cityscapes")) == 3


def test_the_identity_says_what_decides_the_views_and_not_where_they_are(whole, root):
    source = CityscapesViews(directory=str(whole))
    identity = source.identity()
    assert str(whole) not in json.dumps(identity)
    assert {name: identity[name] for name in ("source", "views", "part")} == {
        "source": "cityscapes",
        "views": 3,
        "part": "train",
    }
    assert CityscapesViews(directory=str(root)).identity() == identity
    path = path_of(root, "camera", NAMES[1])
    path.write_text(path.read_text() + " ")
    assert CityscapesViews(directory=str(root)).identity() != identity


def test_a_source_pickles(whole):
    source = CityscapesViews(directory=str(whole))
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.view(2).depth, source.view(2).depth)


def test_batches_have_metric_depth_and_classes(whole):
    source = CityscapesViews(directory=str(whole))
    batch = stream_of(source, 3, image_size=[512, 1024], max_depth=80.0).batch(0)
    place = place_of(batch, source, 2)
    assert batch.targets.depth[place, 0, 250, 500] == np.float32(0.209313 * 2262.52 / (12 + 2 / 256))
    # Columns of 15 pixels now; ids 7, 26 and 1, the car that carries the camera.
    assert batch.targets.labels[place, 300, [7 * 15 + 7, 26 * 15 + 7, 15 + 7]].tolist() == [0, 13, 255]
    # Half as many pixels; the image begins half a pixel before the centre of the first.
    torch.testing.assert_close(
        batch.intrinsics[place], torch.tensor([1131.26, 1132.650895, 1097.48 / 2 - 0.5, 513.637 / 2 - 0.5])
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("leftImg8bit", "the colour image is truncated"),
        ("gtFine", "the label image is truncated"),
        ("disparity", "the depth image is truncated"),
        ("camera", "is not JSON"),
    ],
)
def test_a_broken_file_stops_batches_with_its_name(root, kind, message):
    source = CityscapesViews(directory=str(root))
    path = path_of(root, kind, NAMES[2])
    path.write_bytes(path.read_bytes()[:-20])
    stream = stream_of(source, 3)
    with pytest.raises(
        BrokenSampleError, match=rf"cityscapes/2 .*ulm_000000_000019_{ENDINGS[kind]}:.* {message}"
    ):
        stream.batch(0)


@pytest.mark.parametrize("kind", ENDINGS)
def test_an_image_that_lacks_a_file_is_told_of_beforehand(root, kind):
    path = path_of(root, kind, NAMES[1])
    path.unlink()
    with pytest.raises(DataFileError, match=rf"{path.name}: the file is missing, .*archive of '{kind}'"):
        CityscapesViews(directory=str(root))


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_missing_folder_is_named(root, kind):
    shutil.rmtree(root / kind)
    with pytest.raises(
        DataFileError, match=rf"{kind}/train: the folder is missing; it holds a folder for every"
    ):
        CityscapesViews(directory=str(root))


def test_a_part_without_images_is_refused(root):
    for kind in ENDINGS:
        shutil.rmtree(root / kind / "val" / "bochum")
    with pytest.raises(DataFileError, match="leftImg8bit/val: has no image"):
        CityscapesViews(directory=str(root), part="val")


@pytest.mark.parametrize(
    ("kind", "image", "message"),
    [
        ("leftImg8bit", np.zeros((512, 1024, 3), np.uint8), "is 1024×512"),
        ("disparity", np.zeros((HEIGHT, WIDTH), np.uint8), "has 8 bits per pixel"),
        ("gtFine", np.zeros((HEIGHT, WIDTH), np.uint16), "has 1 channels of uint16, expected one of uint8"),
        ("gtFine", np.full((HEIGHT, WIDTH), 34, np.uint8), "has the id 34, and label ids are 0 to 33"),
        ("gtFine", np.full((HEIGHT, WIDTH), 255, np.uint8), "has the id 255"),
    ],
)
def test_an_image_of_another_kind_is_named(root, kind, image, message):
    path = path_of(root, kind, NAMES[0])
    cv2.imwrite(str(path), image)
    with pytest.raises(DataFileError, match=rf"{path.name}: .*{message}"):
        CityscapesViews(directory=str(root)).view(0)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("intrinsic", "fx", 0.0),
        ("intrinsic", "u0", 3000.0),
        ("extrinsic", "baseline", -0.2),
        ("extrinsic", "baseline", float("nan")),
        ("extrinsic", "baseline", None),
    ],
)
def test_a_camera_that_cannot_be_is_named(root, part, key, value):
    path = path_of(root, "camera", NAMES[0])
    path.write_text(json.dumps({**CAMERA, part: {**CAMERA[part], key: value}}))
    with pytest.raises(DataFileError, match=rf"{path.name}: '{part}\.{key}'"):
        CityscapesViews(directory=str(root)).view(0)


def test_wrong_parameters_are_named(whole):
    with pytest.raises(SequenceError, match=r"cityscapes: 'part': .*; parameters: directory, part"):
        CityscapesViews(directory=str(whole), part="trainval")


def test_an_index_outside_is_no_view(whole):
    with pytest.raises(IndexError, match="3 views and no view -1"):
        CityscapesViews(directory=str(whole)).view(-1)
