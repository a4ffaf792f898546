"""What this machine has and lacks: each missing piece with what it is for and what installs it."""

import shutil
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from adapters.runtimes.engine import EngineError, engine
from harness.backends import BACKENDS, create_adapter, lacking_hardware, why_not_here
from harness.environment import cache_directory, hardware, reader_context
from harness.errors import ConfigurationError
from harness.system_packages import SYSTEM_LIBRARIES, install_command
from sequences.errors import SequenceError


class Finding(StrEnum):
    """How a piece stands."""

    PRESENT = "present"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Piece:
    """One thing the harness may need.

    Attributes:
        name: What it is.
        finding: Whether it is there; ``optional`` is absent without harm to what most users do.
        purpose: What it is for.
        remedy: The command that brings it, or None.
    """

    name: str
    finding: Finding
    purpose: str
    remedy: str | None = None


#: Module, extra that has it, purpose.
_EXTRAS = (
    ("open3d", "open3d", "synthetic sequences, backend rgbd-odometry, fused maps in reports"),
    ("skimage", "synthetic", "photographs used as textures in synthetic sequences; training a vocabulary"),
    ("sklearn", "synthetic", "photographs used as textures in synthetic sequences; training a vocabulary"),
    ("pyorbslam3", "orbslam3", "backend orbslam3"),
    ("torch", "m2hmx", "perception module m2hmx"),
    ("timm", "m2hmx", "backbones of perception module m2hmx"),
    ("peft", "m2hmx", "LoRA adapters in perception module m2hmx"),
    ("tensorboard", "train", "training networks"),
    ("h5py", "nyud", "training and evaluation on NYU Depth V2"),
    ("onnxruntime", "onnx", "perception module onnx"),
    ("onnxscript", "export", "exporting networks to ONNX"),
)


def examine() -> list[Piece]:
    """Look at everything the harness may need on this machine."""
    return [*_libraries(), *_extras(), _git(), _gpu(), _mamba_kernels(), _engine(), _data(), *_backends()]


def _libraries() -> list[Piece]:
    pieces = []
    for library in SYSTEM_LIBRARIES:
        present = library.present()
        finding = Finding.PRESENT if present else Finding.MISSING
        remedy = None if present else install_command([library.package])
        pieces.append(Piece(library.soname, finding, library.purpose, remedy))
    return pieces


def _extras() -> list[Piece]:
    pieces = []
    for module, extra, purpose in _EXTRAS:
        if find_spec(module) is not None:
            pieces.append(Piece(f"package {module}", Finding.PRESENT, purpose))
        else:
            remedy = f"pip install 'slam-harness[{extra}]'"
            pieces.append(Piece(f"package {module}", Finding.MISSING, purpose, remedy))
    return pieces


def _git() -> Piece:
    purpose = "the commit of the harness in every record"
    if shutil.which("git"):
        return Piece("git", Finding.PRESENT, purpose)
    return Piece("git", Finding.OPTIONAL, purpose, install_command(["git"]))


def _gpu() -> Piece:
    gpus = hardware().gpus
    if gpus:
        return Piece(f"GPU: {', '.join(gpu.name for gpu in gpus)}", Finding.PRESENT, "backends that need one")
    return Piece("GPU", Finding.OPTIONAL, "backends that need one; those are skipped without")


def _mamba_kernels() -> Piece:
    purpose = "Mamba's own kernels on a GPU; without, PyTorch calculates the same"
    if find_spec("mamba_ssm") is not None:
        return Piece("package mamba_ssm", Finding.PRESENT, purpose)
    remedy = "pip install 'slam-harness[gpu]'" if hardware().gpus else None
    return Piece("package mamba_ssm", Finding.OPTIONAL, purpose, remedy)


def _engine() -> Piece:
    purpose = "backends in containers (--runtime docker)"
    try:
        found = engine()
    except EngineError as error:
        return Piece("container engine", Finding.OPTIONAL, purpose, str(error))
    return Piece(f"container engine {found.version} at {found.address}", Finding.PRESENT, purpose)


def _data() -> Piece:
    purpose = "sets of recordings on disk, such as tum_local; the set demo needs none"
    try:
        directory = reader_context().require_data_directory()
    except SequenceError as error:
        return Piece("HARNESS_DATA", Finding.OPTIONAL, purpose, str(error))
    return Piece(f"HARNESS_DATA = {directory}", Finding.PRESENT, purpose)


def _backends() -> list[Piece]:
    pieces = []
    for name in BACKENDS.names():
        try:
            adapter = create_adapter(name)
        except (SequenceError, ConfigurationError) as error:
            pieces.append(Piece(f"backend {name}", Finding.MISSING, "a SLAM system to feed", str(error)))
            continue
        reason = why_not_here(adapter)
        finding = Finding.PRESENT if reason is None else Finding.MISSING
        if lacking_hardware(adapter.needs):  # which no command installs
            finding = Finding.OPTIONAL
        pieces.append(Piece(f"backend {name}", finding, "a SLAM system to feed", reason))
    return pieces


def where_things_are() -> str:
    """One line with the directories that the harness uses beside the current one."""
    kept = "vocabularies, generated sequences, predictions of networks, synthetic views to train on"
    return f"kept between runs ({kept}): {cache_directory()}"
