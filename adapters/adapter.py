"""The harness's side of one backend: how it is started, what it needs, what it can do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from adapters.backend import Capabilities


@dataclass(frozen=True)
class ResourceNeeds:
    """What one trial of a backend takes from the machine.

    Attributes:
        cores: CPU cores it keeps busy.
        memory_bytes: Memory it is given; beyond that it is stopped.
        gpus: GPUs it needs.
    """

    cores: int = 1
    memory_bytes: int = 4 * 1024**3
    gpus: int = 0


@dataclass(frozen=True)
class TrialNames:
    """Which trial it is: the sequence, the perception module's label, the number of the run."""

    sequence: str
    perception: str
    run: int


#: Where the images of the backends in this project are described: a folder for each.
IMAGE_FOLDERS = Path(__file__).parent.parent / "docker"


class Adapter(ABC):
    """Describes one backend to the harness without importing the SLAM system itself."""

    #: ``module:Class`` of the :class:`adapters.backend.Backend` that the server side loads.
    server: ClassVar[str]
    #: The folder with the Dockerfile of the backend's image and what only the image needs; None without one.
    image_folder: ClassVar[Path | None] = None
    #: Options of which the value is a file or a folder that the backend reads. A container is shown these,
    #: read-only, and nothing else of the machine.
    input_options: ClassVar[tuple[str, ...]] = ()
    #: Distributions whose versions belong into the record.
    packages: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[ResourceNeeds] = ResourceNeeds()
    #: Options a user may set, with the defaults.
    default_options: ClassVar[dict[str, Any]] = {}
    #: What ``harness ablate`` compares: variants by name, each with the options that make it, in the order in
    #: which parts are added. Options that a variant does not name are as in any other run.
    ablation: ClassVar[dict[str, dict[str, Any]]] = {}

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the backend can do, known without starting it."""

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks to run the backend as a process.

        Returns:
            One sentence with the command that installs it; None when it can run.
        """

    def check_options(self, options: dict[str, Any]) -> None:  # noqa: B027 - many backends take any value
        """Refuse values that cannot work before anything is prepared or started.

        Args:
            options: The options the user set; their names are known ones.

        Raises:
            BackendInputError: A value is of the wrong type or out of its range; the message names the option.
        """

    def prepare(self, options: dict[str, Any], cache_directory: Path) -> dict[str, Any]:
        """Make or find what the backend needs beside frames (a vocabulary, weights), once per machine.

        Args:
            options: The options the user set, over the defaults.
            cache_directory: A directory for what takes long to make; may not exist yet.

        Returns:
            The options to start the backend with.

        Raises:
            BackendUnavailableError: This machine lacks what is needed; the backend is skipped.
            BackendInputError: What the user gave is wrong (a file, an address, a cache that cannot be written
                to); nothing is started. Both messages say what to do.
        """
        return {**self.default_options, **options}

    def options_for_trial(self, options: dict[str, Any], trial: TrialNames) -> dict[str, Any]:
        """The options of one trial, for backends that need to know which trial it is.

        Args:
            options: As :meth:`prepare` returned them.
            trial: Which trial.

        Raises:
            BackendUnavailableError: There is nothing to run for this trial; it is skipped.
            BackendInputError: What the user gave for this trial is wrong; it fails.
        """
        return options

    def ground_truth_is_input(self, options: dict[str, Any]) -> bool:
        """Whether ground truth reaches the backend with these options, in any form."""
        return self.capabilities().ground_truth_is_input
