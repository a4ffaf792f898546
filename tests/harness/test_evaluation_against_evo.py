"""Every figure agrees with evo's own command line to 1e-9, on recorded and on made trajectories."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sample_trajectories import FRAME_PERIOD_NS, frame_timestamps, in_another_world, smooth_path, with_noise
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses, associate, read_tum, score, write_tum
from harness.record import ErrorStatistics, TrajectoryScores
from sequences.trajectory_file import read_ground_truth

AGREEMENT = 1e-9

#: Reference, estimate, evo's command and options, tolerance in seconds, our figure, published RMSE.
RECORDED = [
    ("freiburg1_xyz-groundtruth", "freiburg1_xyz-rgbdslam", ["evo_ape", "-a"], 0.02, "ate_se3", 0.013473),
    (
        "freiburg1_xyz-groundtruth",
        "freiburg1_xyz-ORB_kf_mono",
        ["evo_ape", "-as"],
        0.01,
        "ate_sim3",
        0.009755,
    ),
    ("fr2_desk_groundtruth", "fr2_desk_ORB", ["evo_ape", "-a"], 0.01, "ate_se3", 0.008119),
    ("fr2_desk_groundtruth", "fr2_desk_ORB_kf_mono", ["evo_ape", "-as"], 0.01, "ate_sim3", 0.007729),
    ("freiburg1_xyz-groundtruth", "freiburg1_xyz-rgbdslam", ["evo_rpe"], 0.02, "rpe_translation", 0.005759),
]

MADE = [
    (["evo_ape", "-a"], "ate_se3"),
    (["evo_ape", "-as"], "ate_sim3"),
    (["evo_ape", "-a", "-r", "angle_deg"], "rotation_se3_deg"),
    (["evo_rpe", "-as"], "rpe_translation"),
    (["evo_rpe", "-r", "angle_deg"], "rpe_rotation_deg"),
]


def evo(
    command: list[str], reference: Path, estimate: Path, tolerance_s: float, scratch: Path
) -> dict[str, float]:
    """Statistics at full precision, as evo's command line saves them."""
    program, *options = command
    results = scratch / "results.zip"
    subprocess.run(
        [
            *[str(Path(sys.executable).with_name(program)), "tum", str(reference), str(estimate), *options],
            *["--t_max_diff", repr(tolerance_s), "--no_warnings", "--save_results", str(results)],
        ],
        check=True,
        capture_output=True,
        # evo writes its settings into the home directory.
        env={**os.environ, "HOME": str(scratch)},
    )
    with zipfile.ZipFile(results) as archive:
        return json.loads(archive.read("stats.json"))


def our_scores(reference: Path, estimate: Path, tolerance_s: float, *, scale_rpe: bool) -> TrajectoryScores:
    truth, _ = read_ground_truth(reference)
    ground_truth = TimedPoses(truth.timestamps_ns, truth.positions, truth.quaternions)
    poses = read_tum(estimate)
    pairs = associate(poses.timestamps_ns, ground_truth.timestamps_ns, round(tolerance_s * 1e9))
    return score(poses, ground_truth, pairs, scale_rpe=scale_rpe)


def assert_agreement(ours: ErrorStatistics, evos: dict[str, float]) -> None:
    for name, value in ours.model_dump().items():
        assert value == pytest.approx(evos[name], rel=0, abs=AGREEMENT), name


@pytest.mark.parametrize(
    ("reference", "estimate", "command", "tolerance_s", "figure", "published"),
    RECORDED,
    ids=[f"{estimate} {figure}" for _, estimate, _, _, figure, _ in RECORDED],
)
def test_recorded_trajectories_score_as_with_evo(
    tmp_path, reference, estimate, command, tolerance_s, figure, published
):
    if "HARNESS_DATA" not in os.environ:
        pytest.skip("HARNESS_DATA is not set: it names the folder with the recorded trajectories")
    folder = Path(os.environ["HARNESS_DATA"]) / "trajectories"
    files = folder / f"{reference}.txt", folder / f"{estimate}.txt"

    ours = getattr(our_scores(*files, tolerance_s, scale_rpe=False), figure)

    assert_agreement(ours, evo(command, *files, tolerance_s, tmp_path))
    assert ours.rmse == pytest.approx(published, abs=5e-7)


@pytest.fixture(scope="module")
def made_files(tmp_path_factory) -> tuple[Path, Path]:
    """Ground truth at 100 Hz, and an estimate of another scale and world with a gap and large rotations."""
    folder = tmp_path_factory.mktemp("made")
    frames = frame_timestamps(150)
    world = Rotation.from_rotvec([0.4, -2.0, 1.0])
    noisy = with_noise(smooth_path(np.delete(frames, slice(40, 60))), seed=5, metres=0.02, radians=0.5)
    estimate = in_another_world(noisy, world, np.array([5.0, -3.0, 20.0]), scale=0.37)
    write_tum(folder / "groundtruth.tum", smooth_path(frames[0] + 10_000_000 * np.arange(500)))
    write_tum(folder / "trajectory.tum", estimate)
    return folder / "groundtruth.tum", folder / "trajectory.tum"


@pytest.mark.parametrize(("command", "figure"), MADE, ids=[figure for _, figure in MADE])
def test_made_trajectories_score_as_with_evo(tmp_path, made_files, command, figure):
    tolerance_s = FRAME_PERIOD_NS / 2e9

    ours = getattr(our_scores(*made_files, tolerance_s, scale_rpe=True), figure)

    assert_agreement(ours, evo(command, *made_files, tolerance_s, tmp_path))
