"""What is known and what was found out about a sequence, as lines for people."""

from collections.abc import Iterator

import numpy as np

from sequences.datasets import load_dataset
from sequences.ground_truth_checks import Comparison
from sequences.model import NANOSECONDS_PER_SECOND, GroundTruth, Sequence
from sequences.sequence_sets import SequenceEntry, SequenceSet
from sequences.verification import Verification


def set_heading(found: SequenceSet) -> str:
    """Name, version, description, and how much of the set is on this machine."""
    here = sum(not entry.is_missing for entry in found.entries)
    amount = "" if here == len(found.entries) else f" [{here} of {len(found.entries)} here]"
    return f"{found.name} (version {found.version}){amount}: {found.description}"


def description(sequence: Sequence, entry: SequenceEntry) -> Iterator[tuple[str, str]]:
    """What ``harness sequences show`` prints: headings, each with what is to be said."""
    info = sequence.info
    camera = info.intrinsics
    yield "reader", entry.reader
    if entry.set_name is not None:
        yield "set", f"{entry.set_name}, version {entry.set_version}"
    if entry.dataset is not None:
        dataset = load_dataset(entry.dataset)
        yield "data set", f"{dataset.title}, {dataset.homepage}"
        yield "licence", dataset.licence
        yield "cite", dataset.citation
    for key in ("directory", "calibration"):
        if key in info.source:
            yield key, str(info.source[key])
    seconds = np.ptp(info.timestamps_ns) / NANOSECONDS_PER_SECOND
    rate_hz = NANOSECONDS_PER_SECOND / info.frame_period_ns
    yield "frames", f"{len(sequence)} over {seconds:.1f} s, {rate_hz:.4g} a second (median)"
    yield "images", f"{camera.width}×{camera.height}"
    yield "camera", f"fx {camera.fx:.6g}, fy {camera.fy:.6g}, cx {camera.cx:.6g}, cy {camera.cy:.6g}"
    yield "depth", "yes" if info.has_depth else "no"
    yield "labels", info.label_space or "no"
    yield "IMU", f"{info.imu.rate_hz:g} samples a second" if info.imu else "no"
    yield "ground truth", _truth(sequence.ground_truth())
    scene = sequence.scene_truth()
    if scene is not None:
        yield "scene", f"{scene.mesh_path}, {len(scene.rooms)} rooms, {len(scene.objects)} objects"
    for note in info.notes:
        yield "note", note


def findings(found: Verification) -> Iterator[tuple[str, str]]:
    """What ``harness sequences verify`` prints: headings, each with what is to be said."""
    of_all = "" if found.frames_read == found.frames else f" of {found.frames}, spread evenly"
    yield "frames read", f"{found.frames_read}{of_all}, {len(found.unreadable)} unreadable"
    for message in found.unreadable[:_MOST_MESSAGES]:
        yield "", message
    if len(found.unreadable) > _MOST_MESSAGES:
        yield "", f"... and {len(found.unreadable) - _MOST_MESSAGES} more"
    for part in found.left_out:
        yield part.what, f"{part.count} of {part.total} left out ({part.reason})"
    if found.frames_without_depth:
        yield "frames without depth", f"{found.frames_without_depth}: no pixel is known"
    if found.frames_without_pose is not None:
        yield "frames without pose", str(found.frames_without_pose)
    for comparison in found.comparisons:
        yield comparison.what, _comparison(comparison)
    if found.not_compared is not None:
        yield "geometry", f"ground truth compared with nothing: {found.not_compared}"


_MOST_MESSAGES = 5


def _comparison(found: Comparison) -> str:
    text = (
        f"{found.verdict.value}: {found.error:.3g} {found.unit} with ground truth, {found.reference:.3g} "
        f"with {found.reference_is} ({found.pairs} pairs of frames)"
    )
    if found.better is not None:
        text += f"; {found.better_error:.3g} with {found.better}"
    return text


def _truth(truth: GroundTruth | None) -> str:
    if truth is None:
        return "no"
    length_m = float(np.linalg.norm(np.diff(truth.positions, axis=0), axis=1).sum())
    return f"{len(truth)} poses, {length_m:.2f} m of path"
