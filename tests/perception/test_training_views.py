"""Synthetic views: which flats, what is seen in them, and files that are whole whatever happens."""

import json
import logging
import multiprocessing
import pickle
from importlib.resources import files

import numpy as np
import pytest
import yaml

pytest.importorskip("open3d", reason="synthetic views are ray cast with Open3D")
pytest.importorskip("skimage", reason="synthetic views use the photographs of scikit-image")

from perception.training.synthetic_views import (
    HELD_OUT_SEEDS,
    TRAINING_SEEDS,
    SyntheticViews,
    SyntheticViewSettings,
    making,
)
from perception.training.synthetic_views.cameras import random_poses
from perception.training.synthetic_views.making import ensure_shard, shard_path
from perception.training.synthetic_views.rendering import scene_parameters, shows_something
from perception.training.synthetic_views.shards import Shard, damage_of, write_shard
from perception.training.views import View
from sequences.errors import DataFileError, SequenceError
from sequences.model import Intrinsics
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.ray_casting import ray_casting_scene
from sequences.synthetic.render import Renderer
from sequences.synthetic.scene import build_scene

SMALL = {"scenes": 1, "views_per_scene": 6, "lenses": 2, "height": 48, "width": 64, "rooms": [1, 1]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def views(cache):
    """A flat's views, made once for all tests that only read them."""
    source = SyntheticViews(cache, **SMALL)
    source.prepare(lambda *_: None, processes=1)
    return source


@pytest.fixture(scope="module")
def scene():
    return build_scene(scene_parameters(TRAINING_SEEDS[0], SyntheticViewSettings(scenes=1, rooms=(1, 1))))


@pytest.fixture
def drawn(monkeypatch):
    """Flats that take no time: their pixels are random numbers of the seed. Says what was made."""
    made = []

    def quickly(seed, settings):
        made.append(seed)
        return random_views(seed, settings.views_per_scene)

    monkeypatch.setattr(making, "render_views", quickly)
    return made


def random_views(seed, count):
    rng = np.random.default_rng(seed)
    camera = Intrinsics(20.0, 20.0, 11.5, 7.5, 24, 16)
    return [
        View(
            rng.integers(0, 256, (16, 24, 3), np.uint8),
            camera,
            rng.uniform(0.5, 8, (16, 24)).astype(np.float32),
            rng.integers(1, 41, (16, 24), np.uint8),
        )
        for _ in range(count)
    ]


def catalogue_seeds():
    for entry in files("sequences").joinpath("catalog").iterdir():
        for sequence in yaml.safe_load(entry.read_text()).get("sequences", ()):
            if sequence["reader"] == "synthetic":
                yield sequence["name"], sequence["parameters"]["seed"]


def test_no_sequence_of_the_catalogue_and_no_held_out_flat_is_trained_on():
    seeds = dict(catalogue_seeds())
    assert {"demo_flat", "hydra_loop"} <= seeds.keys()
    assert not [name for name, seed in seeds.items() if seed in TRAINING_SEEDS]
    assert not set(HELD_OUT_SEEDS) & set(TRAINING_SEEDS)


@pytest.mark.parametrize(("part", "seeds"), [("training", TRAINING_SEEDS), ("held_out", HELD_OUT_SEEDS)])
def test_every_flat_has_a_seed_of_its_part(part, seeds):
    last = len(seeds) - 3
    settings = SyntheticViewSettings(scenes=3, part=part, first_scene=last)
    assert list(settings.seeds) == list(seeds[-3:])
    with pytest.raises(SequenceError, match=f"part '{part}' has {len(seeds)} scenes"):
        SyntheticViews(scenes=4, part=part, first_scene=last)


def test_views_have_colours_exact_depth_and_labels(views):
    assert len(views) == 6
    assert views.label_space == "nyu40"
    for index in range(len(views)):
        view = views.view(index)
        assert view.rgb.shape == (48, 64, 3)
        assert view.rgb.std() > 5
        assert (view.depth > 0).all()
        assert set(np.unique(view.labels)) <= set(Nyu40)
        assert len(np.unique(view.labels)) >= 3
        assert np.median(view.depth) >= 0.6


def test_lenses_of_a_flat_differ_within_their_range(views):
    angles = [
        np.degrees(2 * np.arctan(view.intrinsics.width / 2 / view.intrinsics.fx))
        for view in map(views.view, range(len(views)))
    ]
    assert len(np.unique(np.round(angles, 6))) == 2
    assert 50 <= min(angles) < max(angles) <= 80


def test_cameras_stand_clear_and_look_within_their_ranges(scene):
    settings = SyntheticViewSettings(scenes=1)
    poses = random_poses(np.random.default_rng(0), scene, settings)
    chosen = np.array([next(poses) for _ in range(150)])
    assert (chosen[:, 2, 3] >= 0.4).all()
    assert (chosen[:, 2, 3] <= 2.0).all()
    up = np.degrees(np.arcsin(chosen[:, 2, 2]))
    assert -35 <= up.min() < -25
    assert 15 < up.max() <= 25
    # With roll, the camera's x leaves the horizontal; forward and x together give the angle.
    roll = np.degrees(np.arcsin(chosen[:, 2, 0] / np.cos(np.radians(up))))
    assert 8 < np.abs(roll).max() <= 12
    import open3d as o3d

    surfaces = ray_casting_scene(scene.mesh.vertices, scene.mesh.triangles)
    places = o3d.core.Tensor(chosen[:, :3, 3].astype(np.float32))
    assert surfaces.compute_distance(places).numpy().min() >= 0.38


def test_a_view_of_a_wall_before_the_lens_shows_nothing(scene):
    settings = SyntheticViewSettings(scenes=1)
    room = scene.plan.rooms[0]
    camera = Intrinsics(40.0, 40.0, 31.5, 23.5, 64, 48)
    renderer = Renderer(scene, camera)

    def looking_north(y):
        pose = np.eye(4)
        pose[:3, :3] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        pose[:3, 3] = (room.centre[0], y, 1.4)
        return renderer.render(pose)

    assert not shows_something(looking_north(room.maximum[1] - 0.2), settings)
    assert shows_something(looking_north(room.minimum[1] + 0.8), settings)


def test_the_same_settings_make_the_same_files_and_others_are_kept_elsewhere(views, tmp_path):
    again = SyntheticViews(tmp_path, **SMALL)
    ensure_shard(again.directory, TRAINING_SEEDS[0], again.settings)
    made, known = (shard_path(each.directory, TRAINING_SEEDS[0]) for each in (again, views))
    assert made.read_bytes() == known.read_bytes()
    assert again.directory.name == views.directory.name
    assert SyntheticViews(tmp_path, **{**SMALL, "roll_deg": 3}).directory != again.directory
    # More flats need no new files of those that are there.
    assert SyntheticViews(tmp_path, **{**SMALL, "scenes": 5}).directory == again.directory


def test_a_source_pickles_and_says_what_it_is(views):
    copy = pickle.loads(pickle.dumps(views))
    np.testing.assert_array_equal(copy.view(3).rgb, views.view(3).rgb)
    identity = json.loads(json.dumps(copy.identity()))
    assert identity["settings"]["views_per_scene"] == 6
    assert identity["generator_version"] >= 2


def test_there_is_no_view_beyond_the_last(views):
    for index in (-1, 6):
        with pytest.raises(IndexError, match="6 views"):
            views.view(index)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scenes": 1, "view_per_scene": 3}, "view_per_scene"),
        ({"scenes": "many"}, "scenes"),
        ({"scenes": 1, "rooms": [3, 2]}, "rooms: 3 is more than 2"),
    ],
)
def test_wrong_parameters_are_named(wrong, message):
    with pytest.raises(SequenceError, match=message):
        SyntheticViews(**wrong)


def test_what_a_shard_holds_is_exact_and_depth_is_so_to_a_tenth_of_a_millimetre(tmp_path):
    path, written = tmp_path / "7.zip", random_views(7, 3)
    write_shard(path, written)
    shard = Shard(path)
    assert len(shard) == 3
    for index, view in enumerate(written):
        found = shard.view(index)
        np.testing.assert_array_equal(found.rgb, view.rgb)
        np.testing.assert_array_equal(found.labels, view.labels)
        np.testing.assert_allclose(found.depth, view.depth, atol=1.01e-4)
        assert found.intrinsics == view.intrinsics


def test_depth_beyond_what_a_shard_can_hold_is_unknown(tmp_path):
    view = random_views(1, 1)[0]
    view.depth[0, 0] = 20
    write_shard(tmp_path / "1.zip", [view])
    found = Shard(tmp_path / "1.zip").view(0).depth
    assert found[0, 0] == 0
    assert (found.ravel()[1:] > 0).all()


def test_flats_that_are_there_are_not_made_again(drawn, tmp_path):
    source = SyntheticViews(tmp_path, scenes=3, views_per_scene=2)
    told = []
    source.prepare(lambda _, done, total: told.append((done, total)), processes=1)
    source.prepare(lambda *_: None, processes=1)
    assert drawn == list(source.settings.seeds)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_several_processes_tell_as_much_as_one(drawn, tmp_path):
    source = SyntheticViews(tmp_path, scenes=4, views_per_scene=2)
    source.prepare(lambda *_: None, processes=1)
    told = []
    # They find all flats made: what is drawn for this test is not known to other processes.
    source.prepare(lambda _, done, total: told.append((done, total)), processes=2)
    assert told == [(done, 4) for done in range(5)]
    assert len(drawn) == 4


def test_a_flat_that_cannot_be_made_by_another_process_is_told_of(tmp_path):
    source = SyntheticViews(tmp_path, scenes=2)
    source.directory.mkdir(parents=True)
    (source.directory / "locks").write_text("in the way")
    with pytest.raises(SequenceError, match=r"\.zip' cannot be made"):
        source.prepare(lambda *_: None, processes=2)


def test_a_flat_is_made_when_one_of_its_views_is_asked_for(drawn, tmp_path):
    source = SyntheticViews(tmp_path, scenes=3, views_per_scene=2)
    np.testing.assert_array_equal(source.view(3).rgb, random_views(TRAINING_SEEDS[1], 2)[1].rgb)
    assert drawn == [TRAINING_SEEDS[1]]


@pytest.mark.parametrize("harm", ["cut short", "a byte changed", "empty", "views missing"])
def test_a_damaged_file_is_named_and_made_anew(drawn, tmp_path, harm, caplog):
    source = SyntheticViews(tmp_path, scenes=2, views_per_scene=2)
    source.prepare(lambda *_: None, processes=1)
    seed = source.settings.seeds[1]
    path = shard_path(source.directory, seed)
    whole = path.read_bytes()
    if harm == "views missing":
        write_shard(path, random_views(1, 1))
    else:
        spoilt = {"cut short": whole[:-100], "a byte changed": whole[:300] + b"x" + whole[301:], "empty": b""}
        path.write_bytes(spoilt[harm])
    with caplog.at_level(logging.WARNING):
        source.prepare(lambda *_: None, processes=1)
    assert f"'{path}'" in caplog.text
    assert path.read_bytes() == whole
    assert drawn == [*source.settings.seeds, seed]


def test_a_file_damaged_while_it_is_open_is_made_anew(drawn, tmp_path):
    # Enough of them that the last ones are not read along with the first.
    source = SyntheticViews(tmp_path, scenes=1, views_per_scene=40)
    expected = random_views(TRAINING_SEEDS[0], 40)[39].rgb
    source.view(0)
    path = shard_path(source.directory, TRAINING_SEEDS[0])
    content = bytearray(path.read_bytes())
    content[200:-200] = bytes(len(content) - 400)
    with path.open("r+b") as file:
        file.write(content)
    np.testing.assert_array_equal(source.view(39).rgb, expected)
    assert drawn == [TRAINING_SEEDS[0]] * 2
    assert damage_of(path, 40) is None


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "3.zip").write_text("nothing")
    with pytest.raises(DataFileError, match=r"3\.zip: cannot be read"):
        Shard(tmp_path / "3.zip")


def test_nothing_is_left_of_a_flat_that_could_not_be_made(monkeypatch, tmp_path):
    def failing(seed, settings):
        yield random_views(seed, 1)[0]
        raise SequenceError("no place is clear")

    monkeypatch.setattr(making, "render_views", failing)
    source = SyntheticViews(tmp_path, scenes=1, views_per_scene=2)
    with pytest.raises(SequenceError, match="no place is clear"):
        source.prepare(lambda *_: None, processes=1)
    assert [path.name for path in source.directory.iterdir()] == ["locks"]


def test_what_a_killed_process_left_is_cleared_away(drawn, tmp_path):
    source = SyntheticViews(tmp_path, scenes=1, views_per_scene=1)
    source.directory.mkdir(parents=True)
    left = source.directory / f"{TRAINING_SEEDS[0]}.zip.abc.part"
    left.write_bytes(b"half")
    source.prepare(lambda *_: None, processes=1)
    assert not left.exists()


def test_processes_that_want_the_same_flats_make_each_once(drawn, tmp_path):
    source = SyntheticViews(tmp_path, scenes=6, views_per_scene=2)
    counts = tmp_path / "counts"
    context = multiprocessing.get_context("fork")

    def prepare():
        source.prepare(lambda *_: None, processes=1)
        with counts.open("a") as file:
            file.write("".join(f"{seed}\n" for seed in drawn))

    others = [context.Process(target=prepare) for _ in range(3)]
    for each in others:
        each.start()
    for each in others:
        each.join()
    assert [each.exitcode for each in others] == [0, 0, 0]
    assert sorted(map(int, counts.read_text().split())) == list(source.settings.seeds)
    assert all(damage_of(shard_path(source.directory, seed), 2) is None for seed in source.settings.seeds)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SequenceError, match="file"):
        SyntheticViews(tmp_path / "file", scenes=1).prepare(lambda *_: None, processes=1)
