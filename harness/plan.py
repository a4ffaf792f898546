"""From one configuration to the list of trials, each with its mode or the reason why it is not run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.adapter import Adapter, ResourceNeeds, TrialNames
from adapters.backend import BackendInputError, Mode
from adapters.errors import BackendUnavailableError
from harness.backends import (
    BACKENDS,
    check_options,
    choose_runtime,
    create_adapter,
    lacking_hardware,
    outdated_image,
)
from harness.configuration import ExperimentConfiguration, RuntimeChoice
from harness.errors import ConfigurationError
from harness.planned import ExperimentPlan, PlannedTrial
from harness.record import Status, TrialKey
from harness.store import directory_name
from perception.choice import ModuleChoice, parse_choice
from perception.errors import ModuleFailedError, PerceptionError
from perception.guarded import GuardedModule, create_module
from sequences.errors import MissingRecordingError, SequenceError
from sequences.model import SequenceInfo
from sequences.reader import ReaderContext
from sequences.sequence_sets import SequenceEntry, open_sequence, resolve

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _BackendChoice:
    """A backend of the experiment; ``unavailable`` says why it cannot run on this machine."""

    name: str
    modes: tuple[Mode, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    adapter: Adapter | None = None
    runtime: RuntimeChoice | None = None
    image: str | None = None
    needs: ResourceNeeds = field(default_factory=ResourceNeeds)
    unavailable: str | None = None


@dataclass(frozen=True)
class _OpenedSequence:
    """A sequence of the experiment, or the state in which its trials end, and why."""

    entry: SequenceEntry
    info: SequenceInfo | None
    verdict: Status | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Outputs:
    """What a module gives on a sequence, or the state in which trials with it end, and why."""

    names: frozenset[str]
    verdict: Status | None
    reason: str | None


@dataclass(frozen=True)
class _Decision:
    """Mode of a trial, or the state it ends in without having run, and why."""

    mode: Mode | None
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
        ConfigurationError: A name is unknown, an option impossible, or a backend that is asked for by name is
            a broken plug-in; nothing has been started.
        SequenceError: No sequence of that name, or none of its recordings is on this machine.
    """
    modules = [(choice, create_module(choice)) for choice in choose_modules(configuration)]
    entries = resolve(list(configuration.sequences), context)
    backends = _choose_backends(configuration, context, announce)
    trials: list[PlannedTrial] = []
    for sequence in (_open(entry, context) for entry in entries):
        for choice, module in modules:
            outcome = _outputs(sequence, module)
            for backend in backends:
                decision = _decide(outcome, module.name, backend)
                trials += [
                    _trial(sequence.entry, choice, module.name, backend, decision, configuration.seed, run)
                    for run in range(configuration.runs)
                ]
    if not trials:
        raise ConfigurationError("there is nothing to run: no backend is installed")
    return ExperimentPlan(trials=tuple(trials))


def _trial(
    entry: SequenceEntry,
    choice: ModuleChoice,
    perception: str,
    backend: _BackendChoice,
    decision: _Decision,
    first_seed: int,
    run: int,
) -> PlannedTrial:
    """One trial, with the options that its backend wants for it."""
    options = backend.options
    ground_truth_is_input = False
    if backend.adapter is not None and decision.verdict is None:
        try:
            options = backend.adapter.options_for_trial(options, TrialNames(entry.name, perception, run))
            ground_truth_is_input = backend.adapter.ground_truth_is_input(options)
        except BackendUnavailableError as error:
            decision = _Decision(None, Status.SKIPPED, str(error))
        except BackendInputError as error:
            decision = _Decision(None, Status.FAILED, str(error))
    return PlannedTrial(
        key=TrialKey(sequence=entry.name, perception=perception, backend=backend.name, run=run),
        perception=choice,
        entry=entry,
        mode=decision.mode,
        seed=first_seed + run,
        backend_options=options,
        needs=backend.needs,
        runtime=backend.runtime,
        image=backend.image,
        ground_truth_is_input=ground_truth_is_input,
        verdict=decision.verdict,
        reason=decision.reason,
        cannot_run_here=backend.unavailable is not None,
    )


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
    if configuration.images and configuration.runtime is RuntimeChoice.PROCESS:
        raise ConfigurationError("an image is given, and --runtime process starts none: leave one out")
    for what, given in (
        ("options are", configuration.backend_options),
        ("an image is", configuration.images),
    ):
        for name in given:
            if name not in names:
                raise ConfigurationError(f"{what} given for backend '{name}', which is not in the experiment")
    adapters: dict[str, Adapter] = {}
    broken: dict[str, str] = {}
    for name in names:
        try:
            adapters[name] = create_adapter(name)
        except (SequenceError, ConfigurationError) as error:
            if name in configuration.backends:
                raise
            broken[name] = str(error)
    # Of all of them before anything is prepared, which may take minutes.
    for name, adapter in adapters.items():
        check_options(name, adapter, configuration.backend_options.get(name, {}))
    return [
        _BackendChoice(name, unavailable=broken[name])
        if name in broken
        else _prepare(name, adapters[name], configuration, context, announce)
        for name in names
    ]


def _prepare(
    name: str,
    adapter: Adapter,
    configuration: ExperimentConfiguration,
    context: ReaderContext,
    announce: Callable[[str], None],
) -> _BackendChoice:
    options, needs = configuration.backend_options.get(name, {}), adapter.needs
    if configuration.memory_limit_bytes is not None:
        needs = replace(needs, memory_bytes=configuration.memory_limit_bytes)
    # Hardware first: nobody should build an image for a GPU that is not there.
    reason = lacking_hardware(needs)
    runtime = None
    if reason is None:
        runtime, reason = choose_runtime(adapter, configuration.runtime, configuration.images.get(name))
    if runtime is not None and configuration.runtime is RuntimeChoice.AUTO:
        outdated = outdated_image(adapter, runtime)
        if outdated:
            _log.warning("backend '%s' runs as a process: %s", name, outdated)
    if reason is None:
        announce(f"preparing backend {name}")
        try:
            options = adapter.prepare(options, context.cache_directory)
        except BackendUnavailableError as error:
            reason = str(error)
        except BackendInputError as error:
            raise ConfigurationError(f"backend '{name}': {error}") from error
        except Exception as error:
            # A plug-in may raise anything; only who named it must be stopped by that.
            reason = f"it cannot be prepared: {type(error).__name__}: {error}"
            if name in configuration.backends:
                raise ConfigurationError(f"backend '{name}': {reason}") from error
    return _BackendChoice(
        name,
        adapter.capabilities().modes,
        options,
        adapter,
        None if runtime is None else RuntimeChoice(runtime.name),
        None if runtime is None else runtime.image_digest(adapter),
        needs,
        reason,
    )


def _open(entry: SequenceEntry, context: ReaderContext) -> _OpenedSequence:
    try:
        return _OpenedSequence(entry, open_sequence(entry, context).info)
    except MissingRecordingError as error:
        # Of a set some recordings may be here and others not. Who names one by itself was told by resolve.
        return _OpenedSequence(entry, None, Status.SKIPPED, str(error))
    except SequenceError as error:
        return _OpenedSequence(entry, None, Status.FAILED, str(error))


def _outputs(sequence: _OpenedSequence, module: GuardedModule) -> _Outputs:
    if sequence.info is None:
        return _Outputs(frozenset(), sequence.verdict, sequence.reason)
    try:
        return _Outputs(module.outputs(sequence.info), None, None)
    except ModuleFailedError as error:
        return _Outputs(frozenset(), Status.FAILED, str(error))
    except PerceptionError as error:
        return _Outputs(frozenset(), Status.SKIPPED, str(error))


def _decide(outputs: _Outputs, perception: str, backend: _BackendChoice) -> _Decision:
    if backend.unavailable is not None:
        reason = f"backend '{backend.name}' cannot run here: {backend.unavailable}"
        return _Decision(None, Status.SKIPPED, reason)
    if outputs.verdict is not None:
        return _Decision(None, outputs.verdict, outputs.reason)
    if "depth" in outputs.names and Mode.RGBD in backend.modes:
        return _Decision(Mode.RGBD, None, None)
    if Mode.MONO in backend.modes:
        return _Decision(Mode.MONO, None, None)
    reason = f"backend '{backend.name}' needs depth and perception '{perception}' gives none"
    return _Decision(None, Status.SKIPPED, reason)
