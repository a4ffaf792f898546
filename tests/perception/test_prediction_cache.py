"""Predictions that are kept on disk: the same bits, never somebody else's, and no harm whatever happens."""

import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slam_test_counting import HAMMERED_KEYS, hammered_key, hammered_prediction

from perception.cache import PredictionCache, bounded_directory
from perception.cache.entry import DamagedEntryError, pack, unpack
from perception.errors import ModuleFailedError
from perception.guarded import GuardedModule
from perception.module import PerceptionModule, Prediction
from sequences.model import Frame, Intrinsics, SequenceInfo

WIDTH, HEIGHT = 32, 24
SEQUENCE = SequenceInfo(
    name="room",
    intrinsics=Intrinsics(30, 30, 15.5, 11.5, WIDTH, HEIGHT),
    timestamps_ns=np.arange(20),
    has_depth=True,
    source={"reader": "made up", "seed": 1},
)
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DEPTH = np.full((HEIGHT, WIDTH), 2, np.float32)


def frame(index=0, rgb=IMAGE, timestamp_ns=7, depth=None):
    return Frame(index, timestamp_ns, rgb, depth)


class Network(PerceptionModule):
    """Says depth that is another one every time it is asked, and counts how often it is."""

    def __init__(self, identity=None, names=("depth",), seconds=0.0):
        self.identity = {"weights": "one"} if identity is None else identity
        self.names, self.seconds = frozenset(names), seconds
        self.asked = 0

    def outputs(self, sequence):
        return self.names

    def predict(self, frame):
        self.asked += 1
        time.sleep(self.seconds)
        depth = np.random.default_rng().random(frame.rgb.shape[:2], dtype=np.float32)
        return Prediction(depth, depth.astype(np.uint8), "nyu40")

    def cache_identity(self):
        return self.identity


class OtherNetwork(Network):
    """Of the same identity, and another class."""


class SensorReader(Network):
    """Sees the sensor's depth."""

    reads_sensor = True


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "predictions"


def guarded(network, cache, sequence=SEQUENCE):
    module = GuardedModule("network", network, cache)
    module.outputs(sequence)
    return module


def entries(directory):
    return sorted(directory.rglob("*.prediction"))


def size_of(directory):
    return sum(path.stat().st_size for path in entries(directory))


def assert_same(found, expected):
    for field in fields(Prediction):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes()
        else:
            assert one == other


def full_prediction():
    random = np.random.default_rng(3)
    size = (HEIGHT, WIDTH)
    depth = random.random(size, dtype=np.float32)
    # Bits, not values: a zero with a sign, and the least number there is.
    depth[0, :2] = [-0.0, np.float32(1e-45)]
    return Prediction(
        depth=depth,
        semantics=random.integers(0, 256, size, dtype=np.uint8),
        label_space="nyu40",
        normals=random.standard_normal((*size, 3)).astype(np.float32),
        edges=random.random(size, dtype=np.float32),
        confidence=random.random(size, dtype=np.float32),
    )


def test_everything_that_was_predicted_comes_back_bit_for_bit(directory):
    expected = full_prediction()
    assert all(getattr(expected, field.name) is not None for field in fields(Prediction))
    PredictionCache(directory).keep("ab01", expected)
    found = PredictionCache(directory).read("ab01")
    assert_same(found, expected)
    # As if it had just been made: whoever gets it may write to it.
    found.depth[0, 0], found.semantics[0, 0] = 5, 5


@given(
    height=st.integers(0, 5),
    width=st.integers(1, 5),
    given_names=st.sets(st.sampled_from(["depth", "edges"])),
)
def test_arrays_of_every_size_and_those_that_are_missing_come_back(height, width, given_names):
    array = np.arange(height * width, dtype=np.float32).reshape(height, width)
    expected = Prediction(**dict.fromkeys(given_names, array))
    assert_same(unpack("key", pack("key", expected)), expected)


def test_arrays_that_are_views_of_others_come_back_as_they_are_seen():
    depth = np.arange(48, dtype=np.float32).reshape(6, 8)[::2, ::-1]
    assert_same(unpack("key", pack("key", Prediction(depth))), Prediction(np.ascontiguousarray(depth)))


PACKED = pack("key", Prediction(DEPTH, DEPTH.astype(np.uint8), "nyu40"))


@given(position=st.integers(0, len(PACKED) - 1), bit=st.integers(0, 7))
def test_not_one_bit_may_change_unnoticed(position, bit):
    damaged = bytearray(PACKED)
    damaged[position] ^= 1 << bit
    with pytest.raises(DamagedEntryError):
        unpack("key", bytes(damaged))


@given(length=st.integers(0, len(PACKED) - 1))
def test_no_part_is_taken_for_the_whole(length):
    with pytest.raises(DamagedEntryError):
        unpack("key", PACKED[:length])


def test_a_frame_is_predicted_once_whoever_asks_again(directory):
    network = Network()
    first = guarded(network, PredictionCache(directory)).predict_timed(frame())
    again_network = Network()
    again = guarded(again_network, PredictionCache(directory)).predict_timed(frame())
    assert_same(again.prediction, first.prediction)
    assert (network.asked, again_network.asked) == (1, 0)


def test_only_what_was_predicted_has_a_time(directory):
    module = guarded(Network(seconds=0.02), PredictionCache(directory))
    assert module.predict_timed(frame()).seconds >= 0.02
    assert module.predict_timed(frame()).seconds is None


def changed_image():
    image = IMAGE.copy()
    image[HEIGHT - 1, WIDTH - 1, 2] ^= 1
    return image


@pytest.mark.parametrize(
    "other",
    [
        {"network": Network(identity={"weights": "two"})},
        {"network": Network(identity={})},
        {"network": OtherNetwork()},
        {"network": Network(names=("depth", "semantics"))},
        {"frame": frame(rgb=changed_image())},
        {"frame": frame(rgb=IMAGE.reshape(WIDTH, HEIGHT, 3))},
        {"frame": frame(index=1)},
        {"frame": frame(timestamp_ns=8)},
        {"sequence": replace(SEQUENCE, source={"reader": "made up", "seed": 2})},
        {"sequence": replace(SEQUENCE, intrinsics=Intrinsics(31, 30, 15.5, 11.5, WIDTH, HEIGHT))},
        {"sequence": replace(SEQUENCE, label_space="nyu40")},
    ],
    ids=[
        "weights",
        "no weights",
        "class",
        "outputs",
        "one bit of one pixel",
        "shape of the image",
        "index",
        "time",
        "source of the sequence",
        "camera",
        "label space of the sequence",
    ],
)
def test_a_prediction_is_not_used_for(other, directory):
    cache = PredictionCache(directory)
    guarded(Network(), cache).predict(frame())
    network = other.get("network", Network())
    guarded(network, cache, other.get("sequence", SEQUENCE)).predict(other.get("frame", frame()))
    assert network.asked == 1


@pytest.mark.parametrize("package", [np, cv2, PIL], ids=["numpy", "OpenCV", "Pillow"])
def test_another_version_of_what_images_pass_through_is_another_prediction(package, directory, monkeypatch):
    cache, network = PredictionCache(directory), Network()
    guarded(Network(), cache).predict(frame())
    monkeypatch.setattr(package, "__version__", "0.0.1")
    guarded(network, cache).predict(frame())
    assert network.asked == 1


def test_the_name_of_a_sequence_decides_nothing(directory):
    cache, network = PredictionCache(directory), Network()
    guarded(Network(), cache).predict(frame())
    guarded(network, cache, replace(SEQUENCE, name="another name")).predict(frame())
    assert network.asked == 0


def test_one_module_that_goes_through_two_sequences_keeps_them_apart(directory):
    network = Network()
    module = guarded(network, PredictionCache(directory))
    module.predict(frame())
    module.outputs(replace(SEQUENCE, source={"reader": "made up", "seed": 2}))
    module.predict(frame())
    assert network.asked == 2


def test_what_a_module_sees_of_the_sensor_decides(directory):
    cache, network, blind = PredictionCache(directory), SensorReader(), Network()
    for depth in (DEPTH, DEPTH, DEPTH + 1):
        guarded(network, cache).predict(frame(depth=depth))
        guarded(blind, cache).predict(frame(depth=depth))
    assert (network.asked, blind.asked) == (2, 1)


def plugin(folder, metres):
    """A module in a package of its own that says these metres."""
    package = folder / "slam_test_edited"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from slam_test_edited.module import Edited\n")
    (package / "distance.py").write_text(f"METRES = {metres}\n")
    (package / "module.py").write_text(
        "import sys\n"
        "import numpy as np\n"
        "from perception.cache import PredictionCache\n"
        "from perception.guarded import GuardedModule\n"
        "from perception.module import PerceptionModule, Prediction\n"
        "from sequences.model import Frame, Intrinsics, SequenceInfo\n"
        "from slam_test_edited.distance import METRES\n"
        "class Edited(PerceptionModule):\n"
        "    def outputs(self, sequence): return frozenset({'depth'})\n"
        "    def predict(self, frame):\n"
        "        print('predicted')\n"
        "        return Prediction(np.full(frame.rgb.shape[:2], METRES, np.float32))\n"
        "    def cache_identity(self): return {}\n"
        "def main(directory):\n"
        "    module = GuardedModule('edited', Edited(), PredictionCache(directory))\n"
        "    camera = Intrinsics(1, 1, 0, 0, 4, 3)\n"
        "    module.outputs(SequenceInfo('s', camera, np.arange(2), False))\n"
        "    print(module.predict(Frame(0, 0, np.zeros((3, 4, 3), np.uint8))).depth[0, 0])\n"
    )
    an_hour_ago = time.time() - 3600
    for file in package.iterdir():
        os.utime(file, (an_hour_ago, an_hour_ago))
    return folder


def said_by(folder, directory):
    """What the module in a folder says in a process of its own."""
    code = (
        f"from pathlib import Path; from slam_test_edited.module import main; main(Path({str(directory)!r}))"
    )
    path = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        cwd=Path(importlib.import_module("perception").__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_code_that_was_edited_is_not_given_what_it_said_before(directory, tmp_path):
    before, after = plugin(tmp_path / "before", 1.0), plugin(tmp_path / "after", 2.0)
    assert said_by(before, directory) == ["predicted", "1.0"]
    assert said_by(before, directory) == ["1.0"]
    assert said_by(after, directory) == ["predicted", "2.0"]


def test_code_that_was_edited_while_a_process_runs_it_leaves_nothing_to_others(directory, tmp_path):
    folder = plugin(tmp_path, 1.0)
    # As if it were edited between being imported and being looked at.
    later = time.time() + 3600
    os.utime(folder / "slam_test_edited" / "distance.py", (later, later))
    assert said_by(folder, directory) == said_by(folder, directory) == ["predicted", "1.0"]


def test_a_module_that_does_not_say_what_decides_is_asked_every_time(directory):
    class Silent(Network):
        def cache_identity(self):
            return None

    network = Silent()
    module = guarded(network, PredictionCache(directory))
    module.predict(frame())
    module.predict(frame())
    assert network.asked == 2
    assert not directory.exists()


def test_an_identity_that_is_no_plain_value_is_a_defect_of_the_module(directory):
    with pytest.raises(ModuleFailedError, match=r"network: cache_identity\(\) must give plain values"):
        guarded(Network(identity={"weights": object()}), PredictionCache(directory)).predict(frame())


def test_a_wrong_prediction_is_not_kept(directory):
    class Nan(Network):
        def predict(self, frame):
            return Prediction(np.full(frame.rgb.shape[:2], np.nan, np.float32))

    module = guarded(Nan(), PredictionCache(directory))
    for _ in range(2):
        with pytest.raises(ModuleFailedError, match="depth has NaN"):
            module.predict(frame())
    assert not entries(directory)


def test_an_entry_that_was_damaged_is_predicted_again_with_a_warning(directory, caplog):
    network = Network()
    module = guarded(network, PredictionCache(directory))
    module.predict(frame())
    (entry,) = entries(directory)
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 1
    entry.write_bytes(content)
    made_again = module.predict(frame())
    assert network.asked == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is made anew: it is not what was written" in caplog.text
    assert_same(module.predict(frame()), made_again)
    assert network.asked == 2


def test_an_entry_under_another_s_name_is_not_believed(directory, caplog):
    cache = PredictionCache(directory)
    cache.keep("ab01", Prediction(DEPTH))
    cache.keep("ab02", Prediction(DEPTH + 1))
    one, other = entries(directory)
    shutil.copy(one, other)
    assert cache.read("ab02") is None
    assert "made anew" in caplog.text
    assert_same(cache.read("ab01"), Prediction(DEPTH))


@contextmanager
def room_for_files_of(size):
    """Writing more than this into a file fails half way, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_the_keeping_with_one_warning_and_leaves_no_trace(directory, caplog):
    network = Network()
    module = guarded(network, PredictionCache(directory))
    kept = module.predict(frame(0))
    with room_for_files_of(100):
        for index in (1, 2, 1):
            module.predict(frame(index))
    assert network.asked == 4
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert warnings[0].startswith("predictions are not kept from here on: ")
    # What is there already can still be read.
    assert_same(module.predict(frame(0)), kept)
    assert [path for path in directory.rglob("*") if path.is_file()] == entries(directory)
    assert len(entries(directory)) == 1


@pytest.mark.parametrize("what_is_there", ["a file instead", "no permission"])
def test_where_nothing_can_be_written_all_is_predicted_with_one_warning(what_is_there, tmp_path, caplog):
    if what_is_there == "a file instead":
        (tmp_path / "cache").write_text("")
    elif os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    else:
        (tmp_path / "cache").mkdir(mode=0o500)
    network = Network()
    module = guarded(network, PredictionCache.below(tmp_path / "cache"))
    for index in range(3):
        module.predict(frame(index))
    assert network.asked == 3
    assert len(caplog.records) == 1


def test_the_least_recently_used_go_first_and_the_limit_is_kept(directory):
    one = len(pack("ab01", Prediction(DEPTH)))
    cache = PredictionCache(directory, limit_bytes=5 * one + one // 2)
    for number in range(5):
        cache.keep(f"{number:04x}", Prediction(DEPTH))
        time.sleep(0.02)
    assert cache.read("0000") is not None
    cache.keep("0005", Prediction(DEPTH))
    assert size_of(directory) <= 5 * one + one // 2
    assert cache.read("0000") is not None
    assert cache.read("0005") is not None
    assert cache.read("0001") is None


def test_a_later_process_holds_the_limit_over_what_earlier_ones_have_kept(directory):
    for number in range(8):
        PredictionCache(directory).keep(f"{number:04x}", Prediction(DEPTH))
    limit = size_of(directory) // 2
    PredictionCache(directory, limit).keep("0008", Prediction(DEPTH))
    assert 0 < size_of(directory) <= limit


def test_half_of_the_free_disk_is_left_to_others(directory, monkeypatch):
    cache = PredictionCache(directory)
    one = len(pack("ab01", Prediction(DEPTH)))
    usage = shutil.disk_usage(directory.parent)
    monkeypatch.setattr(
        bounded_directory.shutil, "disk_usage", lambda path: usage._replace(free=6 * one - size_of(directory))
    )
    for number in range(12):
        cache.keep(f"{number:04x}", Prediction(DEPTH))
    assert one < size_of(directory) <= 3 * one


def test_two_who_want_a_frame_at_the_same_time_predict_it_once(directory):
    networks = [Network(seconds=0.3), Network(seconds=0.3)]
    modules = [guarded(network, PredictionCache(directory)) for network in networks]
    threads = [threading.Thread(target=module.predict, args=(frame(),)) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(network.asked for network in networks) == 1


def in_another_process(code, *arguments):
    program = "import sys\nfrom pathlib import Path\nfrom perception.cache import PredictionCache\n" + code
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=Path(importlib.import_module("perception").__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )


TAKES_A_TURN = """
import time
with PredictionCache(Path(sys.argv[1])).turn("ab01"):
    print("mine", flush=True)
    time.sleep(60)
"""


def test_nobody_waits_for_a_process_that_was_killed_in_its_turn(directory):
    process = in_another_process(TAKES_A_TURN, directory)
    with process:
        assert process.stdout.readline() == "mine\n"
        process.send_signal(signal.SIGKILL)
    started = time.monotonic()
    with PredictionCache(directory).turn("ab01"):
        assert time.monotonic() - started < bounded_directory._PATIENCE_S / 2


def test_nobody_waits_for_ever_for_a_process_that_was_stopped_in_its_turn(directory, monkeypatch):
    monkeypatch.setattr(bounded_directory, "_PATIENCE_S", 0.2)
    process = in_another_process(TAKES_A_TURN, directory)
    with process:
        assert process.stdout.readline() == "mine\n"
        process.send_signal(signal.SIGSTOP)
        network = Network()
        cache = PredictionCache(directory)
        with cache.turn("ab01"):
            guarded(network, cache).predict(frame())
        process.kill()
    assert network.asked == 1


DIES_BEFORE_THE_END_OF_WRITING = """
import os, signal
import numpy as np
from perception.module import Prediction
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
PredictionCache(Path(sys.argv[1])).keep("ab01", Prediction(np.ones((9, 9), np.float32)))
"""


def test_a_process_that_is_killed_while_it_writes_leaves_no_half_entry(directory):
    process = in_another_process(DIES_BEFORE_THE_END_OF_WRITING, directory)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (leftover,) = [path for path in directory.rglob("*") if path.is_file()]
    cache = PredictionCache(directory)
    assert cache.read("ab01") is None
    cache.keep("ab01", Prediction(DEPTH))
    assert_same(cache.read("ab01"), Prediction(DEPTH))
    assert leftover.exists(), "its writer might still be at work"
    long_ago = time.time() - 3600
    os.utime(leftover, (long_ago, long_ago))
    PredictionCache(directory).keep("ab02", Prediction(DEPTH))
    assert not leftover.exists()
    assert len(entries(directory)) == 2


def hammering(directory, limit, seed, seconds):
    script = importlib.import_module("slam_test_counting").__file__
    arguments = [str(directory), str(limit), str(seed), str(seconds)]
    process = subprocess.Popen(
        [sys.executable, script, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(Path.cwd())])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


def test_processes_that_hammer_on_one_cache_do_each_other_no_harm_even_when_killed(directory, caplog):
    sizes = [len(pack(hammered_key(number), hammered_prediction(number))) for number in range(HAMMERED_KEYS)]
    # Something has to go all the time.
    limit = sum(sizes) // 2
    workers = [hammering(directory, limit, seed, 2.0) for seed in (1, 2)]
    for seed in range(3, 7):
        victim = hammering(directory, limit, seed, 60.0)
        time.sleep(0.1)
        victim.kill()
        victim.communicate()
    for worker in workers:
        out, complaints = worker.communicate(timeout=60)
        assert (worker.returncode, complaints) == (0, "")
        found, kept = map(int, out.split())
        assert found > 50
        assert kept > 50
    # Each may have been above the limit by a twentieth of it when it ended.
    assert size_of(directory) <= 1.1 * limit + max(sizes)
    cache = PredictionCache(directory, limit)
    left = [number for number in range(HAMMERED_KEYS) if (cache.read(hammered_key(number)) is not None)]
    assert len(left) == len(entries(directory)) > 0
    for number in left:
        assert_same(cache.read(hammered_key(number)), hammered_prediction(number))
    assert not caplog.records
