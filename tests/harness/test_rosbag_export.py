"""Exported bags, read back with the library's own reader: what is in them, and what an export refuses."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation
from slam_test_recordings import record_curve
from tum_files import HEIGHT, WIDTH, colour_image, write_imu, write_labels, write_tum_sequence

from adapters.trajectory.bag import read_bag
from adapters.trajectory.export_record import read_exported_input
from harness.errors import ConfigurationError, ResultsError
from harness.rosbag import export as exporting
from harness.rosbag.export import ExportRequest, Odometry, export_sequence
from perception.choice import ModuleChoice
from perception.errors import ModuleFailedError, PerceptionError
from perception.module import Prediction
from perception.sensor import SensorModule
from sequences.reader import ReaderContext

COLOUR, DEPTH = "/camera/color/image_raw", "/camera/depth_cam/image_raw"
INFO, LABELS = "/camera/color/camera_info", "/camera/seg_cam/labels_argmax"
IMU, TRANSFORMS, ODOMETRY = "/imu/aligned", "/tf_static", "/external_odometry"
FRAMES = 4
STAMPS = ["1.000000", "1.100000", "1.200000", "1.300000"]
FRAME_NS = [1_000_000_000 + 100_000_000 * index for index in range(FRAMES)]
#: One before the first frame, one on it, odd nanoseconds between, one on the last, one after.
IMU_NS = [990_000_000, *range(1_000_000_000, 1_300_000_000, 9_999_937), 1_300_000_000, 1_310_000_001]


@pytest.fixture
def recording(tmp_path):
    directory = write_tum_sequence(tmp_path / "room", rgb_stamps=STAMPS, depth_stamps=STAMPS)
    write_imu(directory, IMU_NS)
    write_labels(directory, STAMPS)
    return directory


def export(tmp_path, sequence, perception="sensor", **changes):
    module, _, argument = perception.partition(":")
    choice = ModuleChoice(module, argument or None)
    request = ExportRequest(str(sequence), choice, tmp_path / "export", **changes)
    steps = []
    context = ReaderContext(None, tmp_path / "cache")
    record = export_sequence(request, context, lambda *step: steps.append(step))
    return record, steps


def messages_of(directory):
    """By topic: (recorded at, message), with the library's own reader."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    found = {}
    with Reader(directory / "bag") as reader:
        for connection, time_ns, raw in reader.messages():
            message = store.deserialize_cdr(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
    return found


def stamp_of(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def pixels_of(message, dtype, shape):
    assert (message.height, message.width, message.is_bigendian) == (HEIGHT, WIDTH, 0)
    assert message.step * message.height == len(message.data)
    assert message.header.frame_id == "camera_color_optical_frame"
    return message.data.view(dtype).reshape(shape)


def test_all_that_a_stack_listens_to_is_in_the_bag(tmp_path, recording):
    record, steps = export(tmp_path, recording)
    found = messages_of(tmp_path / "export")
    assert {topic: len(messages) for topic, messages in found.items()} == {
        COLOUR: 4,
        INFO: 4,
        DEPTH: 4,
        LABELS: 4,
        IMU: len(IMU_NS) - 3,
        TRANSFORMS: 1,
    }
    assert {name: topic["messages"] for name, topic in record.topics.items()} == {
        topic: len(messages) for topic, messages in found.items()
    }
    for topic, messages in found.items():
        if topic != TRANSFORMS:
            assert all(time_ns == stamp_of(message) for time_ns, message in messages), topic
        if topic.startswith("/camera"):
            assert [time_ns for time_ns, _ in messages] == FRAME_NS
    assert steps == [("exporting", index, FRAMES) for index in range(FRAMES + 1)]


def test_images_hold_colours_metres_and_labels(tmp_path, recording):
    export(tmp_path, recording)
    found = messages_of(tmp_path / "export")
    for index in range(FRAMES):
        _, colour = found[COLOUR][index]
        assert colour.encoding == "rgb8"
        np.testing.assert_array_equal(pixels_of(colour, np.uint8, (HEIGHT, WIDTH, 3)), colour_image(index))
        _, depth = found[DEPTH][index]
        assert depth.encoding == "32FC1"
        metres = pixels_of(depth, "<f4", (HEIGHT, WIDTH))
        assert np.isnan(metres[0]).all(), "unknown depth"
        np.testing.assert_allclose(metres[1:], 2 + 0.01 * index, rtol=1e-6)
        _, labels = found[LABELS][index]
        assert labels.encoding == "mono8"
        assert (pixels_of(labels, np.uint8, (HEIGHT, WIDTH)) == index + 1).all()


def test_the_camera_is_described_with_every_image(tmp_path, recording):
    export(tmp_path, recording)
    for _, info in messages_of(tmp_path / "export")[INFO]:
        assert (info.height, info.width, info.distortion_model) == (HEIGHT, WIDTH, "plumb_bob")
        assert info.k.tolist() == [30, 0, 15.5, 0, 30, 11.5, 0, 0, 1]
        assert info.p.tolist() == [30, 0, 15.5, 0, 0, 30, 11.5, 0, 0, 0, 1, 0]
        assert info.r.tolist() == np.eye(3).ravel().tolist()
        assert not info.d.any()


def test_imu_samples_between_the_frames_are_exact(tmp_path, recording):
    export(tmp_path, recording)
    samples = messages_of(tmp_path / "export")[IMU]
    assert [stamp_of(sample) for _, sample in samples] == IMU_NS[2:-1]
    for index, (_, sample) in enumerate(samples, start=2):
        turn, force = sample.angular_velocity, sample.linear_acceleration
        assert (turn.x, turn.y, turn.z) == (0.1, 0.2, 0.3)
        assert (force.x, force.y, force.z) == (index, 0, 9.81)
        assert sample.orientation_covariance[0] == -1
        assert sample.header.frame_id == "imu_frame"


def test_the_bag_goes_forward_in_time(tmp_path, recording):
    export(tmp_path, recording, odometry=Odometry.GROUND_TRUTH)
    with Reader(tmp_path / "export" / "bag") as reader:
        # As the messages stand in the file, which is how a player streams them.
        times = [time_ns for _, time_ns, _ in reader.messages()]
    assert times == sorted(times)


def test_the_imus_place_on_the_camera_is_a_latched_transform(tmp_path, recording):
    export(tmp_path, recording)
    ((_, message),) = messages_of(tmp_path / "export")[TRANSFORMS]
    (stamped,) = message.transforms
    assert stamped.header.frame_id == "camera_color_optical_frame"
    assert stamped.child_frame_id == "imu_frame"
    moved, turned = stamped.transform.translation, stamped.transform.rotation
    assert (moved.x, moved.y, moved.z) == (0.1, 0, 0)
    rotation = Rotation.from_quat([turned.x, turned.y, turned.z, turned.w]).as_matrix()
    np.testing.assert_allclose(rotation, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-12)
    with Reader(tmp_path / "export" / "bag") as reader:
        (connection,) = [one for one in reader.connections if one.topic == TRANSFORMS]
    assert connection.ext.offered_qos_profiles[0].durability is QosDurability.TRANSIENT_LOCAL


def test_the_record_says_what_the_bag_was_made_of(tmp_path, recording):
    record, _ = export(tmp_path, recording, max_frames=3)
    written = json.loads((tmp_path / "export" / "export.json").read_text())
    assert written == record.model_dump(mode="json")
    assert written["sequence"]["name"] == "room"
    assert written["perception"] | {"choice": None} == {
        "name": "sensor",
        "choice": None,
        "outputs": ["depth", "semantics"],
        "reads_sensor": True,
        "details": {},
    }
    assert (written["frames"], written["sequence"]["frames"]) == (3, 4)
    assert written["topics"][DEPTH] == {"type": "sensor_msgs/msg/Image", "messages": 3}
    assert written["depth_unknown"] == "NaN"
    assert written["label_space"]["name"] == "nyu40"
    assert written["label_space"]["unknown"] == 255
    wall = {"id": 1, "name": "wall", "colour": [176, 176, 196], "role": "structure"}
    assert written["label_space"]["classes"][0] == wall
    assert written["ground_truth_is_input"] is False
    assert written["environment"]["packages"]["rosbags"]


def test_what_a_backend_asks_of_the_record_is_there(tmp_path, recording):
    export(tmp_path, recording)
    exported = read_exported_input(tmp_path / "export")
    assert (exported.sequence, exported.perception, exported.ground_truth_is_input) == (
        "room",
        "sensor",
        False,
    )


def test_ground_truth_goes_in_only_when_asked_for_and_is_told(tmp_path, recording):
    record, _ = export(tmp_path, recording, max_frames=2, odometry=Odometry.GROUND_TRUTH)
    assert record.ground_truth_is_input
    assert read_exported_input(tmp_path / "export").ground_truth_is_input
    poses = read_bag(tmp_path / "export" / "bag", ODOMETRY)
    # Every hundredth of a second, and one after the last frame.
    assert poses.keys.tolist() == list(range(FRAME_NS[0], FRAME_NS[1] + 1, 10_000_000))
    ((_, first), *_) = messages_of(tmp_path / "export")[ODOMETRY]
    assert (first.header.frame_id, first.child_frame_id) == ("world", "camera_color_optical_frame")


def test_rows_of_ground_truth_around_the_frames_are_kept_to_interpolate_in(tmp_path):
    poses = [f"{second} {index} 0 0 0 0 0 1" for index, second in enumerate([0.8, 0.95, 1.15, 1.4, 1.5])]
    write_tum_sequence(tmp_path / "room", rgb_stamps=STAMPS, depth_stamps=STAMPS, poses=poses)
    export(tmp_path, tmp_path / "room", odometry=Odometry.GROUND_TRUTH)
    assert read_bag(tmp_path / "export" / "bag", ODOMETRY).poses[:, 0].tolist() == [1, 2, 3]


def test_without_labels_none_are_exported(tmp_path, recording):
    record, _ = export(tmp_path, recording, labels=False)
    assert LABELS not in messages_of(tmp_path / "export")
    assert (record.label_space, record.notes) == (None, ())


def test_a_module_of_colour_alone_gives_colour_alone(tmp_path):
    record, _ = export(tmp_path, record_curve(tmp_path / "curve"), "none")
    assert set(messages_of(tmp_path / "export")) == {COLOUR, INFO}
    assert record.depth_unknown is None


def test_labels_that_nobody_explains_are_not_exported(tmp_path, recording):
    record, _ = export(tmp_path, recording, "unnamed-labels")
    assert LABELS not in messages_of(tmp_path / "export")
    (note,) = record.notes
    assert "does not say of which label space" in note


def test_what_is_there_already_is_left_alone(tmp_path, recording):
    (tmp_path / "export").mkdir()
    with pytest.raises(ResultsError, match="export exists already"):
        export(tmp_path, recording)
    assert list((tmp_path / "export").iterdir()) == []


def test_a_set_of_several_sequences_is_refused_with_their_names(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"'demo' is a set of \d sequences, and a bag is made of one: "
    ):
        export(tmp_path, "demo")


def test_ground_truth_that_is_not_there_cannot_be_exported(tmp_path):
    write_tum_sequence(tmp_path / "room", poses=None)
    with pytest.raises(ConfigurationError, match="'room' has no ground truth"):
        export(tmp_path, tmp_path / "room", odometry=Odometry.GROUND_TRUTH)
    assert not (tmp_path / "export").exists()


def test_a_module_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    write_tum_sequence(tmp_path / "room", depth_stamps=None)
    with pytest.raises(PerceptionError, match="needs recorded depth"):
        export(tmp_path, tmp_path / "room")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["room"]


def test_a_module_that_fails_leaves_nothing(tmp_path, recording, monkeypatch):
    def fail_at_the_third(module, frame):
        if frame.index == 2:
            raise RuntimeError("out of memory")
        return Prediction(frame.depth, frame.labels, "nyu40")

    monkeypatch.setattr(SensorModule, "predict", fail_at_the_third)
    with pytest.raises(ModuleFailedError, match="frame 2: sensor: RuntimeError: out of memory"):
        export(tmp_path, recording)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["room"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, recording):
    (tmp_path / "file").write_text("in the way")
    request = ExportRequest(str(recording), ModuleChoice("sensor"), tmp_path / "file" / "export")
    with pytest.raises(ResultsError, match=r"cannot write .*file/export"):
        export_sequence(request, ReaderContext(None, tmp_path), lambda *_: None)


def test_a_disk_that_fills_up_is_named_and_nothing_is_left(tmp_path, recording, monkeypatch):
    def no_space(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "write_text", no_space)
    with pytest.raises(ResultsError, match=r"cannot write .*export: No space left"):
        export(tmp_path, recording)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["room"]


def test_an_export_that_is_killed_leaves_nothing_that_looks_complete(tmp_path):
    recording = record_curve(tmp_path / "curve")
    code = (
        "import sys; from pathlib import Path\n"
        "from harness.rosbag.export import *\n"
        "def progress(_, done, __):\n"
        "    if done == 5: print('half', flush=True); sys.stdin.read()\n"
        f"request = ExportRequest({str(recording)!r}, ModuleChoice('sensor'), Path('export'))\n"
        "export_sequence(request, ReaderContext(None, Path('cache')), progress)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{os.environ['PYTHONPATH']}:{Path(__file__).parents[2]}"},
    )
    assert process.stdout.readline() == b"half\n"
    process.kill()
    process.wait()
    assert not (tmp_path / "export").exists()
    (part,) = tmp_path.glob(".export.*.part")
    assert not list(part.rglob("metadata.yaml"))
    assert not list(part.rglob("export.json"))
    # And it is in nobody's way.
    export(tmp_path, recording)
    assert (tmp_path / "export" / "export.json").exists()


def test_one_frame_at_a_time_is_in_memory(tmp_path, monkeypatch):
    recording = record_curve(tmp_path / "curve")
    images, alive = [], []
    predict = SensorModule.predict

    def watched(module, frame):
        images.append(weakref.ref(frame.rgb))
        alive.append(sum(image() is not None for image in images))
        return predict(module, frame)

    monkeypatch.setattr(SensorModule, "predict", watched)
    export(tmp_path, recording)
    assert len(alive) == 12
    assert max(alive) <= 2
