"""Labels of ScanNet's scenes: raw ids by its table to our label spaces, on the pixels of the depth camera."""

import logging
import pickle

import cv2
import numpy as np
import pytest
from scannet_files import (
    COLOUR_CAMERA,
    DEPTH_CAMERA,
    LABEL_TABLE,
    SCENE,
    raw_labels,
    recorded_frames,
    write_exported_scene,
    write_label_archive,
    write_label_table,
    write_labels,
    write_sens_scene,
)
from seen_room import view

from sequences.errors import DataFileError, SequenceError
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN
from sequences.reader import ReaderContext
from sequences.scannet import ScanNetSequence

COUNT = 6


def opened(folder, data=None, **parameters):
    return ScanNetSequence.open(
        "scene", {"directory": str(folder), **parameters}, ReaderContext(data, folder / "cache")
    )


def has_note(sequence, *parts):
    return any(all(part in note for part in parts) for note in sequence.info.notes)


def all_raw_labels():
    return [raw_labels(frame) for frame in recorded_frames()]


@pytest.fixture
def scene(tmp_path):
    folder = write_sens_scene(tmp_path)
    write_label_table(folder)
    return folder


@pytest.fixture
def labelled(scene):
    write_labels(scene, all_raw_labels())
    return scene


def seen_by_depth_camera(index, space="nyu40"):
    """Labels that the depth camera sees, and which pixels lie away from edges between them."""
    _, _, labels = view(recorded_frames()[index].pose.astype(np.float64), DEPTH_CAMERA)
    inside = cv2.dilate(labels, np.ones((5, 5))) == cv2.erode(labels, np.ones((5, 5)))
    inside[:5] = inside[-5:] = inside[:, :5] = inside[:, -5:] = False
    return load_label_space(space).from_nyu40()[labels], inside


@pytest.mark.parametrize("space", ["nyu40", "scannet20"])
def test_raw_ids_become_labels_of_the_space_that_was_asked_for(labelled, space):
    sequence = opened(labelled, label_space=space)
    assert sequence.info.label_space == space
    for index in (0, 5):
        labels = sequence.frame(index).labels
        expected, inside = seen_by_depth_camera(index, space)
        assert labels.dtype == np.uint8
        assert len(np.unique(expected[inside])) >= 4
        np.testing.assert_array_equal(labels[inside], expected[inside])


def test_labels_are_scannet20_by_default_and_classes_it_has_not_are_unknown(labelled):
    sequence = opened(labelled)
    assert sequence.info.label_space == "scannet20"
    nyu40, inside = seen_by_depth_camera(0)
    ceiling = inside & (nyu40 == 22)
    assert ceiling.any()
    assert (sequence.frame(0).labels[ceiling] == LABEL_UNKNOWN).all()


def test_an_id_of_more_than_eight_bits_is_not_cut_off(labelled):
    nyu40, inside = seen_by_depth_camera(0)
    cabinet = inside & (nyu40 == 3)
    assert cabinet.any()
    assert (opened(labelled, label_space="nyu40").frame(0).labels[cabinet] == 3).all()


def test_labels_are_taken_from_the_nearest_pixel_of_the_colour_camera(scene):
    rng = np.random.default_rng(5)
    image = rng.choice(np.array([1, 3, 41, 1163], np.uint16), (COLOUR_CAMERA.height, COLOUR_CAMERA.width))
    write_labels(scene, [image] * COUNT)
    labels = opened(scene, label_space="nyu40").frame(0).labels
    to_nyu40 = {1: 1, 3: 2, 41: 22, 1163: 3}
    for row, column in rng.integers(0, (120, 160), (200, 2)).tolist():
        x = (column - DEPTH_CAMERA.cx) / DEPTH_CAMERA.fx * COLOUR_CAMERA.fx + COLOUR_CAMERA.cx
        y = (row - DEPTH_CAMERA.cy) / DEPTH_CAMERA.fy * COLOUR_CAMERA.fy + COLOUR_CAMERA.cy
        if min(abs(x % 1 - 0.5), abs(y % 1 - 0.5)) < 1e-6:
            continue  # two pixels are equally near
        is_inside = 0 <= round(x) < COLOUR_CAMERA.width and 0 <= round(y) < COLOUR_CAMERA.height
        expected = to_nyu40[int(image[round(y), round(x)])] if is_inside else LABEL_UNKNOWN
        assert labels[row, column] == expected


def test_labels_out_of_an_archive_are_those_of_the_folder(labelled, tmp_path):
    packed = write_sens_scene(tmp_path / "packed")
    write_label_table(packed)
    write_label_archive(packed, all_raw_labels())
    sequence = opened(packed)
    for _ in range(2):
        np.testing.assert_array_equal(sequence.frame(4).labels, opened(labelled).frame(4).labels)
        sequence = pickle.loads(pickle.dumps(sequence))


def test_labels_of_eight_bits_are_raw_ids_as_well(scene):
    write_labels(scene, [np.full((242, 324), 41, np.uint8)] * COUNT)
    labels = opened(scene, label_space="nyu40").frame(0).labels
    assert (labels[5:-5, 5:-5] == 22).all()


def test_filtered_labels_are_preferred(labelled):
    write_labels(labelled, [np.full((242, 324), 41, np.uint16)] * COUNT, "label")
    assert has_note(opened(labelled), "those of label-filt, by scannetv2-labels.combined.tsv")


def test_unfiltered_labels_serve_where_there_are_no_others(scene):
    write_label_archive(scene, all_raw_labels(), "label")
    sequence = opened(scene)
    assert has_note(sequence, f"those of {SCENE}_2d-label.zip")
    assert sequence.frame(0).labels is not None


def test_labels_among_exported_images_are_found(tmp_path):
    folder = write_exported_scene(tmp_path, subfolder="frames")
    write_label_table(tmp_path)
    write_labels(folder / "frames", all_raw_labels(), "label")
    assert opened(folder).info.label_space == "scannet20"


def test_the_published_subset_has_nyu40_ids_already(tmp_path):
    folder = write_exported_scene(tmp_path)
    for kind in ("color", "depth"):
        (folder / "intrinsic" / f"intrinsic_{kind}.txt").rename(folder / f"intrinsics_{kind}.txt")
    write_labels(folder, [frame.labels for frame in recorded_frames()], "label")
    sequence = opened(folder, label_space="nyu40")
    expected, inside = seen_by_depth_camera(2)
    np.testing.assert_array_equal(sequence.frame(2).labels[inside], expected[inside])
    assert has_note(sequence, "by NYU-40")


def test_frames_without_a_label_image_are_unknown_and_counted(labelled):
    (labelled / "label-filt" / "3.png").unlink()
    sequence = opened(labelled)
    assert (sequence.frame(3).labels == LABEL_UNKNOWN).all()
    assert has_note(sequence, "1 of 6 frames have no label image")


def test_labels_go_by_the_number_of_the_frame(tmp_path):
    folder = write_exported_scene(tmp_path, names=["1", "2", "10", "11", "12", "20"])
    write_label_table(folder)
    (folder / "label-filt").mkdir()
    cv2.imwrite(str(folder / "label-filt" / "10.png"), np.full((242, 324), 41, np.uint16))
    sequence = opened(folder, label_space="nyu40")
    assert (sequence.frame(2).labels[5:-5, 5:-5] == 22).all()
    assert (sequence.frame(1).labels == LABEL_UNKNOWN).all()


@pytest.mark.parametrize("steps_up", [0, 1, 3])
def test_the_table_is_found_in_every_folder_up_to_the_data_directory(tmp_path, steps_up):
    folder = write_sens_scene(tmp_path / "data" / "scannet" / "scans")
    write_labels(folder, all_raw_labels())
    write_label_table([folder, *folder.parents][steps_up])
    assert opened(folder, tmp_path / "data").info.label_space == "scannet20"


def test_the_table_is_not_looked_for_above_the_data_directory(tmp_path):
    folder = write_sens_scene(tmp_path / "data")
    write_labels(folder, all_raw_labels())
    write_label_table(tmp_path)
    assert opened(folder, tmp_path / "data").info.label_space is None


def test_without_a_data_directory_the_table_is_found_where_the_release_has_it(tmp_path):
    folder = write_sens_scene(tmp_path / "scans")
    write_labels(folder, all_raw_labels())
    write_label_table(tmp_path)
    assert opened(folder).info.label_space == "scannet20"


def test_without_the_table_there_are_no_labels_and_a_note_says_what_to_do(tmp_path):
    folder = write_sens_scene(tmp_path / "deep" / "down")
    write_labels(folder, all_raw_labels())
    sequence = opened(folder, tmp_path)
    assert sequence.info.label_space is None
    assert sequence.frame(0).labels is None
    assert has_note(sequence, f"put {LABEL_TABLE}", "label_table")


def test_the_table_may_be_named(tmp_path):
    folder = write_sens_scene(tmp_path / "scenes" / "more" / "deeper")
    write_labels(folder, all_raw_labels())
    (tmp_path / "tables").mkdir()
    table = write_label_table(tmp_path / "tables")
    assert opened(folder, tmp_path, label_table=f"tables/{LABEL_TABLE}").info.label_space
    assert opened(folder, tmp_path, label_table=str(table)).info.label_space
    with pytest.raises(SequenceError, match=r"elsewhere\.tsv: the label table is missing"):
        opened(folder, tmp_path, label_table="elsewhere.tsv")


def test_ids_that_the_table_has_not_are_unknown_and_said_once(tmp_path, caplog):
    folder = write_sens_scene(tmp_path)
    write_label_table(folder, without=[1163, 3])
    write_labels(folder, all_raw_labels())
    sequence = opened(folder, label_space="nyu40")
    with caplog.at_level(logging.WARNING):
        labels = [sequence.frame(index).labels for index in (0, 1, 0)]
    nyu40, inside = seen_by_depth_camera(0)
    assert (labels[0][inside & (nyu40 == 3)] == LABEL_UNKNOWN).all()
    assert len(caplog.records) == 1
    assert "2 ids in label images that scannetv2-labels.combined.tsv does not have" in caplog.text
    assert "3, 1163" in caplog.text


def test_ids_without_a_counterpart_and_id_0_are_unknown_and_not_worth_a_word(scene, caplog):
    image = np.full((242, 324), 203, np.uint16)
    image[:100] = 0
    write_labels(scene, [image] * COUNT)
    assert (opened(scene).frame(0).labels == LABEL_UNKNOWN).all()
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id\tcategory\n1\twall\n", ":1: has no columns 'id' and 'nyu40id'"),
        ("id\tnyu40id\n", "has no row"),
        ("id\tcategory\tnyu40id\n1\twall\n", ":2: has 2 columns, expected 3"),
        ("id\tnyu40id\n1\t1\n\nwall\t1\n", ":4: 'wall' and '1' are no id and NYU-40 id"),
        ("id\tnyu40id\n70000\t1\n", ":2: '70000' and '1'"),
    ],
)
def test_a_malformed_table_is_named_with_its_line(labelled, text, problem):
    (labelled / LABEL_TABLE).write_text(text)
    with pytest.raises(DataFileError) as caught:
        opened(labelled)
    assert caught.value.path == labelled / LABEL_TABLE
    assert problem in str(caught.value)


def test_columns_are_found_by_name_wherever_they_are(labelled):
    rows = ["nyu40id\tother\tid", "1\tx\t1", "2\tx\t3", "22\tx\t41", "3\tx\t1163", "9\tx\t16", "8\tx\t5"]
    (labelled / LABEL_TABLE).write_bytes("\r\n".join(rows).encode())
    expected, inside = seen_by_depth_camera(1)
    labels = opened(labelled, label_space="nyu40").frame(1).labels
    np.testing.assert_array_equal(labels[inside], expected[inside])


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.zeros((120, 160), np.uint16), "is 160×120, the calibration says 324×242"),
        (np.zeros((242, 324, 3), np.uint8), "3 channels of uint8"),
    ],
)
def test_label_images_of_the_wrong_kind_name_file_and_frame(labelled, image, problem):
    path = labelled / "label-filt" / "2.png"
    cv2.imwrite(str(path), image)
    with pytest.raises(DataFileError, match="frame 2: the label image") as caught:
        opened(labelled).frame(2)
    assert caught.value.path == path
    assert problem in str(caught.value)


def test_a_damaged_archive_is_named(scene):
    path = write_label_archive(scene, all_raw_labels())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataFileError, match="is no ZIP file"):
        opened(scene)
    broken = bytearray(content)
    broken[60:200] = bytes(140)
    path.write_bytes(broken)
    sequence = opened(scene)
    with pytest.raises(DataFileError, match=r"frame 0: the label image \(label-filt/0.png\) cannot be read"):
        sequence.frame(0)
    assert sequence.frame(4).labels is not None


def test_the_labelled_mesh_is_the_true_scene_without_objects_and_rooms(scene):
    assert opened(scene).scene_truth() is None
    mesh = scene / f"{SCENE}_vh_clean_2.labels.ply"
    mesh.write_bytes(b"ply\n")
    truth = opened(scene).scene_truth()
    assert (truth.mesh_path, truth.label_space, truth.objects, truth.rooms) == (mesh, "nyu40", (), ())
