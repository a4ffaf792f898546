"""Videos: every frame that decodes, at its own time, the same one whatever was read before."""

import logging
import pickle
import random
import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_files import (
    CALIBRATION,
    decoded_in_order,
    number_in,
    set_durations,
    set_rotation,
    write_video,
)

from sequences import video_frames
from sequences.calibration import EXAMPLE
from sequences.errors import DataFileError, SequenceError
from sequences.read_ahead import frames_ahead
from sequences.reader import ReaderContext
from sequences.video import VIDEO_SUFFIXES, VideoSequence

FRAMES = 60
# MPEG-2 has frames that depend on later ones in both containers. Of H.264 and H.265, OpenCV's packages have
# decoders and no encoders.
KINDS = [
    ("clip.mp4", "mp4v"),
    ("clip.mov", "mp4v"),
    ("clip.mkv", "FFV1"),
    ("clip.avi", "MJPG"),
    ("clip.webm", "VP90"),
    ("b_frames.mp4", "mpg2"),
    ("b_frames.avi", "MPG2"),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[1]}-{kind[0]}")
def clip(request, tmp_path_factory):
    """A video of one kind, and its frames as they come when nothing is skipped."""
    name, codec = request.param
    path = write_video(tmp_path_factory.mktemp("clip") / name, codec, FRAMES)
    return path, decoded_in_order(path)


@pytest.fixture
def mp4(tmp_path):
    return write_video(tmp_path / "clip.mp4", "mp4v", FRAMES)


def opened(path, **parameters):
    context = ReaderContext(data_directory=None, cache_directory=path.parent / "cache")
    return VideoSequence.open("clip", {"directory": str(path), **parameters}, context)


def opening_fails(path, file, **parameters):
    with pytest.raises(DataFileError) as caught:
        opened(path, **parameters)
    assert caught.value.path == path.with_name(file)
    return str(caught.value)


def test_every_frame_is_the_one_with_its_number(clip):
    path, images = clip
    sequence = opened(path)
    assert len(sequence) == len(images) == FRAMES
    for index, frame in enumerate(sequence):
        assert (frame.index, number_in(frame.rgb)) == (index, index)
        np.testing.assert_array_equal(frame.rgb, images[index])
        assert frame.depth is None
    assert [(part.what, part.count, part.total) for part in sequence.info.left_out] == [
        ("video frames", 0, FRAMES)
    ]


def test_times_are_those_of_the_video(clip):
    path, _ = clip
    times = opened(path).info.timestamps_ns
    assert (np.diff(times) > 0).all()
    # Matroska and WebM keep whole milliseconds.
    np.testing.assert_allclose(times - times[0], np.arange(FRAMES) * 1e9 / 30, atol=1e6)


def test_files_with_frames_that_depend_on_later_ones_are_among_these(tmp_path):
    content = write_video(tmp_path / "clip.mp4", "mpg2").read_bytes()
    assert b"ctts" in content, "without this box frames are stored in the order in which they are shown"


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_frame_is_the_same_in_whichever_order_frames_are_read(clip, data):
    path, images = clip
    sequence = opened(path)
    for index in data.draw(st.lists(st.integers(0, FRAMES - 1), max_size=12)):
        np.testing.assert_array_equal(sequence.frame(index).rgb, images[index])


@pytest.mark.parametrize(
    "durations",
    [
        [512 if index % 7 else 2048 for index in range(FRAMES)],
        [512] * 30 + [20 * 15360] + [512] * 29,
        [16 * (index + 1) for index in range(FRAMES)],
    ],
    ids=["uneven", "pause", "slower and slower"],
)
def test_at_a_varying_rate_every_frame_has_its_own_time_and_is_found(mp4, durations):
    set_durations(mp4, durations)
    sequence = opened(mp4)
    expected = np.cumsum([0, *durations[:-1]]) / 15360 * 1e9
    np.testing.assert_allclose(sequence.info.timestamps_ns, expected, atol=1)
    order = random.Random(0).sample(range(FRAMES), FRAMES)
    assert [number_in(sequence.frame(index).rgb) for index in order] == order


class UnreliableCapture:
    """A decoder that comes out anywhere when it is sent to a frame, with broken images at first."""

    def __init__(self, capture, broken):
        self._capture, self._most_broken = capture, broken
        self._broken = 0
        self._random = random.Random(1)

    def set(self, key, value):
        if key == cv2.CAP_PROP_POS_MSEC:
            self._broken = self._most_broken
            value = self._random.uniform(0, 2000)
        return self._capture.set(key, value)

    def read(self):
        succeeded, image = self._capture.read()
        if succeeded and self._broken:
            self._broken -= 1
            image = np.roll(image, 3, axis=1)
        return succeeded, image

    def __getattr__(self, name):
        return getattr(self._capture, name)


@pytest.mark.parametrize("broken", [0, 1, 3])
def test_a_frame_is_right_though_the_decoder_comes_out_elsewhere_or_with_broken_images(
    tmp_path, monkeypatch, broken
):
    path = write_video(tmp_path / "clip.avi", "MJPG", FRAMES)
    images, sequence, open_video = decoded_in_order(path), opened(path), video_frames.open_video
    monkeypatch.setattr(video_frames, "open_video", lambda path: UnreliableCapture(open_video(path), broken))
    for index in random.Random(2).choices(range(FRAMES), k=40):
        np.testing.assert_array_equal(sequence.frame(index).rgb, images[index])


def test_frames_read_in_order_by_several_threads_are_never_looked_for(mp4, monkeypatch):
    sequence = opened(mp4)
    monkeypatch.setattr(
        video_frames.VideoFrames, "_send_near", lambda self, capture, index: pytest.fail(f"frame {index}")
    )
    assert [number_in(frame.rgb) for frame in frames_ahead(sequence, workers=3)] == list(range(FRAMES))


def test_threads_that_read_in_any_order_get_the_right_frames(mp4):
    sequence, wrong = opened(mp4), []

    def read(seed):
        for index in random.Random(seed).choices(range(FRAMES), k=40):
            if number_in(sequence.frame(index).rgb) != index:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_sequence_in_use_can_be_sent_to_another_process(mp4):
    sequence = opened(mp4)
    sequence.frame(10)
    copy = pickle.loads(pickle.dumps(sequence))
    assert [number_in(copy.frame(index).rgb) for index in (11, 3, 59)] == [11, 3, 59]
    assert number_in(sequence.frame(11).rgb) == 11


def test_what_is_in_a_video_is_found_out_once(mp4):
    reports = []
    context = ReaderContext(None, mp4.parent / "cache", lambda *report: reports.append(report))
    first = VideoSequence.open("clip", {"directory": str(mp4)}, context)
    assert reports[-1] == ("indexing clip.mp4", FRAMES, FRAMES)
    reports.clear()
    second = VideoSequence.open("clip", {"directory": str(mp4)}, context)
    assert reports == []
    np.testing.assert_array_equal(first.info.timestamps_ns, second.info.timestamps_ns)
    assert number_in(second.frame(40).rgb) == 40
    (index,) = (mp4.parent / "cache").rglob("*.*")
    index.write_text('{"times_ms": [0]')
    assert len(VideoSequence.open("clip", {"directory": str(mp4)}, context)) == FRAMES
    assert reports
    reports.clear()
    write_video(mp4, "mp4v", 20)
    assert len(VideoSequence.open("clip", {"directory": str(mp4)}, context)) == 20
    assert reports


def test_without_a_place_for_it_nothing_is_kept(mp4):
    before = sorted(mp4.parent.iterdir())
    assert len(VideoSequence("clip", mp4)) == FRAMES
    assert sorted(mp4.parent.iterdir()) == before


def test_a_place_that_cannot_be_written_to_is_logged_and_the_video_is_read(mp4, caplog):
    (mp4.parent / "cache").write_text("a file in the place of the folder")
    with caplog.at_level(logging.WARNING):
        assert len(opened(mp4)) == FRAMES
    assert "the index of" in caplog.text


def test_a_video_that_is_exchanged_after_opening_is_noticed(mp4):
    sequence = opened(mp4)
    write_video(mp4, "mp4v", 30)
    with pytest.raises(DataFileError, match="frame 3: the video was changed after it was opened"):
        sequence.frame(3)
    mp4.unlink()
    with pytest.raises(DataFileError, match="frame 3: the video cannot be read: No such file"):
        sequence.frame(3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("clip.avi", "MJPG"), ("clip.avi", "XVID"), ("clip.mkv", "FFV1"), ("clip.webm", "VP80")],
)
def test_of_a_truncated_video_the_frames_that_decode_are_there_and_the_others_counted(tmp_path, name, codec):
    path = write_video(tmp_path / name, codec, FRAMES)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    sequence = opened(path)
    assert 0 < len(sequence) < FRAMES
    missing = FRAMES - len(sequence)
    assert (
        f"{missing} of {FRAMES} video frames left out: the file promises them and they do not decode."
        in sequence.info.notes
    )
    # The last one may be cut in the middle.
    for index in range(len(sequence) - 1):
        assert number_in(sequence.frame(index).rgb) == index


def test_a_container_that_works_out_the_number_of_frames_from_a_rate_hides_none(tmp_path):
    path = write_video(tmp_path / "clip.mkv", "FFV1", FRAMES)
    # The element DefaultDuration, in nanoseconds: 60 frames a second where there are 30, and the duration is
    # as it was, as in a recording at a varying rate.
    stated = b"\x23\xe3\x83\x84" + round(1e9 / 30).to_bytes(4, "big")
    assert stated in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(stated, stated[:4] + round(1e9 / 60).to_bytes(4, "big")))
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) == 2 * FRAMES
    sequence = opened(path)
    assert len(sequence) == FRAMES
    assert sequence.info.left_out[0].count == 0


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 100, None], ids=["empty", "text", "cut"])
def test_what_is_no_video_or_lost_its_end_is_said(mp4, content):
    mp4.write_bytes(mp4.read_bytes()[:4000] if content is None else content)
    assert "cannot be opened as a video" in opening_fails(mp4, "clip.mp4")


def test_a_folder_called_like_a_video_is_refused(tmp_path):
    (tmp_path / "clip.mp4").mkdir()
    assert not VideoSequence.recognises(tmp_path / "clip.mp4")
    assert "is no file" in opening_fails(tmp_path / "clip.mp4", "clip.mp4")


def test_a_video_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SequenceError, match=r"clip\.mp4"):
        opened(tmp_path / "clip.mp4")


def test_times_that_do_not_increase_are_replaced_by_the_stated_rate_where_the_others_agree(tmp_path):
    # OpenCV knows no time of the last frame of such a file and says 0.
    path = write_video(tmp_path / "clip.avi", "MPG2", FRAMES)
    sequence = opened(path)
    assert any(
        "1 of the 60 time stamps in the video are not after those before them; frames are 1/30 s apart"
        in note
        for note in sequence.info.notes
    )
    first = sequence.info.timestamps_ns[0]
    np.testing.assert_allclose(sequence.info.timestamps_ns - first, np.arange(FRAMES) * 1e9 / 30, atol=1)


def test_times_that_do_not_increase_are_refused_where_the_others_are_not_at_a_rate(mp4):
    set_durations(mp4, [512 if index % 7 else 0 for index in range(FRAMES)])
    message = opening_fails(mp4, "clip.mp4")
    assert "9 of the 60 time stamps in the video are not after those before them" in message
    assert "parameter rate_hz" in message
    sequence = opened(mp4, rate_hz=10)
    assert sequence.info.timestamps_ns[:3].tolist() == [0, 100_000_000, 200_000_000]
    assert any("were not used; frames are 1/10 s apart" in note for note in sequence.info.notes)


def test_an_impossible_rate_is_refused(mp4):
    with pytest.raises(SequenceError, match="'rate_hz'"):
        opened(mp4, rate_hz=-1)


def test_frames_are_not_turned_whatever_the_video_says(mp4):
    upright = opened(mp4).frame(5).rgb
    set_rotation(mp4)
    sequence = opened(mp4)
    np.testing.assert_array_equal(sequence.frame(5).rgb, upright)
    assert any("turn the picture by 90°" in note for note in sequence.info.notes)
    mp4.with_name("clip.calibration.txt").write_text(CALIBRATION.replace("64 48", "48 64"))
    message = opening_fails(mp4, "clip.mp4")
    assert "is 64×48 (as stored; players turn the picture, which is not done here)" in message


def test_a_calibration_of_another_size_is_refused(mp4):
    mp4.with_name("clip.calibration.txt").write_text(CALIBRATION.replace("64 48", "640 480"))
    message = opening_fails(mp4, "clip.mp4")
    assert "the video is 64×48, clip.calibration.txt says 640×480" in message


def test_without_calibration_opening_says_what_to_write(mp4):
    mp4.with_name("clip.calibration.txt").unlink()
    assert not VideoSequence.recognises(mp4)
    assert EXAMPLE in opening_fails(mp4, "clip.calibration.txt")


def test_a_camera_that_looks_upside_down_is_refused(mp4):
    mp4.with_name("clip.calibration.txt").write_text(CALIBRATION.replace("60 60", "60 -60"))
    assert "fy is negative" in opening_fails(mp4, "clip.calibration.txt")


def test_a_videos_own_calibration_comes_before_that_of_its_folder(mp4):
    mp4.with_name("calibration.txt").write_text(CALIBRATION.replace("60 60", "70 70"))
    assert opened(mp4).info.intrinsics.fx == 60
    mp4.with_name("clip.calibration.txt").unlink()
    assert VideoSequence.recognises(mp4)
    sequence = opened(mp4)
    assert sequence.info.intrinsics.fx == 70
    assert sequence.info.source["calibration"] == "calibration.txt"


def test_lens_distortion_is_removed(mp4):
    plain = opened(mp4).frame(0).rgb
    mp4.with_name("clip.calibration.txt").write_text(CALIBRATION + "# d0..d4 = 0.9 -0.1 0.01 0.005 0\n")
    sequence = opened(mp4)
    camera, distortion = sequence.info.intrinsics.matrix(), np.array([0.9, -0.1, 0.01, 0.005, 0])
    expected = cv2.undistort(plain, camera, distortion).astype(int)
    # OpenCV's own way knows positions to 1/32 pixel.
    np.testing.assert_allclose(sequence.frame(0).rgb.astype(int), expected, atol=12)
    assert np.abs(expected - plain).mean() > 20


def test_ground_truth_lies_beside_the_video_on_its_clock(mp4):
    assert opened(mp4).ground_truth() is None
    mp4.with_name("clip.groundtruth.txt").write_text("0 0 0 0 0 0 0 1\n1 1 0 0 0 0 0 1\n")
    assert opened(mp4).ground_truth().timestamps_ns.tolist() == [0, 1_000_000_000]
    mp4.with_name("clip.groundtruth.txt").write_text("100 0 0 0 0 0 0 1\n")
    assert "do not overlap in time" in opening_fails(mp4, "clip.groundtruth.txt")


def test_files_with_the_endings_of_videos_are_recognised_and_nothing_else(tmp_path):
    (tmp_path / "calibration.txt").write_text(CALIBRATION)
    names = [*(f"clip{suffix}" for suffix in VIDEO_SUFFIXES), "CLIP.MP4"]
    for name in [*names, "clip.txt", "clip"]:
        (tmp_path / name).touch()
    recognised = {path.name for path in tmp_path.iterdir() if VideoSequence.recognises(path)}
    assert recognised == set(names)
    assert not VideoSequence.recognises(tmp_path)
    assert not VideoSequence.recognises(tmp_path / "gone.mp4")
    assert VideoSequence.file_suffixes == VIDEO_SUFFIXES
