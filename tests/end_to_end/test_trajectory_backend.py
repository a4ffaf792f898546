"""Trajectories made elsewhere, scored from the command line as trials like any other."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from slam_test_bags import Messages, write_ros2
from slam_test_curve import curve_positions

FRAMES = 12


def record_of(harness, sequence="curve", perception="sensor", run=0, experiment="experiment"):
    trial = harness.directory / experiment / "trials" / sequence / perception / "trajectory" / f"run-{run}"
    return json.loads((trial / "record.json").read_text())


def estimate(seed=0, noise_m=0.02, frames=FRAMES):
    """Time stamp in nanoseconds and a noisy position of every frame of the recording."""
    seconds = 0.1 * (1 + np.arange(frames))
    noise = np.random.default_rng(seed).normal(0, noise_m, (frames, 3))
    positions = (curve_positions(seconds) + noise).tolist()
    return [(100_000_000 * (1 + index), position) for index, position in enumerate(positions)]


def tum_text(seed=0, **changes):
    rows = estimate(seed, **changes)
    return "".join(f"{ns / 1e9:.9f} {x!r} {y!r} {z!r} 0 0 0 1\n" for ns, (x, y, z) in rows)


def write_files(directory):
    """The same trajectory in every format there is."""
    rows = estimate()
    pose = "{0},{1},{2},{3},1,0,0,0\n"
    texts = {
        "tum": tum_text(),
        "kitti": "".join(f"1 0 0 {x!r} 0 1 0 {y!r} 0 0 1 {z!r}\n" for _, (x, y, z) in rows),
        "euroc": "".join(pose.format(ns, *position) for ns, position in rows),
        "hydra": "timestamp_kf,x,y,z,qw,qx,qy,qz\n"
        + "".join(pose.format(ns, *position) for ns, position in rows),
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = directory / f"{name}.txt"
        paths[name].write_text(text)
    ros = Messages()
    odometry = [ros.odometry(ns, [*position, 0, 0, 0, 1]) for ns, position in rows]
    paths["bag"] = write_ros2(directory / "bag", {"/slam": odometry})
    return paths


def evo_ape(harness, alignment):
    """RMSE as evo's own command line has it, on the recording's file and ours."""
    results = harness.directory / "results.zip"
    program = os.path.join(os.path.dirname(sys.executable), "evo_ape")
    files = [str(harness.recording / "groundtruth.txt"), "tum.txt"]
    command = [program, "tum", *files, alignment, "--t_max_diff", "0.05", "--no_warnings"]
    environment = {**os.environ, "HOME": str(harness.directory)}
    subprocess.run(
        [*command, "--save_results", str(results)],
        check=True,
        capture_output=True,
        cwd=harness.directory,
        env=environment,
    )
    with zipfile.ZipFile(results) as archive:
        return json.loads(archive.read("stats.json"))["rmse"]


def test_a_score_is_evos_in_every_format_and_both_modes(harness):
    files = write_files(harness.directory)
    evos = {name: evo_ape(harness, option) for name, option in (("ate_se3", "-a"), ("ate_sim3", "-as"))}
    for name, path in files.items():
        options = ("--backends", "trajectory", "--set", f"trajectory.file={path}", "--output", name)
        outcome = harness("run", "--seqs", str(harness.recording), "--perception", "sensor,none", *options)
        assert outcome.code == 0, outcome.err
        for perception, mode, alignment in (("sensor", "rgbd", "se3"), ("none", "mono", "sim3")):
            record = record_of(harness, perception=perception, experiment=name)
            assert (record["status"], record["mode"]) == ("ok", mode)
            assert record["evaluation"]["primary_alignment"] == alignment
            assert record["evaluation"]["coverage"] == 1
            assert record["backend"]["statistics"]["format"] == name
            assert record["ground_truth_is_input"] is False
            scores = record["evaluation"]["final"]
            ours = {figure: scores[figure]["rmse"] for figure in evos}
            assert ours == pytest.approx(evos, rel=0, abs=1e-9)


def test_one_option_names_the_files_of_a_whole_experiment(harness):
    files = harness.directory / "runs"
    for perception, noise_m in (("sensor", 0.01), ("none", 0.05)):
        for run in range(2):
            path = files / perception / f"curve-{run}.tum"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(tum_text(run, noise_m=noise_m))
    (files / "none" / "curve-1.tum").unlink()

    outcome = harness.run(
        *("--perception", "sensor,none", "--runs", "2", "--backends", "trajectory"),
        *("--set", "trajectory.file=runs/{perception}/{sequence}-{run}.tum"),
    )

    assert outcome.code == 1
    assert f"there is no {files}/none/curve-1.tum" in outcome.err
    statuses = {
        (name, run): record_of(harness, perception=name, run=run)["status"]
        for name in ("sensor", "none")
        for run in range(2)
    }
    assert statuses == {("sensor", 0): "ok", ("sensor", 1): "ok", ("none", 0): "ok", ("none", 1): "failed"}
    errors = [record_of(harness, run=run)["evaluation"]["final"]["ate_se3"]["rmse"] for run in range(2)]
    assert errors[0] != errors[1]


def test_a_wrong_row_fails_its_trial_with_file_and_line(harness):
    path = harness.directory / "broken.tum"
    path.write_text(tum_text() + "1.3 0 0 zero 0 0 0 1\n")
    outcome = harness.run("--backends", "trajectory", "--set", f"trajectory.file={path}")
    assert outcome.code == 1
    assert record_of(harness)["status"] == "failed"
    assert f"{path}:{FRAMES + 1}: 'zero' is not a number" in record_of(harness)["reason"]


def test_half_a_trajectory_is_partial(harness):
    path = harness.directory / "half.tum"
    path.write_text(tum_text(frames=6))
    harness.run("--backends", "trajectory", "--set", f"trajectory.file={path}")
    assert record_of(harness)["status"] == "partial"
    assert record_of(harness)["evaluation"]["coverage"] == 0.5


def test_without_a_file_the_backend_is_skipped_and_others_run(harness):
    outcome = harness.run("--backends", "trajectory,curve")
    assert outcome.code == 0
    assert record_of(harness)["status"] == "skipped"
    assert "--set trajectory.file=PATH" in record_of(harness)["reason"]


def test_an_option_that_cannot_work_starts_nothing(harness):
    outcome = harness.run("--backends", "trajectory", "--set", "trajectory.file=runs/{name}.tum")
    assert outcome.code == 2
    assert "there is no {name}" in outcome.err
    assert not (harness.directory / "experiment").exists()


@pytest.mark.parametrize("odometry", [(), ("--odometry", "ground-truth")], ids=["without", "with"])
def test_from_an_export_to_a_score_that_says_what_was_put_in(harness, odometry):
    export = ("rosbag", "export", str(harness.recording), "--perception", "sensor", "--output", "export")
    outcome = harness(*export, *odometry)
    assert (outcome.code, outcome.out) == (0, "export\n"), outcome.err

    # What a stack that runs elsewhere made of it.
    bag = write_files(harness.directory)["bag"]
    outcome = harness("rosbag", "trajectory", str(bag), "--output", "curve.tum")
    assert (outcome.code, outcome.out) == (0, "curve.tum\n"), outcome.err
    options = ("--set", "trajectory.file=./{sequence}.tum", "--set", "trajectory.exported=export")
    assert harness.run("--backends", "trajectory", *options).code == 0

    record = record_of(harness)
    assert record["status"] == "ok"
    assert record["ground_truth_is_input"] is bool(odometry)
    assert harness("report", "experiment").code == 0


def test_an_export_in_the_place_of_another_is_wrong_usage(harness):
    export = ("rosbag", "export", str(harness.recording), "--perception", "none", "--output", "export")
    assert harness(*export).code == 0
    outcome = harness(*export)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: export exists already")
    assert "Traceback" not in outcome.err


def test_ground_truth_out_of_a_bag_is_never_taken_for_a_result(harness):
    export = ("rosbag", "export", str(harness.recording), "--perception", "sensor", "--output", "export")
    assert harness(*export, "--odometry", "ground-truth").code == 0
    bag = ("--backends", "trajectory", "--set", "trajectory.file=export/bag")

    unnamed = harness.run(*bag)
    assert unnamed.code == 1
    assert "say which topic holds the trajectory" in record_of(harness)["reason"]

    named = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--output", "named"),
        *(*bag, "--set", "trajectory.topic=/external_odometry"),
    )
    assert named.code == 0, named.err
    assert record_of(harness, experiment="named")["ground_truth_is_input"] is True
