"""Exports what a SLAM system would be fed with: frames, a module's predictions and IMU samples, as a bag."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.trajectory.export_record import EXPORT_FILE
from harness.environment import environment, package_version
from harness.errors import ConfigurationError
from harness.files import write_text
from harness.findings import utc_now
from harness.rosbag import messages, topics
from harness.rosbag.record import ExportedLabelSpace, ExportRecord
from harness.rosbag.writing import BagWriter, new_directory
from perception.choice import ModuleChoice
from perception.guarded import GuardedModule, create_module
from perception.module import Prediction
from sequences.errors import UnknownNameError
from sequences.label_spaces import load_label_space
from sequences.model import LABEL_UNKNOWN, Frame, GroundTruth, Sequence
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence, resolve

#: Folder of the bag in the directory of an export.
BAG = "bag"


class Odometry(StrEnum):
    """What may be put into a bag as odometry."""

    GROUND_TRUTH = "ground-truth"


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        sequence: A sequence of the catalogue, or the path of one.
        perception: Gives depth and labels.
        output: Directory to make.
        max_frames: Only the first frames; None for all.
        labels: Whether labels go into the bag, where the module gives any.
        odometry: What goes into the bag as odometry; None for nothing.
    """

    sequence: str
    perception: ModuleChoice
    output: Path
    max_frames: int | None = None
    labels: bool = True
    odometry: Odometry | None = None


@dataclass(frozen=True)
class _Labels:
    """What becomes of labels: their space when they are exported, or why those that there are are not."""

    space: ExportedLabelSpace | None = None
    why_not: str | None = None


def export_sequence(
    request: ExportRequest, context: ReaderContext, progress: Callable[[str, int, int], None]
) -> ExportRecord:
    """Write a bag and its record; one frame at a time is in memory.

    Args:
        request: What to export.
        context: What sequence readers need.
        progress: Told about every frame.

    Raises:
        ConfigurationError: More than one sequence is meant, or ground truth is asked for and there is none.
        SequenceError: There is no such sequence, or a file of it is wrong.
        PerceptionError: The module does not fit the sequence, or fails.
        ResultsError: There is something in the place of the output, or it cannot be written.
    """
    entry = _single_entry(request.sequence, context)
    sequence = open_sequence(entry, context)
    module = create_module(request.perception)
    outputs = module.outputs(sequence.info)
    labels = _labels(request, module, sequence, outputs)
    truth = _odometry(request, sequence)
    with new_directory(request.output) as directory:
        module.load()
        exporter = _Exporter(sequence, module, request.max_frames, labels.space is not None, truth)
        with BagWriter(directory / BAG, exporter.topics(outputs)) as bag:
            exporter.write(bag, progress)
        record = _record(request, entry, exporter, outputs, labels, bag)
        write_text(directory / EXPORT_FILE, record.model_dump_json(indent=2) + "\n")
    return record


def _single_entry(name: str, context: ReaderContext) -> SequenceEntry:
    entries = resolve([name], context)
    if len(entries) != 1:
        raise ConfigurationError(
            f"'{name}' is a set of {len(entries)} sequences, and a bag is made of one: "
            f"{', '.join(entry.name for entry in entries)}"
        )
    return entries[0]


def _labels(
    request: ExportRequest, module: GuardedModule, sequence: Sequence, outputs: frozenset[str]
) -> _Labels:
    name = module.label_space(sequence.info)
    if not request.labels or "semantics" not in outputs:
        return _Labels()
    if name is None:
        return _Labels(
            why_not=f"labels are not exported: perception '{module.name}' does not say of which label space "
            "they are"
        )
    try:
        classes = load_label_space(name).model_dump(
            mode="json", exclude={"classes": {"__all__": {"from_nyu40"}}}
        )
    except UnknownNameError as error:
        return _Labels(why_not=f"labels are not exported: {error}")
    return _Labels(ExportedLabelSpace(name=name, classes=classes["classes"], unknown=LABEL_UNKNOWN))


def _odometry(request: ExportRequest, sequence: Sequence) -> GroundTruth | None:
    if request.odometry is None:
        return None
    truth = sequence.ground_truth()
    if truth is None:
        raise ConfigurationError(
            f"sequence '{sequence.info.name}' has no ground truth that could be exported as odometry"
        )
    return truth


class _Exporter:
    """Goes through a sequence once, in order of time."""

    def __init__(
        self,
        sequence: Sequence,
        module: GuardedModule,
        max_frames: int | None,
        labels: bool,
        truth: GroundTruth | None,
    ) -> None:
        self.sequence, self.module = sequence, module
        self.frames = min(len(sequence), max_frames or len(sequence))
        self._labels = labels
        self._truth = truth
        self._truth_rows = np.empty(0, dtype=np.int64)
        if truth is not None:
            self._truth_rows = _rows_around(truth.timestamps_ns, sequence.info.timestamps_ns[: self.frames])

    def topics(self, outputs: frozenset[str]) -> list[topics.Topic]:
        """All topics that will be written to."""
        found = [topics.COLOUR, topics.CAMERA_INFO]
        if "depth" in outputs:
            found.append(topics.DEPTH)
        if self._labels:
            found.append(topics.LABELS)
        if self.sequence.info.imu is not None:
            found += [topics.IMU, topics.STATIC_TRANSFORMS]
        if self._truth is not None:
            found.append(topics.ODOMETRY)
        return found

    def write(self, bag: BagWriter, progress: Callable[[str, int, int], None]) -> None:
        """Write every message."""
        info = self.sequence.info
        if info.imu is not None:
            first_ns = int(info.timestamps_ns[0])
            bag.write(topics.STATIC_TRANSFORMS, first_ns, messages.imu_on_camera(first_ns, info.imu))
        previous_ns = None
        for index in range(self.frames):
            progress("exporting", index, self.frames)
            frame = self.sequence.frame(index)
            self._write_samples(bag, previous_ns, frame.timestamp_ns)
            self._write_truth(bag, frame.timestamp_ns)
            self._write_frame(bag, frame, self.module.predict(frame))
            previous_ns = frame.timestamp_ns
        self._write_truth(bag, None)
        progress("exporting", self.frames, self.frames)

    def _write_frame(self, bag: BagWriter, frame: Frame, prediction: Prediction) -> None:
        time_ns = frame.timestamp_ns
        bag.write(topics.COLOUR, time_ns, messages.colour_image(time_ns, frame.rgb))
        bag.write(topics.CAMERA_INFO, time_ns, messages.camera_info(time_ns, self.sequence.info.intrinsics))
        if prediction.depth is not None:
            bag.write(topics.DEPTH, time_ns, messages.depth_image(time_ns, prediction.depth))
        if self._labels and prediction.semantics is not None:
            bag.write(topics.LABELS, time_ns, messages.label_image(time_ns, prediction.semantics))

    def _write_samples(self, bag: BagWriter, after_ns: int | None, until_ns: int) -> None:
        """The samples that a backend would be sent with the frame."""
        if after_ns is None or self.sequence.info.imu is None:
            return
        samples = self.sequence.imu_between(after_ns, until_ns)
        if samples is None:
            return
        for time_ns, turn, force in zip(
            samples.timestamps_ns.tolist(), samples.gyroscope, samples.accelerometer, strict=True
        ):
            bag.write(topics.IMU, time_ns, messages.imu_sample(time_ns, turn, force))

    def _write_truth(self, bag: BagWriter, until_ns: int | None) -> None:
        """The rows of ground truth that are due; all that are left without ``until_ns``."""
        if self._truth is None:
            return
        stamps = self._truth.timestamps_ns[self._truth_rows]
        due = len(stamps) if until_ns is None else int(np.searchsorted(stamps, until_ns, side="right"))
        for row in self._truth_rows[:due].tolist():
            time_ns = int(self._truth.timestamps_ns[row])
            pose = messages.odometry(time_ns, self._truth.positions[row], self._truth.quaternions[row])
            bag.write(topics.ODOMETRY, time_ns, pose)
        self._truth_rows = self._truth_rows[due:]


def _rows_around(
    timestamps_ns: NDArray[np.int64], frame_timestamps_ns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows from the last one before the first frame to the first one after the last, to interpolate in."""
    first = int(np.searchsorted(timestamps_ns, frame_timestamps_ns[0], side="right")) - 1
    last = int(np.searchsorted(timestamps_ns, frame_timestamps_ns[-1], side="left"))
    return np.arange(max(first, 0), min(last + 1, len(timestamps_ns)), dtype=np.int64)


def _record(
    request: ExportRequest,
    entry: SequenceEntry,
    exporter: _Exporter,
    outputs: Iterable[str],
    labels: _Labels,
    bag: BagWriter,
) -> ExportRecord:
    info, module = exporter.sequence.info, exporter.module
    imu = None
    if info.imu is not None:
        imu = asdict(info.imu) | {"imu_to_camera": info.imu.imu_to_camera.tolist()}
    versions = environment()
    versions = versions | {"packages": versions["packages"] | {"rosbags": package_version("rosbags")}}
    return ExportRecord(
        exported_at=utc_now(),
        sequence={
            "name": info.name,
            "entry": entry.to_json(),
            "frames": len(exporter.sequence),
            "intrinsics": asdict(info.intrinsics),
            "imu": imu,
            "notes": list(info.notes),
            "source": info.source,
        },
        perception={
            "name": module.name,
            "choice": asdict(request.perception),
            "outputs": sorted(outputs),
            "reads_sensor": module.reads_sensor,
            "details": module.describe(),
        },
        frames=exporter.frames,
        topics={topic.name: {"type": topic.kind, "messages": bag.counts[topic.name]} for topic in bag.topics},
        frame_ids={"camera": topics.CAMERA_FRAME, "imu": topics.IMU_FRAME, "world": topics.WORLD_FRAME},
        depth_unknown="NaN" if "depth" in outputs else None,
        label_space=labels.space,
        ground_truth_is_input=request.odometry is Odometry.GROUND_TRUTH,
        notes=() if labels.why_not is None else (labels.why_not,),
        environment=versions,
    )
