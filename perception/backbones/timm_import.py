"""The one place that imports timm, with the remedy for a torchvision whose compiled part does not load."""

import importlib
import sys
from types import ModuleType

from perception.backbones.errors import MissingPackageError

#: What torchvision says at import when its compiled part wants CUDA libraries that torch was built without.
_NO_COMPILED_PART = "operator torchvision::nms does not exist"

#: The operators that torchvision takes for granted at import.
_SUPPRESSION = ("nms", "qnms")

#: Keeps the operators declared for as long as the process runs.
_declarations: list[object] = []


def import_timm() -> ModuleType:
    """Import timm.

    timm imports torchvision, which fails where it does not match torch. Nothing here needs its compiled part:
    once the operators that it misses are declared, the import succeeds.

    Raises:
        MissingPackageError: timm, torch or torchvision is not installed.
    """
    try:
        return _import()
    except RuntimeError as error:
        if _NO_COMPILED_PART not in str(error) or _declarations:
            raise
    _declare_operators()
    return _import()


def _import() -> ModuleType:
    before = set(sys.modules)
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingPackageError(str(error.name)) from error
    finally:
        if "timm" not in sys.modules:
            _forget_half_imported(before)


def _forget_half_imported(before: set[str]) -> None:
    """A failed import leaves submodules behind that the next one would take for whole."""
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"timm", "torchvision"}:
            del sys.modules[name]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in _SUPPRESSION:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declarations.append(library)
