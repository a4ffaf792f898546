"""``harness run`` from the command line: results on disk, states, exit codes, resuming, messages."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from slam_test_recordings import record_curve

EVO_APE = Path(sys.executable).with_name("evo_ape")


def records(harness):
    files = sorted((harness.directory / "experiment").glob("trials/*/*/*/run-*/record.json"))
    return [json.loads(file.read_text()) for file in files]


def test_an_experiment_ends_in_records_and_a_table(harness):
    outcome = harness.run("--backends", "curve", "--runs", "2")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip() == "experiment"
    first, second = records(harness)
    assert [first["status"], second["status"]] == ["ok", "ok"]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["ground_truth_is_input"] is True
    assert first["evaluation"]["coverage"] == 1.0
    assert 0 < first["evaluation"]["final"]["ate_se3"]["rmse"] < 0.01
    with (harness.directory / "experiment" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert float(rows[0]["ate_se3_rmse_m"]) == first["evaluation"]["final"]["ate_se3"]["rmse"]


def test_a_record_holds_what_is_needed_to_repeat_it(harness):
    harness.run("--backends", "curve", "--set", "curve.noise_m=0.002")
    (record,) = records(harness)
    assert record["backend"]["options"]["noise_m"] == 0.002
    assert record["environment"]["packages"]["evo"]
    assert record["environment"]["hardware"]["cores"] >= 1
    assert set(record["environment"]["git"]) == {"commit", "changed"}
    assert record["sequence"]["entry"]["reader"] == "tum"
    assert record["perception"] == {
        "name": "sensor",
        "choice": {"module": "sensor", "argument": None, "options": {}},
        "outputs": ["depth"],
        "reads_sensor": True,
        "details": {},
    }
    assert record["configuration"]["coverage_floor"] == 0.9
    assert record["timings"]["backend_ms_p99"] >= record["timings"]["backend_ms_median"]
    assert record["peak_memory_bytes"] > 2**20


def test_modules_with_an_argument_are_compared_in_one_experiment(harness):
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "constant:1.5,constant:2"),
        *("--backends", "curve", "--set", "constant.factor=2.0", "--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    found = {record["key"]["perception"]: record["perception"] for record in records(harness)}
    assert found["constant:1.5"]["details"] == {"metres": 3.0}
    assert found["constant:2"]["details"] == {"metres": 4.0}
    assert found["constant:2"]["choice"] == {
        "module": "constant",
        "argument": "2",
        "options": {"factor": 2.0},
    }


def test_the_recorded_error_is_that_of_evos_own_command_line(harness, tmp_path):
    harness.run("--backends", "curve")
    (record,) = records(harness)
    (trial,) = (harness.directory / "experiment").glob("trials/*/*/*/run-0")
    command = [EVO_APE, "tum", trial / "groundtruth.tum", trial / "trajectory.tum", "--align"]
    tolerance = str(record["evaluation"]["association_tolerance_s"])
    archive = tmp_path / "evo.zip"
    subprocess.run(
        [*command, "--t_max_diff", tolerance, "--save_results", archive, "--no_warnings"],
        check=True,
        capture_output=True,
        env=harness.environment | {"HOME": str(tmp_path)},
    )
    stats = json.loads(zipfile.ZipFile(archive).read("stats.json"))
    assert record["evaluation"]["final"]["ate_se3"]["rmse"] == pytest.approx(stats["rmse"], abs=1e-9)


def test_a_failing_backend_fails_its_own_trial_and_no_other(harness):
    outcome = harness.run("--backends", "curve,faulty", "--set", "faulty.fault=exit")
    assert outcome.code == 1
    curve, faulty = records(harness)
    assert curve["status"] == "ok"
    assert faulty["status"] == "failed"
    assert "licence server not reached" in faulty["reason"]
    assert faulty["evaluation"] is None
    assert faulty["frames"]["sent"] == 5


def test_low_coverage_is_partial_and_not_ok(harness):
    outcome = harness.run("--backends", "curve", "--set", "curve.share_tracked=0.5")
    assert outcome.code == 0
    (record,) = records(harness)
    assert record["status"] == "partial"
    assert record["reason"] == "6 of 12 frames with ground truth have a pose (50.0 %); 90 % are needed"


def test_an_empty_trajectory_is_a_failure_and_no_zero_error(harness):
    assert harness.run("--backends", "faulty", "--set", "faulty.fault=empty trajectory").code == 1
    (record,) = records(harness)
    assert record["status"] == "failed"
    assert record["reason"] == "the backend gave no frame a pose"
    assert record["evaluation"] is None


def test_named_backends_that_cannot_run_here_are_skipped_with_the_reason_and_the_run_fails(harness):
    outcome = harness.run("--backends", "curve,absent,gpu-only")
    assert outcome.code == 1
    assert "3 trials: 1 ok, 2 skipped" in outcome.err
    assert "asked for by name and not run: backend 'absent' cannot run here: the package" in outcome.err
    absent, _, gpu_only = sorted(records(harness), key=lambda record: record["key"]["backend"])
    assert (absent["status"], gpu_only["status"]) == ("skipped", "skipped")
    assert "pip install absent" in absent["reason"]
    assert "needs 1000 GPU" in gpu_only["reason"]


def test_an_experiment_in_which_nothing_could_run_does_not_succeed(harness):
    assert harness.run("--backends", "absent").code == 1


def test_rgb_alone_runs_monocular_and_is_scored_up_to_scale(harness):
    outcome = harness(
        *(
            "run",
            "--seqs",
            str(harness.recording),
            "--perception",
            "none",
            "--backends",
            "curve,rgbd-odometry",
        ),
        *("--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    curve, odometry = records(harness)
    assert curve["mode"] == "mono"
    assert curve["evaluation"]["primary_alignment"] == "sim3"
    assert odometry["status"] == "skipped"
    assert "needs depth" in odometry["reason"]


def test_depth_that_is_nan_fails_the_trial_and_names_the_frame(harness):
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "nan-depth", "--backends", "curve"),
        *("--output", "experiment"),
    )
    assert outcome.code == 1
    assert records(harness)[0]["reason"] == "frame 3: depth has NaN, infinite or negative values"


def test_a_module_that_does_not_read_the_sensor_never_sees_its_depth(harness):
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "peeking", "--backends", "curve"),
        *("--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err


def test_frames_that_leave_while_the_pipeline_is_busy_are_dropped_and_counted(harness):
    outcome = harness.run("--backends", "curve", "--feed", "realtime", "--set", "curve.milliseconds=250")
    assert outcome.code == 0, outcome.err
    (record,) = records(harness)
    assert record["feed"] == "realtime"
    assert record["frames"]["dropped"] >= 4
    assert record["frames"]["sent"] + record["frames"]["dropped"] == 12
    assert record["evaluation"]["coverage"] == record["frames"]["sent"] / 12


def test_a_run_that_was_killed_goes_on_where_it_was(harness):
    arguments = ("--backends", "curve", "--runs", "3", "--set", "curve.milliseconds=200")
    process = harness.start(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--output", "experiment"),
        *arguments,
    )
    deadline = time.monotonic() + 60
    while not records(harness) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, "workers and backends must not outlive a killed harness"
    finished = {record["key"]["run"]: record["started_at"] for record in records(harness)}
    assert 1 <= len(finished) < 3

    time.sleep(1.1)
    outcome = harness("run", "--resume", "experiment")
    assert outcome.code == 0, outcome.err
    assert [record["status"] for record in records(harness)] == ["ok", "ok", "ok"]
    for record in records(harness):
        if record["key"]["run"] in finished:
            assert record["started_at"] == finished[record["key"]["run"]]


def test_a_backend_that_is_killed_from_outside_is_reported(harness):
    process = harness.start(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--output", "experiment"),
        *("--backends", "curve", "--set", "curve.milliseconds=300"),
    )
    deadline = time.monotonic() + 60
    backends = []
    while not backends and time.monotonic() < deadline:
        time.sleep(0.1)
        backends = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "adapters.server" in " ".join(child.cmdline())
        ]
    time.sleep(1)
    backends[0].kill()
    process.communicate()
    assert process.returncode == 1
    assert "SIGKILL" in records(harness)[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seqs", "tum_lokal", "--perception", "sensor"], "Did you mean 'tum_local'?"),
        (
            ["--seqs", "demo", "--perception", "senser"],
            "unknown perception module 'senser'. Did you mean 'sensor'?",
        ),
        (["--seqs", "demo", "--perception", "sensor", "--backends", "orbslam"], "Did you mean 'orbslam3'?"),
        (["--seqs", "demo"], "say which perception to use: --perception NAME"),
        (["--perception", "sensor"], "say which sequences to use: --seqs NAME"),
        (["--seqs", "demo", "--perception", "sensor", "--runs", "0"], "runs: Input should be greater than"),
        (
            ["--seqs", "demo", "--perception", "sensor", "--memory-limit", "much"],
            "expected a size such as 6G",
        ),
        (["--seqs", "demo", "--perception", "constant"], "perception 'constant': it needs a distance"),
        (["--seqs", "demo", "--perception", "sensor:x"], "'sensor:x': nothing can stand behind its name"),
        (
            ["--seqs", "demo", "--perception", "sensor", "--set", "sensor.scale=2"],
            "perception 'sensor': it has no options, got scale",
        ),
        (
            ["--seqs", "demo", "--perception", "constant:a/2,constant:b/2"],
            "two perception modules would both be called 'constant:2'",
        ),
        (["--seqs", "demo", "--perception", "sensor", "--set", "x"], "expected NAME.OPTION=VALUE"),
        (
            ["--seqs", "demo", "--perception", "sensor", "--backends", "curve", "--set", "curve.colour=1"],
            "backend 'curve' has no option colour; its options are: milliseconds, noise_m",
        ),
        (
            [
                *("--seqs", "demo", "--perception", "sensor", "--backends", "curve,orbslam3"),
                *("--set", "orbslam3.features=abc"),
            ],
            "backend 'orbslam3': option features must be of type int, got 'abc'",
        ),
        (
            ["--seqs", "demo", "--perception", f"senser,constant:{__file__}"],
            "unknown perception module 'senser'.",
        ),
        (["--resume", "nowhere"], "nowhere is no experiment directory"),
        (["--resume", "nowhere", "--runs", "3"], "--resume takes its configuration from the experiment"),
    ],
)
def test_a_users_mistake_gives_one_sentence_and_exit_code_2(harness, arguments, message):
    outcome = harness("run", *arguments)
    assert outcome.code == 2, outcome.err
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (harness.directory / "results").exists()


def test_everything_can_stand_in_a_file_and_options_override_it(harness):
    (harness.directory / "experiment.yaml").write_text(
        f"sequences: [{harness.recording}]\nperception: [sensor]\nbackends: [curve]\nruns: 5\n"
        "limits: {frame_s: 30}\nbackend_options:\n  curve: {noise_m: 0.01}\n"
    )
    outcome = harness("run", "--config", "experiment.yaml", "--runs", "1", "--output", "experiment")
    assert outcome.code == 0, outcome.err
    configuration = json.loads((harness.directory / "experiment" / "experiment.json").read_text())
    assert configuration["runs"] == 1
    assert configuration["limits"]["frame_s"] == 30
    assert records(harness)[0]["backend"]["options"]["noise_m"] == 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequences: [a", "is not YAML"),
        ("- a\n", "must hold a mapping"),
        ("sequences: [demo]\nperception: [sensor]\nrnus: 3\n", "rnus: Extra inputs are not permitted"),
        ("sequences: [demo]\nperception: [sensor]\nlimits: {frame_s: -1}\n", "frame_s must be positive"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(harness, text, message):
    (harness.directory / "experiment.yaml").write_text(text)
    outcome = harness("run", "--config", "experiment.yaml")
    assert outcome.code == 2
    assert message in outcome.err


def test_a_directory_that_cannot_be_written_to_is_named(harness):
    blocked = harness.directory / "blocked"
    blocked.write_text("a file where a directory should be")
    outcome = harness(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--backends", "curve"),
        *("--output", "blocked/experiment"),
    )
    assert outcome.code == 2
    assert "cannot write blocked/experiment" in outcome.err


def test_an_experiment_is_not_begun_where_there_is_one(harness):
    harness.run("--backends", "curve")
    outcome = harness.run("--backends", "curve")
    assert outcome.code == 2
    assert "--resume experiment" in outcome.err


def test_two_harnesses_do_not_work_on_one_experiment(harness):
    process = harness.start(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--output", "experiment"),
        *("--backends", "curve", "--set", "curve.milliseconds=300"),
    )
    while not (harness.directory / "experiment" / "trials").exists():
        time.sleep(0.05)
    outcome = harness("run", "--resume", "experiment")
    process.communicate()
    assert outcome.code == 1
    assert "another harness is at work" in outcome.err


def test_a_disk_that_fills_up_leaves_no_half_result_and_the_run_can_go_on(harness):
    command = harness.command(
        *("run", "--seqs", str(harness.recording), "--perception", "sensor", "--output", "experiment"),
        *("--backends", "curve", "--runs", "2"),
    )
    # Every file may have 2000 bytes: enough for the configuration, too few for a record.
    limited = ["prlimit", "--fsize=2000", *command]
    outcome = subprocess.run(
        limited, cwd=harness.directory, env=harness.environment, capture_output=True, text=True
    )
    assert outcome.returncode == 1
    assert "cannot write" in outcome.stderr
    assert "continue with: harness run --resume experiment" in outcome.stderr
    assert not records(harness)
    assert harness("run", "--resume", "experiment").code == 0
    assert [record["status"] for record in records(harness)] == ["ok", "ok"]


def test_a_trial_that_takes_too_long_is_stopped_and_fails(harness):
    (harness.directory / "experiment.yaml").write_text(
        f"sequences: [{harness.recording}]\nperception: [sensor]\nbackends: [curve]\ntrial_limit_s: 3\n"
        "backend_options:\n  curve: {milliseconds: 2000}\n"
    )
    outcome = harness("run", "--config", "experiment.yaml", "--output", "experiment")
    assert outcome.code == 1
    assert records(harness)[0]["reason"] == "the trial took longer than its limit of 3 s"


def test_results_may_be_written_to_a_relative_place_from_anywhere(harness):
    """Worker and backend have working directories of their own."""
    assert harness.run("--backends", "curve", "--output", "below/experiment").code == 0
    assert list((harness.directory / "below").glob("experiment/trials/*/*/*/run-0/backend/settings.txt"))


def test_a_folder_with_a_comma_in_its_path_is_taken_whole_and_options_may_be_repeated(harness):
    record_curve(harness.directory / "take 1, evening")
    outcome = harness(
        *("run", "--seqs", "take 1, evening", "--seqs", str(harness.recording), "--perception", "sensor"),
        *("--perception", "none", "--backends", "curve", "--output", "experiment"),
    )
    assert outcome.code == 0, outcome.err
    configuration = json.loads((harness.directory / "experiment" / "experiment.json").read_text())
    assert configuration["sequences"] == ["take 1, evening", str(harness.recording)]
    assert configuration["perception"] == ["sensor", "none"]
    assert [record["status"] for record in records(harness)] == ["ok"] * 4


def test_a_list_longer_than_a_file_name_may_be_is_split(harness):
    outcome = harness("run", "--seqs", ",".join(["demo"] * 2000 + ["dmo"]), "--perception", "sensor")
    assert outcome.code == 2
    assert "unknown sequence, sequence set or folder 'dmo'" in outcome.err


def test_names_given_twice_run_once(harness):
    assert harness.run("--backends", "curve,curve", "--perception", "sensor,sensor").code == 0
    assert len(records(harness)) == 1


def test_an_experiment_that_is_not_finished_is_not_checked(harness):
    assert harness.run("--backends", "curve", "--runs", "2").code == 0
    next((harness.directory / "experiment").glob("trials/*/*/*/run-1/record.json")).unlink()
    for command in (["check", "experiment", "--baseline", "any"], ["baseline", "save", "experiment", "any"]):
        outcome = harness(*command)
        assert outcome.code == 2
        assert "1 of 2 trials have no record" in outcome.err
    assert "1 trials have no record yet" in harness("report", "experiment", "--no-maps").err


def test_trials_that_failed_are_run_once_more_when_that_is_asked_for(harness):
    settings = ("--set", "faulty.fault=raise once", "--set", f"faulty.marker={harness.directory / 'marker'}")
    assert harness.run("--backends", "curve,faulty", *settings).code == 1
    records = sorted(harness.directory.glob("experiment/trials/*/*/*/run-0/record.json"))
    before = {record: record.stat().st_mtime_ns for record in records}
    assert harness("run", "--resume", "experiment").code == 1
    assert {record: record.stat().st_mtime_ns for record in records} == before

    outcome = harness("run", "--resume", "experiment", "--retry-failed")
    assert outcome.code == 0, outcome.err
    again = [record.parts[-3] for record in records if record.stat().st_mtime_ns != before[record]]
    assert again == ["faulty"]


def test_what_a_backend_says_cannot_take_over_the_terminal(harness):
    outcome = harness.run("--backends", "faulty", "--set", "faulty.fault=take over the terminal")
    assert outcome.code == 1
    assert "gone" in outcome.err
    assert "\x1b" not in outcome.err
    (record,) = harness.directory.glob("experiment/trials/*/*/*/run-0/record.json")
    assert "\\u001b" not in record.read_text()


def test_an_image_is_refused_where_no_container_is_started(harness):
    outcome = harness.run("--backends", "curve", "--runtime", "process", "--image", "curve=lab/curve:1")
    assert outcome.code == 2
    assert "--runtime process starts none" in outcome.err
