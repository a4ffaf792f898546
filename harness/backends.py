"""Which SLAM backends there are, which can run here, and how each is started."""

from typing import Any

from adapters.adapter import Adapter, ResourceNeeds
from adapters.backend import BackendInputError
from adapters.errors import AdapterError
from adapters.images.image import OutdatedImageError, find_image
from adapters.runtimes.container import ContainerRuntime
from adapters.runtimes.process import ProcessRuntime
from adapters.runtimes.runtime import Runtime
from harness.configuration import RuntimeChoice
from harness.environment import Hardware, hardware
from harness.errors import ConfigurationError
from sequences.registry import Registry

BACKENDS: Registry[Adapter] = Registry(
    "slam_harness.backends",
    "backend",
    Adapter,  # type: ignore[type-abstract]
)

_KINDS = {ContainerRuntime.name: "a container", ProcessRuntime.name: "a process"}
#: In the order in which ``auto`` tries them: whoever has built an image has done so to have it used.
_RUNTIMES = (RuntimeChoice.DOCKER, RuntimeChoice.PROCESS)


def make_runtime(choice: RuntimeChoice, image: str | None = None) -> Runtime:
    """One way of starting backends.

    Args:
        choice: Which; not ``auto``.
        image: For containers, the image instead of the backend's own.
    """
    return ContainerRuntime(image) if choice is RuntimeChoice.DOCKER else ProcessRuntime()


def create_adapter(name: str) -> Adapter:
    """Create the adapter of a backend, which may be anybody's.

    Raises:
        UnknownNameError: There is none of that name.
        SequenceError: It cannot be imported, or is no adapter.
        ConfigurationError: It cannot be created, or cannot say what it can do.
    """
    kind = BACKENDS.load(name)
    try:
        adapter = kind()
        adapter.capabilities()
    except Exception as error:
        # An abstract method that was forgotten, for one.
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"backend '{name}' cannot be created: {reason}") from error
    return adapter


def check_options(name: str, adapter: Adapter, options: dict[str, Any]) -> None:
    """Refuse options that a backend does not have, or that cannot work.

    Raises:
        ConfigurationError: Names the backend and the option.
    """
    unknown = sorted(set(options) - set(adapter.default_options))
    if unknown:
        known = ", ".join(sorted(adapter.default_options)) or "none"
        raise ConfigurationError(
            f"backend '{name}' has no option {', '.join(unknown)}; its options are: {known}"
        )
    try:
        adapter.check_options(options)
    except BackendInputError as error:
        raise ConfigurationError(f"backend '{name}': {error}") from error


def choose_runtime(
    adapter: Adapter, choice: RuntimeChoice, image: str | None = None
) -> tuple[Runtime | None, str | None]:
    """Find the runtime for a backend.

    Args:
        adapter: The backend.
        choice: How it is to be started.
        image: The container image instead of its own; with ``auto``, containers are then meant.

    Returns:
        The runtime and None, or None and the sentence that says why no runtime can start it.
    """
    if choice is not RuntimeChoice.AUTO:
        candidates: tuple[RuntimeChoice, ...] = (choice,)
    elif image:
        candidates = (RuntimeChoice.DOCKER,)
    else:
        candidates = _RUNTIMES if adapter.image_folder else (RuntimeChoice.PROCESS,)
    reasons = []
    for runtime in (make_runtime(candidate, image) for candidate in candidates):
        try:
            reason = runtime.unavailable(adapter)
        except Exception as error:  # noqa: BLE001 - a plug-in that breaks here must not hide the others
            reason = f"it cannot say what it needs: {type(error).__name__}: {error}"
        if reason is None:
            return runtime, None
        reasons.append(reason if len(candidates) == 1 else f"as {_KINDS[runtime.name]}: {reason}")
    return None, "; ".join(reasons)


def outdated_image(adapter: Adapter, runtime: Runtime) -> str | None:
    """Why a backend that somebody has built images of is not started from one; None where none was built.

    Args:
        adapter: The backend.
        runtime: What starts it.
    """
    if runtime.name == ContainerRuntime.name or adapter.image_folder is None:
        return None
    try:
        find_image(adapter)
    except OutdatedImageError as error:
        return str(error)
    except AdapterError:
        pass  # none was built, or there is no engine to ask
    return None


def why_not_here(
    adapter: Adapter, choice: RuntimeChoice = RuntimeChoice.AUTO, needs: ResourceNeeds | None = None
) -> str | None:
    """Why a backend cannot run on this machine, in a sentence; None when it can.

    Args:
        adapter: The backend.
        choice: How it is to be started.
        needs: What it is given, where that is not what it asks for.
    """
    # Hardware first: nobody should build an image for a GPU that is not there.
    return lacking_hardware(needs or adapter.needs) or choose_runtime(adapter, choice)[1]


def lacking_hardware(needs: ResourceNeeds, machine: Hardware | None = None) -> str | None:
    """Why a machine is too small, in a sentence; None when it is not."""
    machine = machine or hardware()
    if needs.gpus > len(machine.gpus):
        return f"it needs {needs.gpus} GPU and this machine has {len(machine.gpus) or 'none'}"
    if needs.memory_bytes > machine.memory_bytes:
        return (
            f"it needs {needs.memory_bytes / 1024**3:.0f} GiB of memory and this machine has "
            f"{machine.memory_bytes / 1024**3:.0f} GiB"
        )
    return None
