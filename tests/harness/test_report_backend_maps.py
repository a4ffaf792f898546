"""The report's part on maps that backends wrote: pictures, scores against the true scene, what is missing."""

import sys

import experiments
import numpy as np
import pandas as pd
import pytest
from experiments import TrialRecipe, build_experiment
from made_up_map import CHAIR, FLOOR, WALL, graph_node, joined, ply, sheet, write_map
from room_sequence import FRAMES, room_poses, write_room_sequence

from harness.evaluation import Similarity
from harness.report import write_report
from harness.report.backend_map_section import BackendMapSection, make_backend_map_section
from harness.report.comparison import load_comparison
from harness.report.style import report_style
from harness.report.tracks import load_tracks
from sequences.model import SceneObject, SceneRoom, SceneTruth
from sequences.reader import ReaderContext, ignore_progress
from sequences.scene_truth_file import MESH_FILE, SCENE_FILE, write_scene_truth

# Two sides, the top and the front of the box that stands in the room, and the room's floor and wall.
SCENE = joined(
    sheet(FLOOR, (0, 0, 0), (4, 0, 0), (0, 3, 0)),
    sheet(WALL, (0, 3, 0), (4, 0, 0), (0, 0, 2.5)),
    sheet(CHAIR, (0.6, 2.0, 0), (0.8, 0, 0), (0, 0, 0.9)),
    sheet(CHAIR, (0.6, 2.0, 0.9), (0.8, 0, 0), (0, 0.6, 0)),
    sheet(CHAIR, (1.4, 2.0, 0), (0, 0.6, 0), (0, 0, 0.9)),
)
CHAIR_BOX = np.array([[0.6, 2.0, 0.0], [1.4, 2.6, 0.9]])
ROOM = SceneRoom(
    "study", np.zeros(3), np.array([4.0, 3.0, 2.5]), np.array([[0, 0], [4, 0], [4, 3], [0, 3.0]])
)
EDGES = [(5, 4), (4, 2), (4, 3), (2, 3), (2, 1)]


@pytest.fixture(autouse=True)
def _room_is_known(monkeypatch):
    monkeypatch.setitem(experiments.PATHS, "room", room_poses)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    directory = tmp_path_factory.mktemp("recordings") / "room"
    write_room_sequence(directory)
    (directory / MESH_FILE).write_bytes(ply(SCENE))
    chair = SceneObject(CHAIR, "chair", *CHAIR_BOX, 0, pixels=90_000, frames=FRAMES)
    write_scene_truth(SceneTruth(directory / MESH_FILE, "nyu40", (chair,), (ROOM,)))
    return directory


@pytest.fixture
def room(recorded, tmp_path):
    """A recording of one's own, to be damaged."""
    directory = tmp_path / "room"
    directory.mkdir()
    for path in recorded.iterdir():
        (directory / path.name).symlink_to(path)
    return directory


@pytest.fixture
def context(tmp_path):
    return ReaderContext(data_directory=None, cache_directory=tmp_path / "cache")


def in_room(directory, backend="mapper", perception="sensor", **fields):
    entry = {"name": "room", "reader": "tum", "parameters": {"directory": str(directory)}}
    record = {"sequence": {"entry": entry, "frames": FRAMES}} | fields.pop("record", {})
    return TrialRecipe("room", perception, backend, noise=0.0, record=record, **fields)


def backend_world():
    """From ground truth's world to that of the trial's trajectory, which begins at its first camera."""
    first = room_poses()
    rotation = first.rotations()[0].inv()
    return Similarity(1.0, rotation.as_matrix(), -rotation.apply(first.positions[0]))


def nodes(world):
    def at(*position):
        return tuple(world.apply(np.array([position], dtype=float))[0].tolist())

    return [
        graph_node(1, "OBJECTS", at(1.0, 2.3, 0.45), "chair", CHAIR, (0.6, 0.6, 0.6)),
        graph_node(2, "PLACES", at(1.0, 1.0, 1.0)),
        graph_node(3, "PLACES", at(3.0, 1.0, 1.0)),
        graph_node(4, "ROOMS", at(2.0, 1.0, 1.0), "room 0"),
        graph_node(5, "BUILDINGS", at(2.0, 1.0, 1.0), "building"),
    ]


def with_map(experiment, mesh=SCENE, backend="mapper"):
    (trial,) = experiment.path.glob(f"trials/*/*/{backend}/run-0")
    world = backend_world()
    write_map(trial / "backend", mesh.moved(world), nodes(world), EDGES)
    return trial / "backend"


def section_of(experiment, context):
    tracks, _ = load_tracks(load_comparison([experiment]).groups)
    with report_style():
        return make_backend_map_section(tracks, context, ignore_progress)


def rows_of(section, name="backend_maps.csv"):
    return dict(section.frames)[name].to_dict("records")


def picture_names(section):
    return [picture.name for group in section.pictures for picture in group.pictures]


def test_a_map_is_measured_in_the_world_of_ground_truth_and_drawn(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    with_map(experiment)
    files = write_report([experiment], context=context)
    assert files.problems == ()
    tables = {path.name: path for path in files.tables}
    (row,) = pd.read_csv(tables["backend_maps.csv"]).to_dict("records")
    assert row["accuracy_mean_m"] == pytest.approx(0.0, abs=1e-4)
    assert row["completeness_share"] == 1.0
    assert row["label_miou"] > 0.9  # vertices on the edge between two classes may have either label
    assert [row[f"objects_{name}"] for name in ("true", "found", "matched")] == [1, 1, 1]
    assert [row[f"rooms_{name}"] for name in ("true", "found", "matched")] == [1, 1, 1]
    assert row["room_overlap"] == 1.0
    classes = pd.read_csv(tables["backend_map_classes.csv"]).set_index("class")
    assert classes["objects_matched"]["chair"] == 1
    names = [path.name for path in files.figures]
    assert {"backend_map-room-sensor-mapper.png", "scene_graph-room-sensor-mapper.png"} <= {*names}
    assert "## Maps of the backends" in files.markdown.read_text()
    assert '<section id="backend-maps">' in files.html.read_text()
    assert {"backend_maps.tex", "backend_map_classes.tex"} <= {*tables}


def test_a_map_that_is_wrong_has_worse_scores(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    # A floor eight centimetres too high that is called a wall, and nothing else.
    with_map(experiment, sheet(WALL, (0, 0, 0.08), (4, 0, 0), (0, 3, 0)))
    (row,) = rows_of(section_of(experiment, context))
    assert row["accuracy_median_m"] == pytest.approx(0.08, abs=1e-3)
    assert row["completeness_share"] < 0.1
    assert row["label_miou"] < 0.1


def test_a_report_without_such_maps_does_not_speak_of_them(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    assert section_of(experiment, context) == BackendMapSection()
    files = write_report([experiment], maps=False)
    assert "Maps of the backends" not in files.markdown.read_text()
    assert "backend-maps" not in files.html.read_text()


def test_without_the_truth_of_a_scene_the_map_is_shown_and_nothing_is_measured(room, context, tmp_path):
    (room / SCENE_FILE).unlink()
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    with_map(experiment)
    section = section_of(experiment, context)
    (problem,) = section.problems
    assert problem == (
        "Map of room / sensor / mapper / run 0: it is not measured: "
        "sequence room comes without the truth of its scene."
    )
    (row,) = rows_of(section)
    assert (row["objects"], row["places"], row["rooms"]) == (1, 2, 1)
    assert "label_miou" not in row
    assert [cell.text for cell in section.tables[0].rows[0]][-6:] == ["1 / –", "–", "–"] * 2
    assert "scene_graph-room-sensor-mapper.png" in picture_names(section)


def test_what_the_truth_of_a_scene_does_not_list_is_not_scored_as_zero(room, context, tmp_path):
    (room / SCENE_FILE).unlink()
    write_scene_truth(SceneTruth(room / MESH_FILE, "nyu40", (), ()))
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    with_map(experiment)
    section = section_of(experiment, context)
    (problem,) = section.problems
    assert "objects and rooms are not measured: the truth of the scene does not list them" in problem
    (row,) = rows_of(section)
    assert row["completeness_share"] == 1.0
    assert row["label_miou"] > 0.9
    assert not {"objects_true", "rooms_true"} & {*row}


def test_labels_that_cannot_be_compared_leave_the_other_scores(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    labels = with_map(experiment) / "labels.json"
    labels.write_text(labels.read_text().replace('"nyu40"', '"own"'))
    section = section_of(experiment, context)
    (problem,) = section.problems
    assert (
        "labels and objects are not measured: the map's labels cannot be compared: unknown label" in problem
    )
    (row,) = rows_of(section)
    assert row["completeness_share"] == 1.0
    assert row["rooms_matched"] == 1
    assert "label_miou" not in row


def test_a_backend_without_labels_has_a_map_without_labels(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    (with_map(experiment) / "labels.json").write_text('{"name": "none", "classes": []}')
    section = section_of(experiment, context)
    (problem,) = section.problems
    assert problem.endswith("labels and objects are not measured: the backend was given no labels.")
    assert picture_names(section)[0] == "backend_map-room-sensor-mapper.png"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda map_: (map_ / "mesh.ply").unlink(), "mesh.ply cannot be read: No such file"),
        (lambda map_: (map_ / "mesh.ply").write_bytes(ply(SCENE)[:5000]), "is truncated"),
        (lambda map_: (map_ / "graph.json").write_text("{"), "graph.json is not valid: Invalid JSON"),
        (lambda map_: (map_ / "map.json").write_text("{}"), "schema_version: Field required"),
    ],
    ids=["missing", "truncated", "no JSON", "empty"],
)
def test_a_damaged_map_is_named_and_not_measured(room, context, tmp_path, damage, said):
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    damage(with_map(experiment))
    section = section_of(experiment, context)
    (problem,) = section.problems
    assert problem.startswith("No map of room / sensor / mapper / run 0: ")
    assert said in problem
    assert section.tables == section.pictures == ()


def test_one_damaged_map_leaves_the_others(room, context, tmp_path):
    experiment = build_experiment(tmp_path / "runs", [in_room(room, "damaged"), in_room(room)])
    (with_map(experiment, backend="damaged") / "mesh.ply").unlink()
    with_map(experiment)
    section = section_of(experiment, context)
    assert len(section.problems) == 1
    assert [row["backend"] for row in rows_of(section)] == ["mapper"]


def test_a_map_that_the_record_names_and_that_is_gone_is_reported(room, context, tmp_path):
    trial = in_room(room, record={"files": ("trajectory.tum", "backend/map.json")})
    (problem,) = section_of(build_experiment(tmp_path / "runs", [trial]), context).problems
    assert problem.startswith("No map of room / sensor / mapper / run 0: ")
    assert problem.endswith("map.json cannot be read: No such file or directory")


def test_without_open3d_the_report_says_how_to_get_such_maps(room, context, tmp_path, monkeypatch):
    ours = (
        "harness.report.map",
        "harness.report.backend_maps",
        "harness.report.fusion",
        "harness.evaluation.surf",
    )
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "open3d", None)
    experiment = build_experiment(tmp_path / "runs", [in_room(room)])
    with_map(experiment)
    (problem,) = section_of(experiment, context).problems
    assert "pip install 'slam-harness[open3d]'" in problem
