"""Backend ``trajectory``: scores a trajectory file that was made elsewhere, as a trial like any other.

The file is read on the server's side, in the phase ``start``, with nothing but numpy (and rosbags for bags):
what is wrong with it fails its own trial, with file and line.
"""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from adapters.adapter import Adapter, ResourceNeeds, TrialNames
from adapters.backend import BackendInputError, Capabilities, Mode
from adapters.errors import BackendUnavailableError
from adapters.options import default_options
from adapters.trajectory.export_record import EXPORT_FILE, GROUND_TRUTH_TOPIC, read_exported_input
from adapters.trajectory.options import TrajectoryOptions, fill_placeholders, parse_trajectory_options


def trajectory_capabilities() -> Capabilities:
    """What the backend can do: any mode, since it looks at no frame; no pose before the end."""
    return Capabilities(
        name="trajectory", version="1", modes=(Mode.RGBD, Mode.MONO), deterministic=True, live_poses=False
    )


class TrajectoryAdapter(Adapter):
    """Hands back the poses of a file for the frames that they belong to.

    The options are :class:`~adapters.trajectory.options.TrajectoryOptions`. The mode follows the perception
    module as with every backend, and with it what tables print: SE(3) alignment for a module that gives
    depth (``rgbd``: the trajectory is held to be metric), Sim(3) for one that gives none (``mono``). Name the
    module that the trajectory was made with, or ``none`` for a monocular system.
    """

    server = "adapters.trajectory.backend:TrajectoryBackend"
    input_options = ("file",)
    packages = ("rosbags",)
    needs = ResourceNeeds(cores=1, memory_bytes=2 * 1024**3)
    default_options: ClassVar[dict[str, Any]] = default_options(TrajectoryOptions)

    def capabilities(self) -> Capabilities:
        """See :func:`trajectory_capabilities`."""
        return trajectory_capabilities()

    def missing(self) -> str | None:
        """Nothing: rosbags is looked for when a bag is read."""
        return None

    def check_options(self, options: dict[str, Any]) -> None:
        """Types, ranges and placeholders of :class:`~adapters.trajectory.options.TrajectoryOptions`."""
        parsed = parse_trajectory_options(options)
        any_trial = TrialNames("", "", 0)
        _fill("file", parsed.file, any_trial)
        _fill("exported", parsed.exported, any_trial)

    def options_for_trial(self, options: dict[str, Any], trial: TrialNames) -> dict[str, Any]:
        """Fills in the placeholders and sees that there is such a file.

        Raises:
            BackendUnavailableError: No file is named, or the one for the first run would be scored again as
                if it were another run.
            BackendInputError: There is no such file, or ``exported`` is of something else.
        """
        parsed = parse_trajectory_options(options)
        if not parsed.file:
            raise BackendUnavailableError(
                "which trajectory is to be scored is not said: --set trajectory.file=PATH"
            )
        file = _fill("file", parsed.file, trial)
        # Copies of one result would pass for repetitions that agree to the last digit.
        if trial.run > 0 and file == _fill("file", parsed.file, replace(trial, run=0)):
            raise BackendUnavailableError(
                f"{file} is the result of run 0 already; put {{run}} into option file where there is one for "
                "every run"
            )
        if not os.path.exists(file):
            raise BackendInputError(f"option file: there is no {file}")
        filled = {**options, "file": str(file)}
        if parsed.exported:
            directory = _fill("exported", parsed.exported, trial)
            _require_same_trial(directory, trial)
            filled["exported"] = str(directory)
        return {**filled, "ground_truth_is_input": self.ground_truth_is_input(filled)}

    def ground_truth_is_input(self, options: dict[str, Any]) -> bool:
        """Whether an option, the topic, or the record of an export says so.

        The record counts as well when nobody named it and it lies beside the file.
        """
        parsed = parse_trajectory_options(options)
        if parsed.ground_truth_is_input or parsed.topic.partition(":")[0] == GROUND_TRUTH_TOPIC:
            return True
        places = [Path(parsed.exported)] if parsed.exported else _beside(parsed.file)
        return any(read_exported_input(place).ground_truth_is_input for place in places)


def _beside(file: str) -> list[Path]:
    """Exports that a file is part of."""
    places = [Path(file), Path(file).parent] if file else []
    return [place for place in places if (place / EXPORT_FILE).is_file()]


def _fill(option: str, text: str, trial: TrialNames) -> Path:
    return Path(fill_placeholders(option, text, asdict(trial))).expanduser().absolute()


def _require_same_trial(directory: Path, trial: TrialNames) -> None:
    exported = read_exported_input(directory)
    for what, found, wanted in (
        ("sequence", exported.sequence, trial.sequence),
        ("perception", exported.perception, trial.perception),
    ):
        if found != wanted:
            raise BackendInputError(
                f"option exported: {directory} was exported with {what} '{found}', and the trial has "
                f"{what} '{wanted}'"
            )
