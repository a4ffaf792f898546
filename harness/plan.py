"""From one configuration to the list of trials, each with its mode or the reason why it is not run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from adapters.adapter import Adapter, ResourceNeeds
from adapters.backend import Mode
from adapters.errors import AdapterError
from harness.backends import BACKENDS, why_not_here
from harness.configuration import ExperimentConfiguration
from harness.errors import ConfigurationError
from harness.planned import ExperimentPlan, PlannedTrial
from harness.record import Status, TrialKey
from harness.store import directory_name
from perception.choice import ModuleChoice, parse_choice
from perception.errors import ModuleFailedError, PerceptionError
from perception.guarded import GuardedModule, create_module
from sequences.errors import SequenceError
from sequences.model import SequenceInfo
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence, resolve

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _BackendChoice:
    name: str
    adapter: Adapter
    options: dict[str, Any]
    needs: ResourceNeeds
    unavailable: str | None


@dataclass(frozen=True)
class _OpenedSequence:
    entry: SequenceEntry
    info: SequenceInfo | None
    unreadable: str | None


@dataclass(frozen=True)
class _Outputs:
    """What a module gives on a sequence, or the state in which trials with it end, and why."""

    names: frozenset[str]
    verdict: Status | None
    reason: str | None


def plan_trials(
    configuration: ExperimentConfiguration,
    context: ReaderContext,
    announce: Callable[[str], None] = _log.info,
) -> ExperimentPlan:
    """Expand an experiment into its trials: sequences × perception modules × backends × runs.

    Sequences that have to be made are made here, and backends prepare what they need (a vocabulary), so that
    no trial's time contains either.

    Raises:
        ConfigurationError: A name is unknown or an option impossible; nothing has been started.
        SequenceError: No sequence of that name, or ``HARNESS_DATA`` is needed and not set.
    """
    modules = [(choice, create_module(choice)) for choice in choose_modules(configuration)]
    entries = resolve(list(configuration.sequences), context)
    backends = _choose_backends(configuration, context, announce)
    trials: list[PlannedTrial] = []
    for sequence in (_open(entry, context) for entry in entries):
        for choice, module in modules:
            outcome = _outputs(sequence, module)
            for backend in backends:
                mode, verdict, reason = _decide(outcome, module.name, backend)
                trials += [
                    PlannedTrial(
                        key=TrialKey(
                            sequence=sequence.entry.name,
                            perception=module.name,
                            backend=backend.name,
                            run=run,
                        ),
                        perception=choice,
                        entry=sequence.entry,
                        mode=mode,
                        seed=configuration.seed + run,
                        backend_options=backend.options,
                        needs=backend.needs,
                        ground_truth_is_input=backend.adapter.capabilities().ground_truth_is_input,
                        verdict=verdict,
                        reason=reason,
                    )
                    for run in range(configuration.runs)
                ]
    if not trials:
        raise ConfigurationError("there is nothing to run: no backend is installed")
    return ExperimentPlan(trials=tuple(trials))


def choose_modules(configuration: ExperimentConfiguration) -> list[ModuleChoice]:
    """The perception modules of an experiment.

    Raises:
        ConfigurationError: Options are for none of them, or two could not be told apart.
    """
    choices = []
    for text in configuration.perception:
        options = configuration.perception_options.get(text.partition(":")[0])
        choices.append(parse_choice(text, options))
    for name in configuration.perception_options:
        if name not in {choice.module for choice in choices}:
            raise ConfigurationError(
                f"options are given for perception module '{name}', which is not in the experiment"
            )
    names = [directory_name(choice.label) for choice in choices]
    for choice, name in zip(choices, names, strict=True):
        if names.count(name) > 1:
            raise ConfigurationError(
                f"two perception modules would both be called '{choice.label}' in the results; "
                "give their files other names"
            )
    return choices


def _choose_backends(
    configuration: ExperimentConfiguration, context: ReaderContext, announce: Callable[[str], None]
) -> list[_BackendChoice]:
    names = configuration.backends or tuple(BACKENDS.names())
    for name in configuration.backend_options:
        if name not in names:
            raise ConfigurationError(
                f"options are given for backend '{name}', which is not in the experiment"
            )
    adapters = {name: BACKENDS.load(name)() for name in names}
    return [_prepare(name, adapter, configuration, context, announce) for name, adapter in adapters.items()]


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
    needs = adapter.needs
    if configuration.memory_limit_bytes is not None:
        needs = replace(needs, memory_bytes=configuration.memory_limit_bytes)
    reason = why_not_here(adapter, configuration.runtime, needs)
    if reason is None:
        announce(f"preparing backend {name}")
        try:
            options = adapter.prepare(options, context.cache_directory)
        except AdapterError as error:
            reason = str(error)
    return _BackendChoice(name, adapter, options, needs, reason)


def _open(entry: SequenceEntry, context: ReaderContext) -> _OpenedSequence:
    try:
        return _OpenedSequence(entry, open_sequence(entry, context).info, None)
    except SequenceError as error:
        return _OpenedSequence(entry, None, str(error))


def _outputs(sequence: _OpenedSequence, module: GuardedModule) -> _Outputs:
    if sequence.info is None:
        return _Outputs(frozenset(), Status.FAILED, sequence.unreadable)
    try:
        return _Outputs(module.outputs(sequence.info), None, None)
    except ModuleFailedError as error:
        return _Outputs(frozenset(), Status.FAILED, str(error))
    except PerceptionError as error:
        return _Outputs(frozenset(), Status.SKIPPED, str(error))


def _decide(
    outputs: _Outputs, perception: str, backend: _BackendChoice
) -> tuple[Mode | None, Status | None, str | None]:
    """Mode of a trial, or the state it ends in without having run, and why."""
    if backend.unavailable is not None:
        return None, Status.SKIPPED, f"backend '{backend.name}' cannot run here: {backend.unavailable}"
    if outputs.verdict is not None:
        return None, outputs.verdict, outputs.reason
    modes = backend.adapter.capabilities().modes
    if "depth" in outputs.names and Mode.RGBD in modes:
        return Mode.RGBD, None, None
    if Mode.MONO in modes:
        return Mode.MONO, None, None
    reason = f"backend '{backend.name}' needs depth and perception '{perception}' gives none"
    return None, Status.SKIPPED, reason
