"""The checks of the suite in their order, and how they are run."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.adapter import Adapter
from adapters.runtimes.runtime import Runtime
from harness.conformance import harness_checks, input_checks, refusal_checks
from harness.conformance.bench import Bench
from harness.conformance.outcome import CheckFailedError, CheckOutcome, CheckState, NotApplicableError

Check = Callable[[Bench], None]

CHECKS: tuple[Check, ...] = (
    input_checks.check_introduces_itself_as_its_adapter_declares,
    input_checks.check_runs_a_sequence_to_its_end,
    input_checks.check_ends_clearly_after_a_single_frame,
    input_checks.check_ends_clearly_on_black_frames_without_depth,
    input_checks.check_ends_clearly_on_images_without_depth,
    input_checks.check_ends_clearly_on_a_constant_image,
    input_checks.check_survives_a_sensor_that_fails_for_a_moment,
    input_checks.check_works_with_labels_that_say_nothing,
    input_checks.check_works_without_labels_and_imu,
    input_checks.check_gives_live_poses_when_it_says_so,
    input_checks.check_takes_frames_while_it_works_on_the_one_before,
    input_checks.check_repeats_itself_when_it_says_so,
    refusal_checks.check_refuses_another_protocol_version,
    refusal_checks.check_refuses_garbage_bytes,
    refusal_checks.check_refuses_a_frame_before_start,
    refusal_checks.check_refuses_images_of_another_size,
    refusal_checks.check_refuses_nan_depth,
    refusal_checks.check_refuses_frames_out_of_order,
    refusal_checks.check_refuses_a_clock_that_goes_backwards,
    refusal_checks.check_refuses_imu_samples_out_of_order,
    refusal_checks.check_refuses_labels_that_nobody_explained,
    harness_checks.check_its_death_in_mid_sequence_is_noticed,
    harness_checks.check_its_silence_is_noticed,
    harness_checks.check_garbage_from_it_is_refused,
    harness_checks.check_an_answer_for_the_wrong_frame_is_refused,
    harness_checks.check_a_trajectory_with_nan_is_refused,
    harness_checks.check_a_trajectory_of_frames_never_sent_is_refused,
)


def check_name(check: Check) -> str:
    """The sentence a check is shown as."""
    return check.__name__.removeprefix("check_").replace("_", " ")


def run_check(check: Check, bench: Bench) -> CheckOutcome:
    """Run one check."""
    started = time.monotonic()
    state, detail = CheckState.PASSED, ""
    try:
        check(bench)
    except NotApplicableError as reason:
        state, detail = CheckState.NOT_APPLICABLE, str(reason)
    except CheckFailedError as failure:
        state, detail = CheckState.FAILED, str(failure)
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        state, detail = CheckState.FAILED, f"{type(error).__name__}: {error}"
    return CheckOutcome(check_name(check), state, detail, time.monotonic() - started)


def run_suite(adapter: Adapter, runtime: Runtime, options: dict[str, object]) -> Iterator[CheckOutcome]:
    """Run every check against a backend, one after the other."""
    with TemporaryDirectory(prefix="conformance-") as directory:
        bench = Bench(adapter, runtime, options, Path(directory))
        for check in CHECKS:
            yield run_check(check, bench)
