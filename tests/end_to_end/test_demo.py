"""The README's first experiment, shortened: real SLAM systems on the demo, scored as evo scores them."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from adapters.runtimes.process import ProcessRuntime
from harness.backends import BACKENDS
from harness.conformance import CheckState, run_suite
from harness.environment import cache_directory

HARNESS = Path(sys.executable).with_name("harness")
EVO_APE = Path(sys.executable).with_name("evo_ape")
REAL_BACKENDS = ["orbslam3", "rgbd-odometry", "mono-hydra"]
RUN = [
    HARNESS,
    "run",
    "--perception",
    "sensor",
    "--backends",
    ",".join(REAL_BACKENDS),
    "--output",
    "experiment",
]


def evo_rmse(trial: Path, tolerance_s: float, scratch: Path, *alignment: str) -> float:
    """What evo's own command line says of a trial's files."""
    archive = scratch / "evo.zip"
    files = [str(trial / "groundtruth.tum"), str(trial / "trajectory.tum")]
    subprocess.run(
        [EVO_APE, "tum", *files, *alignment, "--t_max_diff", str(tolerance_s), "--save_results", archive],
        check=True,
        capture_output=True,
        env=os.environ | {"HOME": str(scratch)},
        input=b"y\n",
    )
    rmse: float = json.loads(zipfile.ZipFile(archive).read("stats.json"))["rmse"]
    archive.unlink()
    return rmse


@pytest.mark.slow
def test_every_trajectory_of_the_demo_is_scored_as_evo_scores_it(tmp_path):
    subprocess.run(
        [*RUN, "--seqs", "demo", "--max-frames", "60"],
        cwd=tmp_path,
        check=True,
    )
    records = sorted((tmp_path / "experiment").glob("trials/*/*/*/run-0/record.json"))
    assert len(records) == 6
    for file in records:
        record = json.loads(file.read_text())
        assert record["status"] == "ok", record["reason"]
        assert record["evaluation"]["coverage"] == 1.0
        final, tolerance_s = record["evaluation"]["final"], record["evaluation"]["association_tolerance_s"]
        se3 = evo_rmse(file.parent, tolerance_s, tmp_path, "--align")
        sim3 = evo_rmse(file.parent, tolerance_s, tmp_path, "--align", "--correct_scale")
        assert final["ate_se3"]["rmse"] == pytest.approx(se3, abs=1e-9)
        assert final["ate_sim3"]["rmse"] == pytest.approx(sim3, abs=1e-9)
        assert final["ate_se3"]["rmse"] < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_BACKENDS)
def test_the_real_backends_keep_to_the_protocol(name):
    adapter = BACKENDS.load(name)()
    outcomes = list(run_suite(adapter, ProcessRuntime(), adapter.prepare({}, cache_directory())))
    failed = [
        f"{outcome.name}: {outcome.detail}" for outcome in outcomes if outcome.state is CheckState.FAILED
    ]
    assert not failed


@pytest.mark.slow
def test_the_real_recording_is_tracked_within_known_bounds(recorded_data, tmp_path):
    """The bounds are those that were measured beforehand on these files, with room for the spread of runs."""
    recording = recorded_data / "tum" / "freiburg1_xyz_10hz"
    if not recording.is_dir():
        pytest.skip(f"{recording} is not there")
    subprocess.run(
        [*RUN, "--seqs", recording],
        cwd=tmp_path,
        check=True,
    )
    (orbslam3,) = (tmp_path / "experiment").glob("trials/*/*/orbslam3/run-0/record.json")
    (odometry,) = (tmp_path / "experiment").glob("trials/*/*/rgbd-odometry/run-0/record.json")
    (hydra,) = (tmp_path / "experiment").glob("trials/*/*/mono-hydra/run-0/record.json")
    for file, ate_m, coverage in ((orbslam3, 0.015, 0.99), (odometry, 0.05, 0.95), (hydra, 0.018, 1.0)):
        evaluation = json.loads(file.read_text())["evaluation"]
        assert evaluation["coverage"] >= coverage
        assert evaluation["final"]["ate_se3"]["rmse"] <= ate_m
