"""The record beside a bag that ``harness rosbag export`` wrote, as far as it matters to scoring."""

import json
from dataclasses import dataclass
from pathlib import Path

from adapters.backend import BackendInputError

EXPORT_FILE = "export.json"
#: Where an export has ground truth when it was asked for.
GROUND_TRUTH_TOPIC = "/external_odometry"


@dataclass(frozen=True)
class ExportedInput:
    """What a SLAM system was given that ran elsewhere.

    Attributes:
        sequence: Name of the sequence.
        perception: Label of the perception module.
        ground_truth_is_input: Whether ground truth was part of it.
    """

    sequence: str
    perception: str
    ground_truth_is_input: bool


def read_exported_input(directory: Path) -> ExportedInput:
    """Read the record of an export.

    Raises:
        BackendInputError: It is missing or not valid; names the file.
    """
    path = directory / EXPORT_FILE
    try:
        record = json.loads(path.read_text())
        exported = ExportedInput(
            record["sequence"]["name"], record["perception"]["name"], record["ground_truth_is_input"]
        )
    except OSError as error:
        raise BackendInputError(
            f"option exported: {path} cannot be read ({error.strerror}); it must be a folder that "
            "'harness rosbag export' wrote to its end"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackendInputError(f"option exported: {path} is no record of an export: {error}") from error
    if type(exported.ground_truth_is_input) is not bool:
        raise BackendInputError(f"option exported: {path} does not say whether ground truth was put in")
    return exported
