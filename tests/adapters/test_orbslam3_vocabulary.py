"""Training, checking and fetching vocabularies for ORB-SLAM3."""

import dataclasses
import hashlib
import http.server
import io
import tarfile
import threading

import cv2
import numpy as np
import pytest

from adapters.backend import BackendInputError
from adapters.errors import BackendUnavailableError
from adapters.orbslam3 import OrbSlam3Adapter
from adapters.orbslam3 import vocabulary as vocabulary_module
from adapters.orbslam3.vocabulary import main, obtain_vocabulary, trained_vocabulary
from adapters.orbslam3.vocabulary_download import download_vocabulary
from adapters.orbslam3.vocabulary_file import (
    VocabularyError,
    check_vocabulary_file,
    vocabulary_text,
    write_vocabulary,
)
from adapters.orbslam3.vocabulary_training import TrainingParameters, train_vocabulary

SMALL = TrainingParameters(branching=8, depth=3, views_per_image=5, features_per_view=200, seed=5)


def textured_images(count=3):
    random = np.random.default_rng(1)
    for _ in range(count):
        yield cv2.resize(
            random.integers(0, 256, (30, 40), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC
        )


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(textured_images(), SMALL)


def test_training_repeats_bit_for_bit_and_depends_on_the_seed(vocabulary):
    again = train_vocabulary(textured_images(), SMALL)
    other = train_vocabulary(textured_images(), dataclasses.replace(SMALL, seed=6))
    assert vocabulary_text(again) == vocabulary_text(vocabulary)
    assert vocabulary_text(other) != vocabulary_text(vocabulary)


def test_nodes_come_after_their_parents_and_leaves_have_no_children(vocabulary):
    numbers = np.arange(1, len(vocabulary.parents) + 1)
    assert (vocabulary.parents < numbers).all()
    assert not np.isin(numbers[vocabulary.is_leaf], vocabulary.parents).any()
    assert np.isin(numbers[~vocabulary.is_leaf], vocabulary.parents).all()
    assert np.bincount(vocabulary.parents).max() <= SMALL.branching


def test_no_word_lies_deeper_than_the_tree_may_be(vocabulary):
    depths = [0]
    for parent in vocabulary.parents:
        depths.append(depths[parent] + 1)
    assert max(depths) <= SMALL.depth


def test_words_weigh_the_inverse_frequency_of_documents_and_inner_nodes_nothing(vocabulary):
    documents = 3 * SMALL.views_per_image
    assert (vocabulary.weights[~vocabulary.is_leaf] == 0.0).all()
    found_in = documents / np.exp(vocabulary.weights[vocabulary.is_leaf])
    np.testing.assert_allclose(found_in, np.round(found_in), atol=1e-9)
    assert found_in.min() >= 1.0 - 1e-9
    assert found_in.max() <= documents + 1e-9


def test_centres_are_nearer_to_their_own_children_than_to_others(vocabulary):
    bits = np.unpackbits(vocabulary.descriptors, axis=1).astype(int)
    top = np.flatnonzero(vocabulary.parents == 0)
    children = np.flatnonzero(np.isin(vocabulary.parents - 1, top))
    distances = np.abs(bits[children][:, None] - bits[top][None]).sum(axis=2)
    own = np.searchsorted(top, vocabulary.parents[children] - 1)
    assert (distances.argmin(axis=1) == own).mean() > 0.8


def test_the_text_has_a_header_one_line_per_node_and_no_newline_at_the_end(vocabulary):
    text = vocabulary_text(vocabulary)
    lines = text.split("\n")
    assert lines[0] == "8 3 0 0"
    assert len(lines) == 1 + len(vocabulary.parents)
    parent, is_leaf, *rest = lines[1].split()
    assert (parent, is_leaf) == ("0", "0")
    assert [int(entry) for entry in rest[:32]] == vocabulary.descriptors[0].tolist()
    assert lines[-1]


def test_images_without_corners_cannot_be_trained_from():
    flat = np.full((100, 100), 128, dtype=np.uint8)
    with pytest.raises(VocabularyError, match="too few ORB features"):
        train_vocabulary([flat], SMALL)


def test_images_that_share_all_their_words_cannot_be_trained_from():
    few_words = dataclasses.replace(SMALL, branching=2, depth=1, views_per_image=2)
    with pytest.raises(VocabularyError, match="add more images"):
        train_vocabulary(textured_images(1), few_words)


def test_the_command_trains_from_a_folder_and_writes_a_file_that_passes_the_check(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for number, image in enumerate(textured_images(2)):
        cv2.imwrite(str(images / f"{number}.png"), image)
    output = tmp_path / "made" / "words.txt"
    assert main(["--output", str(output), "--images", str(images), "--seed", "3"]) == 0
    check_vocabulary_file(output)


def test_the_command_ends_with_code_two_when_the_folder_has_no_images(tmp_path, caplog):
    assert main(["--output", str(tmp_path / "words.txt"), "--images", str(tmp_path)]) == 2
    assert "no PNG or JPEG images" in caplog.text
    assert not (tmp_path / "words.txt").exists()


def test_a_trained_vocabulary_is_taken_from_the_cache_the_second_time(tmp_path, monkeypatch):
    photographs = [tmp_path / f"{number}.png" for number in range(3)]
    for photograph, image in zip(photographs, textured_images(), strict=True):
        cv2.imwrite(str(photograph), image)
    monkeypatch.setattr(vocabulary_module, "packaged_photographs", lambda: photographs)
    first = trained_vocabulary(tmp_path / "cache", SMALL)
    written = first.stat().st_mtime_ns
    assert trained_vocabulary(tmp_path / "cache", SMALL) == first
    assert first.stat().st_mtime_ns == written
    assert trained_vocabulary(tmp_path / "cache", dataclasses.replace(SMALL, seed=9)) != first


@pytest.mark.parametrize("vocabulary", ["trained", "download"])
def test_a_cache_that_cannot_be_written_to_is_named_with_the_variable_that_moves_it(tmp_path, vocabulary):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(BackendInputError, match=r"blocked/cache/.*cannot be kept .*set .* XDG_CACHE_HOME"):
        OrbSlam3Adapter().prepare({"vocabulary": vocabulary}, blocked / "cache")


def test_missing_photographs_make_the_backend_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary_module, "_PHOTOGRAPHS", {"no_such_package": ("data", ("a.png",))})
    with pytest.raises(BackendUnavailableError, match="no_such_package lacks"):
        OrbSlam3Adapter().prepare({}, tmp_path)


def test_missing_photographs_are_named_with_the_command_that_brings_them(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary_module, "_PHOTOGRAPHS", {"no_such_package": ("data", ("a.png",))})
    with pytest.raises(VocabularyError, match=r"no_such_package lacks a\.png\): pip install"):
        trained_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: expected the four whole numbers"),
        ("<html>not found</html>\n", "line 1"),
        ("99 4 0 0\n", "99 4 0 0 is not a vocabulary's header"),
        ("10 6 0 0\n0 0 1 2 3\n", "line 2: expected a node"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "ORBvoc.txt"
    path.write_text(content)
    with pytest.raises(VocabularyError, match=message):
        check_vocabulary_file(path)


def test_a_vocabulary_that_is_not_there_is_the_users_mistake(tmp_path):
    with pytest.raises(BackendInputError, match=r"nowhere\.txt: the vocabulary cannot be read"):
        OrbSlam3Adapter().prepare({"vocabulary": str(tmp_path / "nowhere.txt")}, tmp_path)


def test_preparing_turns_the_vocabulary_into_a_path_and_keeps_the_other_options(tmp_path, vocabulary):
    path = tmp_path / "words.txt"
    write_vocabulary(vocabulary, path)
    prepared = OrbSlam3Adapter().prepare({"vocabulary": str(path), "features": 1200}, tmp_path)
    assert prepared["vocabulary"] == str(path)
    assert prepared["features"] == 1200
    assert "vocabulary_url" not in prepared


@pytest.fixture(scope="module")
def archive(vocabulary):
    content = vocabulary_text(vocabulary).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as members:
        link = tarfile.TarInfo("ORBvoc.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        members.addfile(link)
        member = tarfile.TarInfo("../../Vocabulary/ORBvoc.txt")
        member.size = len(content)
        members.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def mirror(archive):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/missing":
                self.send_error(404, "Not Found")
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(archive)))
            self.end_headers()
            self.wfile.write(archive[: len(archive) // 2] if self.path == "/truncated" else archive)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def sha1_of(content):
    return hashlib.sha1(content).hexdigest()


def test_the_download_is_checked_unpacked_and_kept(tmp_path, mirror, archive, vocabulary):
    path = download_vocabulary(tmp_path, f"{mirror}/good", sha1_of(archive))
    assert path.read_text() == vocabulary_text(vocabulary)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert download_vocabulary(tmp_path, f"{mirror}/missing", sha1_of(archive)) == path


@pytest.mark.parametrize(
    ("page", "message"),
    [("missing", "the server answered 404"), ("truncated", "the connection ended after"), ("good", "SHA-1")],
)
def test_a_download_that_is_not_the_archive_leaves_nothing_behind(tmp_path, mirror, archive, page, message):
    expected = sha1_of(b"another file") if page == "good" else sha1_of(archive)
    with pytest.raises(VocabularyError, match=message):
        download_vocabulary(tmp_path, f"{mirror}/{page}", expected)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached_makes_the_backend_unavailable(tmp_path):
    options = {"vocabulary": "download", "vocabulary_url": "http://127.0.0.1:9/ORBvoc.txt.tar.gz"}
    with pytest.raises(BackendUnavailableError, match="cannot be fetched"):
        OrbSlam3Adapter().prepare(options, tmp_path)


@pytest.mark.parametrize("url", ["vocabulary.tar.gz", "http://host name/"])
def test_an_address_that_is_none_is_the_users_mistake(tmp_path, url):
    with pytest.raises(BackendInputError, match=r"vocabulary_url: .* is no address"):
        OrbSlam3Adapter().prepare({"vocabulary": "download", "vocabulary_url": url}, tmp_path)


def test_an_address_that_leads_to_nothing_is_the_users_mistake(tmp_path, mirror):
    options = {"vocabulary": "download", "vocabulary_url": f"{mirror}/missing"}
    with pytest.raises(BackendInputError, match="the server answered 404"):
        OrbSlam3Adapter().prepare(options, tmp_path)


def test_the_official_checksum_is_demanded_of_a_mirror(tmp_path, mirror):
    with pytest.raises(VocabularyError, match="instead of ad82cc2a05da116bf211192e4748024a19b7606e"):
        obtain_vocabulary("download", tmp_path, f"{mirror}/good")
