"""One directory per ablation: an experiment for every variant, and what they are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.ablation.variants import Ablation, Variant
from harness.configuration import validation_message
from harness.errors import ResultsError
from harness.files import write_text
from harness.planned import ExperimentPlan
from harness.store import ExperimentDirectory

_VARIANTS_FILE = "variants.json"


@dataclass(frozen=True)
class AblationDirectory:
    """The results of an ablation on disk: ``variants.json``, and ``VARIANT/`` with its experiment each."""

    path: Path
    ablation: Ablation

    @classmethod
    def create(
        cls, path: Path, ablation: Ablation, plan: Callable[[Variant], ExperimentPlan]
    ) -> "AblationDirectory":
        """Begin an ablation in a new directory.

        Args:
            path: Where.
            ablation: What is compared.
            plan: Expands a variant's experiment; called for all before anything is written.

        Raises:
            ResultsError: The directory holds an ablation already, or cannot be written to.
            HarnessError: As ``plan``.
        """
        file = path / _VARIANTS_FILE
        if file.exists():
            raise ResultsError(
                f"{path} holds an ablation already; continue it with: harness ablate --resume {path}"
            )
        plans = [(variant, plan(variant)) for variant in ablation.variants]
        for variant, planned in plans:
            ExperimentDirectory.create(path / variant.directory, ablation.configuration_of(variant), planned)
        # The last file: with it all experiments are there.
        write_text(file, ablation.model_dump_json(indent=2) + "\n")
        return cls(path.absolute(), ablation)

    @classmethod
    def open(cls, path: Path) -> "AblationDirectory":
        """An existing ablation.

        Raises:
            ResultsError: There is none at ``path``, or it was written by another version or damaged.
        """
        file = path / _VARIANTS_FILE
        try:
            ablation = Ablation.model_validate_json(file.read_bytes())
        except FileNotFoundError as error:
            raise ResultsError(f"{path} is no directory of an ablation: it has no {file.name}") from error
        except OSError as error:
            raise ResultsError(f"cannot read {file}: {error.strerror}") from error
        except ValidationError as error:
            raise ResultsError(validation_message(str(file), error)) from error
        return cls(path.absolute(), ablation)

    def experiment(self, variant: Variant) -> ExperimentDirectory:
        """The experiment of a variant.

        Raises:
            ResultsError: It is not there.
        """
        return ExperimentDirectory.open(self.path / variant.directory)
