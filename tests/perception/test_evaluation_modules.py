"""Evaluating whole modules: what they are shown, what is compared, and what ends the evaluation."""

import numpy as np
import pytest
from evaluated_room import EvaluatedRoom, depth_of, evaluate, module_class

from perception.errors import ModuleFailedError, PerceptionError
from perception.evaluation.edges import semantic_edges
from perception.evaluation.surface_normals import true_normals
from perception.module import Prediction
from perception.sensor import SensorModule
from sequences.errors import SequenceError
from sequences.label_spaces import load_label_space


def test_the_sensor_is_perfect_on_a_sequence_without_sensor_effects(monkeypatch):
    found = evaluate(monkeypatch, EvaluatedRoom(), SensorModule)
    assert found.reads_sensor
    together = found.together
    assert (together.depth.pooled.rmse, together.depth.coverage) == (0, 1)
    assert (together.semantics.miou, together.semantics.label_space) == (1, "nyu40")
    drift = found.sequences[0].drift
    assert (drift.ratio, drift.spread, drift.frame_to_frame, drift.trend_per_metre) == (1, 0, 0, 0)


def test_a_module_that_does_not_read_the_sensor_is_shown_no_truth(monkeypatch):
    seen = []

    def look(frame):
        seen.append((frame.depth, frame.labels))
        return Prediction(depth=np.ones(frame.rgb.shape[:2], np.float32))

    evaluate(monkeypatch, EvaluatedRoom(), module_class(look), max_frames=3)
    assert seen == [(None, None)] * 3


def test_every_task_is_compared_when_a_module_knows_it_all(monkeypatch):
    room = EvaluatedRoom(frames=6)

    def everything(frame):
        depth, labels = room.depth[frame.index], room.labels[frame.index]
        return Prediction(
            depth=np.float32(1.1) * depth,
            semantics=load_label_space("nyud20").from_nyu40()[labels],
            label_space="nyud20",
            normals=true_normals(depth, room.info.intrinsics),
            edges=semantic_edges(labels).astype(np.float32),
        )

    outputs = ("depth", "semantics", "normals", "edges")
    found = evaluate(monkeypatch, room, module_class(everything, outputs, "nyud20")).together
    assert found.depth.pooled.abs_rel == pytest.approx(0.1, rel=1e-4)
    assert found.depth.pooled_after_scaling.abs_rel < 1e-4
    assert (found.semantics.miou, found.semantics.label_space) == (1, "nyud20")
    assert (found.normals.mean_deg, found.normals.coverage) == (pytest.approx(0, abs=1e-6), 1)
    assert found.edges.ods_f > 0.95
    assert found.absent == {"consistency (a second)": "no two evaluated frames are so far apart in time"}


def test_true_normals_of_what_is_out_of_range_do_not_count(monkeypatch):
    room = EvaluatedRoom(frames=1)
    (depth,) = room.depth
    nearest, farthest = np.quantile(depth, [0.2, 0.8])

    def wrong_out_of_range(frame):
        normals = true_normals(depth, room.info.intrinsics)
        normals[(depth < nearest) | (depth > farthest)] *= -1
        return Prediction(normals=normals)

    kind = module_class(wrong_out_of_range, ("normals",))
    found = evaluate(monkeypatch, room, kind, min_depth=nearest, max_depth=farthest).together.normals
    assert found.mean_deg < 1
    assert found.within_30 == 1


def test_holes_lower_coverage_frame_by_frame(monkeypatch):
    room = EvaluatedRoom()

    def with_holes(depth, index):
        holed = depth.copy()
        holed[:30] = 0
        return holed

    found = evaluate(monkeypatch, room, depth_of(room, with_holes))
    assert found.together.depth.coverage == pytest.approx(0.75)
    assert [frame.depth_coverage for frame in found.sequences[0].frames] == [0.75] * 24
    assert found.together.depth.pooled.rmse == 0


def test_every_nth_frame_and_at_most_so_many_take_part_and_others_are_not_read(monkeypatch):
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda d, i: d), every=5, max_frames=3)
    assert room.read == [0, 5, 10]
    assert [frame.index for frame in found.sequences[0].frames] == [0, 5, 10]
    gaps = {each.gap: (each.pairs, each.seconds) for each in found.together.consistency}
    assert gaps["next frame"] == (2, pytest.approx(0.5))
    assert gaps["a second"] == (1, pytest.approx(1.0))


def test_what_a_module_or_a_sequence_lacks_is_told_in_place_of_figures(monkeypatch):
    room = EvaluatedRoom(label_space=None)
    kind = module_class(
        lambda frame: Prediction(semantics=np.ones(frame.rgb.shape[:2], np.uint8)), ("semantics",)
    )
    found = evaluate(monkeypatch, room, kind).together
    assert (found.depth, found.semantics, found.edges) == (None, None, None)
    assert found.absent["depth"] == "the module does not predict it"
    assert found.absent["semantics"] == "the sequence has no labels"
    assert found.absent["consistency"] == "the module does not predict depth"


def test_labels_of_no_named_space_are_not_compared(monkeypatch):
    kind = module_class(
        lambda frame: Prediction(semantics=np.ones(frame.rgb.shape[:2], np.uint8)), ("semantics",)
    )
    found = evaluate(monkeypatch, EvaluatedRoom(), kind).together
    assert found.absent["semantics"] == "the module does not say of which label space its labels are"


def test_truth_out_of_range_in_all_frames_is_told(monkeypatch):
    room = EvaluatedRoom()
    found = evaluate(monkeypatch, room, depth_of(room, lambda d, i: d), min_depth=50.0, max_depth=60.0)
    assert found.together.depth is None
    assert "within the range" in found.together.absent["depth"]
    assert found.sequences[0].drift is None


def test_several_sequences_are_pooled_over_all_their_pixels_and_frames(monkeypatch):
    near, far = EvaluatedRoom(6, "near"), EvaluatedRoom(18, "far")
    kind = module_class(lambda frame: Prediction(depth=np.full(frame.rgb.shape[:2], 2.0, np.float32)))
    found = evaluate(monkeypatch, [near, far], kind)
    assert [len(each.frames) for each in found.sequences] == [6, 18]
    truth = np.stack(near.depth + far.depth).astype(np.float64)
    assert found.together.depth.pooled.rmse == pytest.approx(np.sqrt(np.mean((truth - 2) ** 2)))
    assert found.together.latency.frames == 24 - 2 * 5
    assert found.together.consistency[0].pairs == 5 + 17
    assert found.drift.sequences == 2


def test_a_module_carries_nothing_it_remembers_from_one_sequence_into_the_next(monkeypatch):
    class CountingModule(module_class(None)):
        def __init__(self):
            self.frames = 0

        def predict(self, frame):
            self.frames += 1
            return Prediction(depth=np.full(frame.rgb.shape[:2], self.frames, np.float32))

    rooms = [EvaluatedRoom(6, "one"), EvaluatedRoom(6, "other")]
    one, other = evaluate(monkeypatch, rooms, CountingModule).sequences
    assert [frame.depth_ratio for frame in one.frames] == [frame.depth_ratio for frame in other.frames]


def test_labels_compared_in_different_spaces_are_not_pooled(monkeypatch):
    nyu40, scannet20 = EvaluatedRoom(6, "one"), EvaluatedRoom(6, "other", label_space="scannet20")
    scannet20.labels = [np.zeros_like(each) for each in scannet20.labels]
    kind = module_class(
        lambda frame: Prediction(semantics=np.ones(frame.rgb.shape[:2], np.uint8), label_space="nyu40"),
        ("semantics",),
        "nyu40",
    )
    found = evaluate(monkeypatch, [nyu40, scannet20], kind)
    assert [each.figures.semantics.label_space for each in found.sequences] == ["nyu40", "scannet20"]
    assert found.sequences[1].figures.semantics.miou == 1
    assert found.together.absent["semantics"] == "labels were compared in nyu40 and scannet20"


def test_a_frame_that_cannot_be_read_stops_with_sequence_frame_and_file(monkeypatch):
    room = EvaluatedRoom()
    room.unreadable = 3
    with pytest.raises(SequenceError, match=r"sequence 'room': frame 3: rgb/00003\.png: is truncated"):
        evaluate(monkeypatch, room, depth_of(room, lambda depth, index: depth))


def test_a_frame_that_cannot_be_predicted_stops_with_sequence_and_frame(monkeypatch):
    room = EvaluatedRoom()
    broken = depth_of(room, lambda depth, index: depth * (np.nan if index == 4 else 1))
    with pytest.raises(ModuleFailedError, match="sequence 'room': frame 4: depth has NaN"):
        evaluate(monkeypatch, room, broken)


def test_a_label_that_is_no_class_stops_with_sequence_and_frame(monkeypatch):
    kind = module_class(
        lambda frame: Prediction(semantics=np.full(frame.rgb.shape[:2], 99, np.uint8), label_space="nyu40"),
        ("semantics",),
        "nyu40",
    )
    with pytest.raises(ModuleFailedError, match="sequence 'room': frame 0: predicted label 99 is no class"):
        evaluate(monkeypatch, EvaluatedRoom(), kind)


def test_labels_that_cannot_be_compared_are_found_out_before_anything_is_predicted(monkeypatch):
    first, second = EvaluatedRoom(6, "first"), EvaluatedRoom(6, "second", label_space="cityscapes19")
    kind = module_class(
        lambda frame: Prediction(semantics=np.ones(frame.rgb.shape[:2], np.uint8), label_space="nyud20"),
        ("semantics",),
        "nyud20",
    )
    with pytest.raises(PerceptionError, match="sequence 'second': true labels of 'cityscapes19'"):
        evaluate(monkeypatch, [first, second], kind)
    assert first.read == []
