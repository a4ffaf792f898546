"""All that is collected while the frames of a sequence are compared with its truth, and the figures of it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from perception.evaluation.consistency import (
    GAPS,
    ConsistencyFigures,
    ConsistencyLog,
    TemporalConsistency,
)
from perception.evaluation.depth import DepthFigures, DepthMetrics, DepthScore, FrameDepth
from perception.evaluation.edges import EdgeFigures, EdgeScore
from perception.evaluation.label_comparison import LabelComparison
from perception.evaluation.latency import LatencyFigures, latency_figures
from perception.evaluation.normals import NormalsFigures, NormalsScore
from perception.evaluation.options import EvaluationOptions
from perception.evaluation.scale_drift import ScaleDrift, scale_drift
from perception.evaluation.semantics import SemanticsFigures, SemanticsScore
from perception.evaluation.surface_normals import true_normals
from perception.module import Prediction
from sequences.association import associate
from sequences.model import NANOSECONDS_PER_SECOND, Frame, Intrinsics
from sequences.model import Sequence as FrameSequence


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one frame.

    Attributes:
        index: Of the frame in its sequence.
        timestamp_ns: Its time stamp.
        predict_ms: How long the module took.
        warm_up: Whether that is no part of the latency.
        path_m: How far the camera had gone along ground truth; None without a pose.
        depth_coverage: Share of the pixels with true depth in the range that have predicted depth.
        depth_ratio: Median of predicted over true depth.
        depth: Errors of depth; None where there is nothing to compare.
        pixel_accuracy: Share of right labels; None without labels.
    """

    index: int
    timestamp_ns: int
    predict_ms: float
    warm_up: bool
    path_m: float | None
    depth_coverage: float | None
    depth_ratio: float | None
    depth: DepthMetrics | None
    pixel_accuracy: float | None


@dataclass(frozen=True)
class Figures:
    """All figures of one sequence, or of several taken together.

    A figure that does not exist is None or missing, and ``absent`` says why, by what is missing.
    """

    semantics: SemanticsFigures | None
    depth: DepthFigures | None
    normals: NormalsFigures | None
    edges: EdgeFigures | None
    consistency: tuple[ConsistencyFigures, ...]
    latency: LatencyFigures | None
    absent: dict[str, str]


class Scores:
    """Collects what can be merged over sequences. What is not compared has a reason in place of a score.

    Attributes:
        semantics, depth, normals, edges: None where they are not compared.
        consistency: Pairs of frames by their gap; empty where they are not compared.
        milliseconds: Latencies behind the warm-up.
        warm_up_frames: How many were left out.
        absent: Why something is not compared, by its name.
    """

    def __init__(self) -> None:
        self.semantics: SemanticsScore | None = None
        self.depth: DepthScore | None = None
        self.normals: NormalsScore | None = None
        self.edges: EdgeScore | None = None
        self.consistency: dict[str, ConsistencyLog] = {}
        self.milliseconds: list[float] = []
        self.warm_up_frames = 0
        self.absent: dict[str, str] = {}

    def figures(self) -> Figures:
        """The figures of what was collected."""
        absent = dict(self.absent)
        found = {
            "semantics": (self.semantics, "no pixel has a true label that the label space knows"),
            "depth": (self.depth, "no pixel has both true depth within the range and predicted depth"),
            "normals": (self.normals, "no pixel has both a true and a predicted normal"),
            "edges": (self.edges, "the true labels have no borders"),
        }
        figures = {name: score.figures() if score else None for name, (score, _) in found.items()}
        for name, (score, reason) in found.items():
            if score is not None and figures[name] is None:
                absent[name] = reason
        gaps = [(gap, log.figures(gap)) for gap, log in self.consistency.items()]
        for gap, each in gaps:
            if each is None:
                absent[f"consistency ({gap})"] = "no two evaluated frames are so far apart in time"
            elif each.predicted is None:
                absent[f"consistency ({gap})"] = "no two frames with a pose show enough depth in common"
        latency = latency_figures(self.milliseconds, self.warm_up_frames)
        if latency is None:
            absent["latency"] = f"all {self.warm_up_frames} frames were warm-up"
        return Figures(
            **figures,  # type: ignore[arg-type]
            consistency=tuple(each for _, each in gaps if each is not None),
            latency=latency,
            absent=absent,
        )


class SequenceScores(Scores):
    """Compares the frames of one sequence.

    Args:
        sequence: Its frames' depth and labels are the truth.
        outputs: What the module gives on it.
        labels: How labels are compared; None where they cannot be.
        options: Of the evaluation.
    """

    def __init__(
        self,
        sequence: FrameSequence,
        outputs: frozenset[str],
        labels: LabelComparison | None,
        options: EvaluationOptions,
    ):
        super().__init__()
        self._options = options
        self._labels = labels
        self._path_m = path_lengths(sequence)
        self._consistency: TemporalConsistency | None = None
        self.frames: list[FrameFigures] = []
        self._begin(sequence, outputs)

    def _begin(self, sequence: FrameSequence, outputs: frozenset[str]) -> None:
        """Make the scores of what can be compared, and note why others cannot."""
        info = sequence.info
        no_depth, no_labels = "the sequence has no depth", "the sequence has no labels"
        for name in ("depth", "semantics", "normals", "edges"):
            truth_is_missing = no_labels if name in ("semantics", "edges") else no_depth
            if name not in outputs:
                self.absent[name] = "the module does not predict it"
            elif not (info.label_space if truth_is_missing == no_labels else info.has_depth):
                self.absent[name] = truth_is_missing
        if "semantics" not in self.absent:
            if self._labels is None:
                self.absent["semantics"] = "the module does not say of which label space its labels are"
            else:
                self.semantics = SemanticsScore(self._labels.space)
        if "depth" not in self.absent:
            self.depth = DepthScore(self._options.min_depth, self._options.max_depth)
        if "normals" not in self.absent:
            self.normals = NormalsScore()
        if "edges" not in self.absent:
            self.edges = EdgeScore()
        if "depth" not in outputs:
            self.absent["consistency"] = "the module does not predict depth"
        elif not self._path_m:
            self.absent["consistency"] = "no frame has a ground-truth pose"
        else:
            self._consistency = TemporalConsistency(sequence, self._path_m, self._options.every)
            self.consistency = self._consistency.logs

    def add(self, frame: Frame, camera: Intrinsics, prediction: Prediction, predict_ms: float) -> None:
        """Compare one frame, which a camera took, with what was predicted of it.

        Raises:
            SequenceError: A true label is none of its label space.
            ModuleFailedError: A predicted one is, or normals or edges are not finite.
        """
        is_warm_up = len(self.frames) < self._options.warm_up
        if is_warm_up:
            self.warm_up_frames += 1
        else:
            self.milliseconds.append(predict_ms)
        accuracy = self._add_labels(frame, prediction)
        depth = self._add_depth(frame, camera, prediction)
        self.frames.append(
            FrameFigures(
                index=frame.index,
                timestamp_ns=frame.timestamp_ns,
                predict_ms=predict_ms,
                warm_up=is_warm_up,
                path_m=self._path_m.get(frame.index),
                depth_coverage=depth.pixels / depth.truth_pixels if depth and depth.truth_pixels else None,
                depth_ratio=depth.median_ratio if depth else None,
                depth=depth.metrics() if depth else None,
                pixel_accuracy=accuracy,
            )
        )

    def _add_labels(self, frame: Frame, prediction: Prediction) -> float | None:
        if frame.labels is None:
            return None
        truth = frame.labels if self._labels is None else self._labels.true_labels(frame.labels)
        if self.edges is not None and prediction.edges is not None:
            self.edges.add(truth, prediction.edges)
        if self.semantics is None or self._labels is None or prediction.semantics is None:
            return None
        return self.semantics.add(truth, self._labels.predicted_labels(prediction.semantics))

    def _add_depth(self, frame: Frame, camera: Intrinsics, prediction: Prediction) -> FrameDepth | None:
        if self._consistency is not None and prediction.depth is not None:
            self._consistency.add(frame, prediction.depth)
        if frame.depth is None:
            return None
        if self.normals is not None and prediction.normals is not None:
            options = self._options
            inside = (frame.depth >= options.min_depth) & (frame.depth <= options.max_depth)
            depth = np.where(inside, frame.depth, np.float32(0))
            self.normals.add(true_normals(depth, camera), prediction.normals, depth)
        if self.depth is None or prediction.depth is None:
            return None
        return self.depth.add(frame.depth, prediction.depth)

    def scale_drift(self) -> ScaleDrift | None:
        """How the scale changes along the sequence; None where no frame has both depths."""
        return scale_drift(
            [frame.depth_ratio for frame in self.frames],
            [frame.timestamp_ns / NANOSECONDS_PER_SECOND for frame in self.frames],
            [frame.path_m for frame in self.frames],
        )


class _Mergeable(Protocol):
    def merge(self, other: Any) -> None: ...


Score = TypeVar("Score", bound=_Mergeable)


def merged(scores: Sequence[SequenceScores]) -> Scores:
    """Several sequences taken together: all their pixels, frames and pairs in one.

    What one of them lacks is of the others. Labels that were compared in different spaces are not merged.
    """
    together = Scores()
    together.depth = _together([each.depth for each in scores])
    together.normals = _together([each.normals for each in scores])
    together.edges = _together([each.edges for each in scores])
    spaces = {each.semantics.space.name for each in scores if each.semantics}
    if len(spaces) > 1:
        together.absent["semantics"] = f"labels were compared in {' and '.join(sorted(spaces))}"
    else:
        together.semantics = _together([each.semantics for each in scores])
    for gap in GAPS:
        log = _together([each.consistency.get(gap) for each in scores])
        if log is not None:
            together.consistency[gap] = log
    for each in scores:
        together.milliseconds += each.milliseconds
        together.warm_up_frames += each.warm_up_frames
    for name in dict.fromkeys(name for each in scores for name in each.absent):
        if all(name in each.absent for each in scores):
            together.absent[name] = "; ".join(dict.fromkeys(each.absent[name] for each in scores))
    return together


def _together(scores: Sequence[Score | None]) -> Score | None:
    present = [score for score in scores if score is not None]
    if not present:
        return None
    total = copy.deepcopy(present[0])
    for score in present[1:]:
        total.merge(score)
    return total


def path_lengths(sequence: FrameSequence) -> dict[int, float]:
    """How far the camera has gone from the first frame with a ground-truth pose, metres, by frame index."""
    truth, info = sequence.ground_truth(), sequence.info
    if truth is None:
        return {}
    pairs = associate(info.timestamps_ns, truth.timestamps_ns, info.frame_period_ns // 2)
    if not len(pairs):
        return {}
    steps = np.linalg.norm(np.diff(truth.positions[pairs[:, 1]], axis=0), axis=1)
    return dict(zip(pairs[:, 0].tolist(), np.concatenate([[0.0], np.cumsum(steps)]).tolist(), strict=True))
