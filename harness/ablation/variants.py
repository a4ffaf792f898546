"""Which variants of a backend are compared, and the experiment that each of them is."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from harness.backends import BACKENDS, check_options, create_adapter
from harness.configuration import ExperimentConfiguration, make_configuration, validation_message
from harness.errors import ConfigurationError
from harness.record import FrozenModel
from harness.store import directory_name
from sequences.errors import SequenceError
from sequences.registry import unknown_name_message


class Variant(FrozenModel):
    """A backend with some of its parts.

    Attributes:
        name: As its adapter declares it.
        options: The options that make it.
    """

    name: str = Field(min_length=1)
    options: dict[str, JsonValue]

    @property
    def directory(self) -> str:
        """Name of its experiment's directory."""
        return directory_name(self.name)


class Ablation(FrozenModel):
    """Everything that decides about an ablation.

    Attributes:
        backend: Name of the backend.
        configuration: What its experiments share.
        variants: In the order in which parts are added.
    """

    schema_version: Literal[1] = 1
    backend: str
    configuration: ExperimentConfiguration
    variants: tuple[Variant, ...]

    def configuration_of(self, variant: Variant) -> ExperimentConfiguration:
        """The configuration of one variant's experiment; its options go before those of the user."""
        values = self.configuration.model_dump()
        options = values["backend_options"]
        options[self.backend] = {**options.get(self.backend, {}), **variant.options}
        return make_configuration(values)


def plan_ablation(
    backend: str, configuration: ExperimentConfiguration, names: Sequence[str] | None = None
) -> Ablation:
    """Decide on the variants of an ablation.

    Args:
        backend: Name of the backend.
        configuration: What all experiments share; its backends are not looked at.
        names: Variants to compare, in any order; None for all.

    Raises:
        ConfigurationError: There is no such backend or variant, the backend declares none, or what it
            declares cannot work.
        SequenceError: The backend cannot be imported.
    """
    if backend not in BACKENDS.names():
        raise ConfigurationError(unknown_name_message("backend with an ablation", backend, _with_ablation()))
    adapter = create_adapter(backend)
    if not adapter.ablation:
        able = ", ".join(_with_ablation()) or "none"
        raise ConfigurationError(f"backend '{backend}' declares no ablation; those that do: {able}")
    try:
        declared = [Variant(name=name, options=options) for name, options in adapter.ablation.items()]
    except ValidationError as error:
        raise ConfigurationError(validation_message(f"the ablation of backend '{backend}'", error)) from error
    directories = [variant.directory for variant in declared]
    if len(set(directories)) < len(directories):
        raise ConfigurationError(
            f"the ablation of backend '{backend}' has two variants whose directory would be the same: "
            f"{', '.join(directories)}"
        )
    shared = configuration.model_copy(update={"backends": (backend,)})
    ablation = Ablation(backend=backend, configuration=shared, variants=_chosen(backend, declared, names))
    for variant in ablation.variants:
        check_options(backend, adapter, ablation.configuration_of(variant).backend_options[backend])
    return ablation


def _chosen(backend: str, declared: Sequence[Variant], names: Sequence[str] | None) -> tuple[Variant, ...]:
    """The variants of those names, in the order they are declared in."""
    known = [variant.name for variant in declared]
    for name in names or ():
        if name not in known:
            raise ConfigurationError(unknown_name_message(f"variant of backend '{backend}'", name, known))
    return tuple(variant for variant in declared if names is None or variant.name in names)


def _with_ablation() -> list[str]:
    """Names of the backends that declare one; those that cannot be imported declare none."""
    names = []
    for name in BACKENDS.names():
        try:
            if BACKENDS.load(name).ablation:
                names.append(name)
        except SequenceError:
            continue
    return names
