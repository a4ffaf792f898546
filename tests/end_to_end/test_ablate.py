"""``harness ablate`` from the command line: variants run, results beside each other, resuming, messages."""

import json
import signal
import time

import pytest


@pytest.fixture
def ablate(harness):
    """``harness ablate curve`` on the recording, into ``ablation``."""

    def command(*arguments):
        shared = ("--seqs", str(harness.recording), "--perception", "sensor", "--output", "ablation")
        return harness("ablate", "curve", *shared, *arguments)

    return command


def rows(harness):
    return json.loads((harness.directory / "ablation" / "ablation.json").read_text())["rows"]


def record_files(harness):
    return set((harness.directory / "ablation").glob("*/trials/*/*/*/run-*/record.json"))


def test_every_part_is_shown_with_what_it_contributes(harness, ablate):
    outcome = ablate("--runs", "2", "--max-frames", "10", "--set", "curve.noise_seed=5")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "ablation"
    first, second, third = rows(harness)
    assert [row["variant"] for row in (first, second, third)] == [
        "odometry only",
        "+ loop closure",
        "+ mapping",
    ]
    assert first["ate_factor"] is None
    assert second["ate_factor"] == pytest.approx(0.1, rel=0.1)
    assert third["ate_factor"] == pytest.approx(0.2, rel=0.1)
    assert second["backend_ms_factor"] > 1
    for row in (first, second, third):
        assert (row["runs_ok"], row["coverage_median"]) == (2, 1.0)
        assert f"{100 * row['ate_median_m']:.2f}†" in outcome.out
    markdown = (harness.directory / "ablation" / "ablation.md").read_text()
    assert f"×{third['ate_factor']:.2f}" in markdown
    record = json.loads(sorted(record_files(harness))[0].read_text())
    assert record["backend"]["options"]["noise_seed"] == 5
    assert record["frames"]["in_sequence"] == 10


def test_a_variant_is_an_experiment_like_any_other(harness, ablate):
    ablate("--variants", "+ mapping")
    outcome = harness("report", "ablation/+_mapping", "--no-maps")
    assert outcome.code == 0, outcome.err
    assert [row["variant"] for row in rows(harness)] == ["+ mapping"]


def test_an_ablation_that_was_killed_is_continued_and_repeats_no_finished_trial(harness):
    process = harness.start(
        *("ablate", "curve", "--seqs", str(harness.recording), "--perception", "sensor", "--runs", "2"),
        *("--output", "ablation", "--set", "curve.milliseconds=20"),
    )
    waited_until = time.monotonic() + 120
    while len(record_files(harness)) < 3 and time.monotonic() < waited_until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {file: file.read_bytes() for file in record_files(harness)}
    assert len(before) >= 3
    outcome = harness("ablate", "--resume", "ablation")
    assert outcome.code == 0, outcome.err
    assert len(record_files(harness)) == 6
    assert all(file.read_bytes() == content for file, content in before.items())
    assert [row["runs_ok"] for row in rows(harness)] == [2, 2, 2]


def test_a_part_that_fails_is_no_contribution(harness, ablate):
    outcome = ablate("--set", "curve.share_tracked=0.5")
    assert outcome.code == 0, outcome.err
    assert [row["runs_partial"] for row in rows(harness)] == [1, 1, 1]
    assert [row["ate_median_m"] for row in rows(harness)] == [None, None, None]
    assert "‡ partial" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("curvy",), "Did you mean 'curve'?"),
        (("rgbd-odometry",), "backend 'rgbd-odometry' declares no ablation; those that do:"),
        (("curve", "--variants", "+ mappings"), "Did you mean '+ mapping'?"),
        (("curve", "--set", "curve.noise=1"), "backend 'curve' has no option noise"),
        (("curve", "--seqs", "no-such-set"), "no-such-set"),
        ((), "say which BACKEND"),
        (("curve", "--resume", "."), "give it alone"),
    ],
    ids=str,
)
def test_what_cannot_work_ends_in_a_sentence_before_anything_starts(harness, arguments, message):
    shared = ("--seqs", str(harness.recording), "--perception", "sensor", "--output", "ablation")
    outcome = harness("ablate", *(() if "--resume" in arguments else shared), *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (harness.directory / "ablation").exists()


def test_a_directory_without_an_ablation_cannot_be_resumed(harness):
    outcome = harness("ablate", "--resume", ".")
    assert outcome.code == 2
    assert "is no directory of an ablation" in outcome.err
