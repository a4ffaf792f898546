"""From one configuration to the list of trials, each with its mode or the reason why it is not run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from adapters.adapter import Adapter
from adapters.backend import Mode
from adapters.errors import AdapterError
from harness.backends import BACKENDS, choose_runtime, lacking_hardware
from harness.configuration import ExperimentConfiguration
from harness.errors import ConfigurationError
from harness.record import Status, TrialKey
from perception.errors import PerceptionError
from perception.module import PERCEPTION_MODULES
from sequences.errors import SequenceError
from sequences.model import SequenceInfo
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence, resolve

_log = logging.getLogger(__name__)


class PlannedTrial(BaseModel):
    """One trial before it runs.

    Attributes:
        key: Which trial it is.
        entry: How its sequence is opened.
        mode: What the backend is fed with; None when the trial will not run.
        seed: For every random number in it.
        backend_options: The backend's options, complete.
        verdict: ``skipped`` or ``failed`` when that is known before anything starts.
        reason: Why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: TrialKey
    entry: SequenceEntry
    mode: Mode | None = None
    seed: int
    backend_options: dict[str, Any] = {}
    verdict: Status | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _BackendChoice:
    name: str
    adapter: Adapter
    options: dict[str, Any]
    unavailable: str | None


@dataclass(frozen=True)
class _OpenedSequence:
    entry: SequenceEntry
    info: SequenceInfo | None
    unreadable: str | None


def plan_trials(
    configuration: ExperimentConfiguration,
    context: ReaderContext,
    announce: Callable[[str], None] = _log.info,
) -> list[PlannedTrial]:
    """Expand an experiment into its trials: sequences × perception modules × backends × runs.

    Sequences that have to be made are made here, and backends prepare what they need (a vocabulary), so that
    no trial's time contains either.

    Raises:
        ConfigurationError: A name is unknown or an option impossible; nothing has been started.
        SequenceError: No sequence of that name, or ``HARNESS_DATA`` is needed and not set.
    """
    for name in configuration.perception:
        PERCEPTION_MODULES.load(name)
    entries = resolve(list(configuration.sequences), context)
    backends = _choose_backends(configuration, context, announce)
    trials: list[PlannedTrial] = []
    for sequence in (_open(entry, context) for entry in entries):
        for perception in configuration.perception:
            for backend in backends:
                mode, verdict, reason = _decide(sequence, perception, backend)
                trials += [
                    PlannedTrial(
                        key=TrialKey(
                            sequence=sequence.entry.name, perception=perception, backend=backend.name, run=run
                        ),
                        entry=sequence.entry,
                        mode=mode,
                        seed=configuration.seed + run,
                        backend_options=backend.options,
                        verdict=verdict,
                        reason=reason,
                    )
                    for run in range(configuration.runs)
                ]
    return trials


def _choose_backends(
    configuration: ExperimentConfiguration, context: ReaderContext, announce: Callable[[str], None]
) -> list[_BackendChoice]:
    names = configuration.backends or tuple(BACKENDS.names())
    for name in configuration.backend_options:
        if name not in names:
            raise ConfigurationError(
                f"options are given for backend '{name}', which is not in the experiment"
            )
    adapters = [(name, BACKENDS.load(name)()) for name in names]
    return [_prepare(name, adapter, configuration, context, announce) for name, adapter in adapters]


def _prepare(
    name: str,
    adapter: Adapter,
    configuration: ExperimentConfiguration,
    context: ReaderContext,
    announce: Callable[[str], None],
) -> _BackendChoice:
    options = configuration.backend_options.get(name, {})
    unknown = sorted(set(options) - set(adapter.default_options))
    if unknown:
        known = ", ".join(sorted(adapter.default_options)) or "none"
        raise ConfigurationError(
            f"backend '{name}' has no option {', '.join(unknown)}; its options are: {known}"
        )
    _, reason = choose_runtime(adapter, configuration.runtime)
    reason = reason or lacking_hardware(adapter)
    if reason is None:
        announce(f"preparing backend {name}")
        try:
            options = adapter.prepare(options, context.cache_directory)
        except AdapterError as error:
            reason = str(error)
    return _BackendChoice(name, adapter, options, reason)


def _open(entry: SequenceEntry, context: ReaderContext) -> _OpenedSequence:
    try:
        return _OpenedSequence(entry, open_sequence(entry, context).info, None)
    except SequenceError as error:
        return _OpenedSequence(entry, None, str(error))


def _decide(
    sequence: _OpenedSequence, perception: str, backend: _BackendChoice
) -> tuple[Mode | None, Status | None, str | None]:
    """Mode of a trial, or the state it ends in without having run, and why."""
    if backend.unavailable is not None:
        return None, Status.SKIPPED, f"backend '{backend.name}' cannot run here: {backend.unavailable}"
    if sequence.info is None:
        return None, Status.FAILED, sequence.unreadable
    try:
        outputs = PERCEPTION_MODULES.load(perception)().outputs(sequence.info)
    except PerceptionError as error:
        return None, Status.SKIPPED, str(error)
    modes = backend.adapter.capabilities().modes
    if "depth" in outputs and Mode.RGBD in modes:
        return Mode.RGBD, None, None
    if Mode.MONO in modes:
        return Mode.MONO, None, None
    return (
        None,
        Status.SKIPPED,
        f"backend '{backend.name}' needs depth and perception '{perception}' gives none",
    )
