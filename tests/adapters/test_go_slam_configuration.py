"""The configuration that is written for GO-SLAM, and the images that its presets ask for."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.go_slam.configuration import CameraValues, Configuration
from adapters.go_slam.presets import PRESETS, NetworkImage, generic_image, scannet_image

CAMERA = CameraIntrinsics(500.0, 501.0, 319.5, 239.5, 640, 480)
VALUES = CameraValues(CAMERA, NetworkImage(240, 320), 1000.0)
CAMERA_SECTION = dict.fromkeys(VALUES.entries(), 0)


@pytest.fixture
def home(tmp_path):
    """Upstream's home, with a configuration for a data set that builds upon one for everything."""
    write(tmp_path / "all.yaml", {"mapping": {"iterations": 2}, "tracking": {"network": "droid.pth"}})
    write(tmp_path / "set.yaml", {"inherit_from": "all.yaml", "cam": CAMERA_SECTION | {"more": 7}})
    (tmp_path / "droid.pth").write_bytes(b"weights")
    return tmp_path


def write(path, content):
    path.write_text(yaml.safe_dump(content))


def written(configuration, home):
    configuration.write(home / "written.yaml")
    return yaml.safe_load((home / "written.yaml").read_text())


def test_what_is_not_ours_to_set_stays_as_it_is(home):
    configuration = Configuration(home, "set.yaml")
    configuration.set_camera(VALUES)
    configuration.set_box(4.0)
    content = written(configuration, home)
    assert content["inherit_from"] == "all.yaml"
    assert content["cam"] == VALUES.entries() | {"more": 7}
    assert content["mapping"] == {"iterations": 2, "bound": [[-4.0, 4.0]] * 3}
    assert "tracking" not in content, "it is inherited"


def test_a_camera_that_is_inherited_as_a_whole_is_written_as_a_whole(home):
    write(home / "scene.yaml", {"inherit_from": "set.yaml", "cam": {"fx": 1.0}})
    configuration = Configuration(home, "scene.yaml")
    configuration.set_camera(VALUES)
    assert written(configuration, home)["cam"] == VALUES.entries() | {"more": 7}


def test_a_configuration_elsewhere_builds_upon_those_of_upstream(home, tmp_path_factory):
    own = tmp_path_factory.mktemp("own") / "mine.yaml"
    write(own, {"inherit_from": "set.yaml", "mapping": {"iterations": 9}})
    configuration = Configuration(home, str(own))
    configuration.set_box(1.0)
    assert written(configuration, home)["mapping"]["iterations"] == 9


def test_a_camera_key_that_upstream_does_not_have_is_named(home):
    write(home / "set.yaml", {"cam": {name: 0 for name in CAMERA_SECTION if name != "H_edge"}})
    with pytest.raises(
        BackendInputError, match=r"'cam' has no H_edge, so this version.*it has H, H_out, W, W_edge"
    ):
        Configuration(home, "set.yaml").set_camera(VALUES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("mapping: {}", "there is no section 'cam'"),
        ("- a list", "is no configuration"),
        ("a: [", "is no YAML that can be read"),
        ("inherit_from: set.yaml", "builds upon itself"),
        ("inherit_from: other.yaml", r"other.yaml cannot be read: .*files beside it: all.yaml, set.yaml"),
    ],
)
def test_a_file_that_cannot_be_built_upon_is_refused(home, content, message):
    (home / "set.yaml").write_text(content)
    with pytest.raises(BackendInputError, match=message):
        Configuration(home, "set.yaml").set_camera(VALUES)


def test_weights_are_put_where_upstream_names_its_own(home, tmp_path):
    given = tmp_path / "given.pth"
    given.write_bytes(b"others")
    configuration = Configuration(home, "set.yaml")
    digest = configuration.set_weights(str(given), "")
    assert written(configuration, home)["tracking"] == {"network": str(given)}
    assert digest != Configuration(home, "set.yaml").set_weights("", "")


def test_a_setting_made_before_the_weights_is_not_lost(home):
    write(home / "set.yaml", {"cam": CAMERA_SECTION | {"network": "droid.pth"}})
    configuration = Configuration(home, "set.yaml")
    configuration.set_camera(VALUES)
    configuration.set_weights(str(home / "droid.pth"), "")
    assert written(configuration, home)["cam"] == VALUES.entries() | {"network": str(home / "droid.pth")}


def test_weights_that_the_image_does_not_have_must_be_given(home):
    (home / "droid.pth").unlink()
    with pytest.raises(BackendInputError, match=r"droid.pth, which .* are not there; give droid.pth"):
        Configuration(home, "set.yaml").set_weights("", "")


@pytest.mark.parametrize("named", [[], ["a.pth", "b.pth"]])
def test_weights_are_left_alone_where_it_is_not_known_which_file_they_are(home, named):
    write(home / "set.yaml", {f"network{number}": name for number, name in enumerate(named)})
    assert Configuration(home, "set.yaml").set_weights("", "") is None
    with pytest.raises(BackendInputError, match=f"names {len(named)} files that end in .pth"):
        Configuration(home, "set.yaml").set_weights("droid.pth", "0" * 64)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1296, 968), (32, 24)])
def test_a_camera_of_four_to_three_gets_the_size_of_the_published_experiments(width, height):
    camera = CameraIntrinsics(1.0, 1.0, 0.0, 0.0, width, height)
    assert generic_image(camera) == NetworkImage(240, 320)
    cut = scannet_image(camera)
    assert (cut.height + 2 * cut.edge_rows, cut.width + 2 * cut.edge_columns) == (256, 352)


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_images_suit_the_network_whatever_the_camera(width, height):
    camera = CameraIntrinsics(1.0, 1.0, 0.0, 0.0, width, height)
    for preset in PRESETS.values():
        image = preset(camera)
        assert image.height % 8 == image.width % 8 == 0
        assert min(image.height, image.width) >= 128


@given(st.floats(0.45, 2.2), st.integers(100, 2000))
def test_the_ratio_of_the_camera_is_kept_as_nearly_as_multiples_of_eight_allow(ratio, height):
    camera = CameraIntrinsics(1.0, 1.0, 0.0, 0.0, round(ratio * height), height)
    image = generic_image(camera)
    assert image.width / image.height == pytest.approx(camera.width / camera.height, rel=0.06)
    assert image.width * image.height == pytest.approx(240 * 320, rel=0.06)
