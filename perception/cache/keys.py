"""Keys of kept predictions: a digest over everything that decides what a module says of a frame.

Beside what the module names itself: its code, ours, the packages that images pass through on their way in and
out, what the processor can do, all that is known of the sequence, and every pixel of the frame.
"""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

import perception
from perception.module import PerceptionModule
from sequences import label_spaces
from sequences.model import Frame, SequenceInfo

#: What is ours and decides predictions; edited code must not be given what it said before.
_OUR_CODE = {perception.__name__, label_spaces.__name__}
#: Of ours, what no module imports; see the contract in pyproject.toml.
_PREDICTS_NOTHING = ("training", "evaluation")
_SOURCES = (".py", ".yaml")
_UNIQUE_BYTES = 16

#: Modules are loaded after this one; a process's own beginning is known to the second only.
_LOADED_AT = time.time()


def context_digest(
    module: PerceptionModule, identity: Mapping[str, Any], outputs: frozenset[str], sequence: SequenceInfo
) -> str:
    """Digest over what all frames of a sequence share.

    Args:
        module: Of which the class counts.
        identity: What the module says of itself: ``PerceptionModule.cache_identity``.
        outputs: What it gives on the sequence.
        sequence: Of which the source counts, and what else a module is told before the first frame.
    """
    kind = type(module)
    its_code = {each.__module__.partition(".")[0] for each in kind.__mro__} - sys.stdlib_module_names
    decided_by = {
        "module": f"{kind.__module__}.{kind.__qualname__}",
        "identity": identity,
        "outputs": sorted(outputs),
        "code": {name: code_digest(name) for name in sorted(its_code | _OUR_CODE)},
        "versions": {"numpy": np.__version__, "cv2": cv2.__version__, "PIL": PIL.__version__},
        "processor": [platform.machine(), *_vector_instructions()],
        "source": sequence.source,
        "intrinsics": asdict(sequence.intrinsics),
        "has_depth": sequence.has_depth,
        "label_space": sequence.label_space,
    }
    # What a reader says of its source may be no plain value; its text will do.
    return hashlib.sha256(json.dumps(decided_by, sort_keys=True, default=str).encode()).hexdigest()


def frame_key(context: str, frame: Frame) -> str:
    """The key of a frame's prediction: hexadecimal digits, good as the name of a file."""
    digest = hashlib.sha256(f"{context} {frame.index} {frame.timestamp_ns}".encode())
    for array in (frame.rgb, frame.depth, frame.labels):
        digest.update(b"none" if array is None else f"{array.dtype} {array.shape}".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@cache
def code_digest(package: str) -> str:
    """Digest over the sources of a package, or of a module that is in none; it must have been imported.

    Sources that were edited after they may have been imported need not be what this process runs. Then the
    digest is one that no other process will ever have.
    """
    module = sys.modules[package]
    roots = [Path(root) for root in getattr(module, "__path__", ())]
    files = [(file.relative_to(root), file) for root in roots for file in root.rglob("*")]
    if package == perception.__name__:
        files = [(name, file) for name, file in files if name.parts[0] not in _PREDICTS_NOTHING]
    if not roots and getattr(module, "__file__", None):
        files = [(Path(), Path(str(module.__file__)))]
    digest = hashlib.sha256()
    for name, file in sorted(files):
        if file.suffix in _SOURCES and file.is_file():
            content, edited = _content(file)
            digest.update(f"{name} {len(content)} ".encode() + content)
            if edited:
                digest.update(os.urandom(_UNIQUE_BYTES))
    return digest.hexdigest()


def _content(file: Path) -> tuple[bytes, bool]:
    """What a file holds, and whether that is no longer known to be what this process runs."""
    try:
        return file.read_bytes(), file.stat().st_mtime > _LOADED_AT
    except OSError:
        return b"", True


def _vector_instructions() -> list[str]:
    """What the processor has of them; libraries choose how to calculate by that."""
    found: Any = np.show_config(mode="dicts")
    return sorted(found.get("SIMD Extensions", {}).get("found", []))
