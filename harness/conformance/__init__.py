"""What every backend must do, checked by really running it: the suite behind ``harness backends check``."""

from harness.conformance.bench import Bench
from harness.conformance.outcome import CheckOutcome, CheckState
from harness.conformance.suite import CHECKS, check_name, run_check, run_suite

__all__ = ["CHECKS", "Bench", "CheckOutcome", "CheckState", "check_name", "run_check", "run_suite"]
