"""Options of ORB-SLAM3, its settings file, and what becomes of its maps and states."""

import cv2
import pytest

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.options import default_options, parse_options
from adapters.orbslam3 import OrbSlam3Adapter
from adapters.orbslam3.map_history import MapHistory, OrbState
from adapters.orbslam3.settings import OrbSlam3Options, settings_text

INTRINSICS = CameraIntrinsics(fx=517.3, fy=516.5, cx=318.6, cy=255.0, width=640, height=480)


@pytest.fixture
def written_settings(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(settings_text(INTRINSICS, 29.97, OrbSlam3Options(features=1500)))
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    assert storage.isOpened()
    yield storage
    storage.release()


def test_the_settings_file_is_read_by_opencv_with_the_camera_given(written_settings):
    assert written_settings.getNode("File.version").string() == "1.0"
    assert written_settings.getNode("Camera.type").string() == "PinHole"
    assert written_settings.getNode("Camera1.fx").real() == 517.3
    assert written_settings.getNode("Camera1.cy").real() == 255.0
    assert int(written_settings.getNode("Camera.width").real()) == 640
    assert int(written_settings.getNode("Camera.fps").real()) == 30
    assert int(written_settings.getNode("ORBextractor.nFeatures").real()) == 1500


def test_the_settings_say_red_first_metres_and_no_distortion(written_settings):
    assert written_settings.getNode("Camera.RGB").real() == 1
    assert written_settings.getNode("RGBD.DepthMapFactor").real() == 1.0
    assert written_settings.getNode("Camera1.k1").empty()


def test_whole_numbers_and_reals_keep_their_yaml_types(written_settings):
    # ORB-SLAM3 ends the process when an entry has the other type.
    assert written_settings.getNode("Camera1.cy").isReal()
    assert written_settings.getNode("ORBextractor.nLevels").isInt()


def test_a_slow_sensor_still_has_a_frame_rate_of_one(tmp_path):
    assert "Camera.fps: 1\n" in settings_text(INTRINSICS, 0.2, OrbSlam3Options())


def test_an_unknown_option_is_named_together_with_the_known_ones():
    with pytest.raises(BackendInputError, match=r"unknown option nfeatures; the options are .*features"):
        parse_options(OrbSlam3Options, {"nfeatures": 500})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "many"}, "features must be of type int, got 'many'"),
        ({"features": True}, "features must be of type int"),
        ({"features": 5}, "features must be at least 100"),
        ({"scale_factor": 1}, "scale_factor must be above 1"),
        ({"fast_threshold": 5}, "low_fast_threshold"),
        ({"baseline": 0.0}, "baseline"),
        ({"mono_wait_periods": -1.0}, "mono_wait_periods"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(BackendInputError, match=message):
        parse_options(OrbSlam3Options, options)


def test_a_whole_number_is_taken_where_a_real_one_is_expected():
    assert parse_options(OrbSlam3Options, {"close_depth": 30}).close_depth == 30.0


def test_the_adapter_lists_every_option_with_its_default():
    defaults = OrbSlam3Adapter().default_options
    assert {name: defaults[name] for name in default_options(OrbSlam3Options)} == default_options(
        OrbSlam3Options
    )
    assert set(defaults) - set(default_options(OrbSlam3Options)) == {"vocabulary_url"}


def history_of(*states: OrbState) -> MapHistory:
    history = MapHistory()
    for state in states:
        history.observe(state)
    return history


def test_one_map_that_is_lost_and_found_again_stays_one_map():
    history = history_of(OrbState.NO_MAP, OrbState.OK, OrbState.RECENTLY_LOST, OrbState.OK)
    assert (history.started, history.kept, history.discarded) == (1, 0, 0)
    assert history.origin_is_the_first


def test_a_map_left_without_a_lost_frame_is_kept_and_the_next_has_another_origin():
    history = history_of(OrbState.OK, OrbState.RECENTLY_LOST, OrbState.NO_MAP, OrbState.NO_MAP, OrbState.OK)
    assert (history.started, history.kept, history.discarded) == (2, 1, 0)
    assert not history.origin_is_the_first


def test_a_map_left_through_a_lost_frame_is_discarded():
    history = history_of(OrbState.OK, OrbState.LOST, OrbState.NO_MAP)
    assert (history.started, history.kept, history.discarded) == (1, 0, 1)
    assert history.origin_is_the_first
