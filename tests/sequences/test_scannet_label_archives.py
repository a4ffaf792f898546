"""Archives of label images that are damaged in ways that Python's zipfile does not call damage."""

import pytest
from slam_test_file_server import zip_of

from sequences.errors import DataFileError
from sequences.scannet.labels import LabelArchive


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scene0000_00_2d-label-filt.zip"


@pytest.mark.parametrize(("method", "content"), [(8, b"x"), (12, b"x" * 40), (14, bytes(40)), (99, b"x")])
def test_images_that_are_not_compressed_as_the_archive_says_cannot_be_read(path, method, content):
    path.write_bytes(zip_of({"label-filt/3.png": content}, method=method))
    labels = LabelArchive(path)
    with pytest.raises(DataFileError, match=r"frame 1: .*3\.png\) cannot be read: .+; download") as caught:
        labels.encoded(3, 1)
    assert caught.value.path == path


def test_a_name_in_no_encoding_is_said(path):
    path.write_bytes(zip_of({b"label-filt/\xff\xfe.png": b""}, utf8=True))
    with pytest.raises(DataFileError, match=r"is no ZIP file: .*; download it again"):
        LabelArchive(path)


def test_a_number_of_thousands_of_digits_is_that_of_no_frame(path):
    path.write_bytes(zip_of({f"label-filt/{'1' * 5000}.png": b"", "label-filt/7.png": b"seven"}))
    labels = LabelArchive(path)
    assert labels.numbers == {7}
    assert labels.encoded(7, 0).content == b"seven"
