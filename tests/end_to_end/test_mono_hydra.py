"""What the metric-semantic backend is for, on recordings that ask for it: each part on and off."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(sys.executable).with_name("harness")

pytestmark = pytest.mark.slow


@pytest.fixture
def trial(tmp_path):
    """Runs one sequence with some options and returns the record of its trial."""

    def run(sequence, perception="sensor", **options):
        name = "-".join([sequence, *options])
        settings = [f"--set=mono-hydra.{option}={json.dumps(value)}" for option, value in options.items()]
        subprocess.run(
            [
                *(HARNESS, "run", "--seqs", sequence, "--perception", perception),
                *("--backends", "mono-hydra", "--output", name, *settings),
            ],
            cwd=tmp_path,
            check=True,
        )
        (record,) = (tmp_path / name).glob("trials/*/*/mono-hydra/run-0/record.json")
        return json.loads(record.read_text())

    run.directory = tmp_path
    return run


def ate(record):
    assert record["status"] == "ok", record["reason"]
    return record["evaluation"]["final"]["ate_se3"]["rmse"]


def statistics(record):
    return record["backend"]["statistics"]


def test_closing_a_loop_halves_the_error(trial):
    without = trial("hydra_loop", use_imu=False, temporal_alignment=False, loop_closure=False)
    closed = trial("hydra_loop", use_imu=False, temporal_alignment=False)
    assert statistics(closed)["loop_closures_accepted"] > 0
    assert ate(closed) <= 0.5 * ate(without)


def test_the_imu_carries_the_camera_through_half_a_second_without_images(trial):
    inertial = trial("hydra_inertial", loop_closure=False)
    assert statistics(inertial)["imu_aligned"]
    assert statistics(inertial)["frames_coasted"] >= 7
    assert statistics(inertial)["frames_lost"] == 0
    assert ate(inertial) < 0.02
    visual = trial("hydra_inertial", loop_closure=False, use_imu=False)
    assert statistics(visual)["frames_lost"] > 0
    assert statistics(visual)["frames_not_connected"] > 0
    assert visual["status"] == "partial"


def test_people_walking_about_do_no_harm(trial):
    assert ate(trial("hydra_dynamic")) < 0.03


def test_estimating_the_scale_of_depth_halves_the_error_of_a_biased_sensor(trial):
    estimated = trial("hydra_scaled")
    assert statistics(estimated)["depth_scale_last"] == pytest.approx(1.1, abs=0.02)
    assert ate(estimated) <= 0.5 * ate(trial("hydra_scaled", estimate_scale=False))


def test_the_map_shows_what_the_scene_is_made_of(trial):
    record = trial("hydra_semantic")
    found = statistics(record)
    assert found["rooms"] == 2
    assert found["objects"] >= 10
    subprocess.run([HARNESS, "report", "hydra_semantic"], cwd=trial.directory, check=True)
    tables = trial.directory / "hydra_semantic" / "report" / "tables"
    header, row = (tables / "backend_maps.csv").read_text().splitlines()[:2]
    scores = dict(zip(header.split(","), row.split(","), strict=False))
    assert float(scores["label_miou"]) > 0.6
