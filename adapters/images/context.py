"""What an image of a backend is built from: its folder, the server side, and wheels where they are given."""

import ast
import hashlib
import importlib.util
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapters.adapter import Adapter
from adapters.errors import AdapterError

_ADAPTERS = Path(__file__).parent.parent
_CHECKOUT = _ADAPTERS.parent
_LEFT_OUT = ("__pycache__",)
#: Whoever owns a file in the checkout, and when it was written, is no business of the image.
_FILE_MODE, _PROGRAM_MODE = 0o644, 0o755


class ImageError(AdapterError):
    """An image cannot be built; the message says why and where the log is."""


@dataclass(frozen=True)
class BuildContext:
    """Files of a build by their name in it.

    Attributes:
        files: Where each is read from; None stands for an empty file.
    """

    files: dict[str, Path | None]

    def digest(self) -> str:
        """SHA-256 over names and contents: images of the same code have the same."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            content = self._read(name)
            digest.update(f"{len(name)} {name} {len(content)} ".encode())
            digest.update(content)
        return digest.hexdigest()

    def write_tar(self, stream: BinaryIO, wheels: Path | None = None) -> None:
        """Write the context as the engine takes it.

        Args:
            stream: Where to.
            wheels: A folder of wheels, which arrive as ``wheels/``; they are no part of :meth:`digest`.
        """
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name in sorted(self.files):
                content = self._read(name)
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                path = self.files[name]
                executable = path is not None and path.stat().st_mode & 0o100
                entry.mode = _PROGRAM_MODE if executable else _FILE_MODE
                tar.addfile(entry, io.BytesIO(content))
            for wheel in sorted(wheels.glob("*.whl")) if wheels else ():
                tar.add(wheel, f"wheels/{wheel.name}", recursive=False)

    def _read(self, name: str) -> bytes:
        path = self.files[name]
        return b"" if path is None else path.read_bytes()


def build_context(adapter: Adapter) -> BuildContext:
    """Everything that the image of a backend is built from.

    At its top lies what is in the image's folder. Beside that ``adapters/`` (protocol and what the backend
    imports of ours, so that a change of one backend leaves the images of the others as they are), the package
    that the backend's own server side is in, ``system_packages.py`` (which installs system libraries),
    ``constraints.txt`` (the tested versions) and an empty ``wheels/``.

    Raises:
        ImageError: The backend has no image, or its folder has no Dockerfile.
    """
    folder = adapter.image_folder
    if folder is None:
        raise ImageError("the backend has no image: its adapter names no image_folder")
    if not (folder / "Dockerfile").is_file():
        raise ImageError(f"{folder} has no Dockerfile; images are built from a checkout of the harness")
    files: dict[str, Path | None] = {
        "system_packages.py": _CHECKOUT / "harness" / "system_packages.py",
        "constraints.txt": _if_there(_CHECKOUT / "constraints.txt"),
        "wheels/.keep": None,
    }
    package, *rest = adapter.server.partition(":")[0].split(".")
    is_ours = package == _ADAPTERS.name
    theirs = {} if is_ours else _package_files(package)
    for path in _server_side({rest[0]} if is_ours else set(), set(theirs.values())):
        files[f"adapters/{path.relative_to(_ADAPTERS).as_posix()}"] = path
    files |= theirs
    return BuildContext(files | {path.relative_to(folder).as_posix(): path for path in _files_below(folder)})


def _server_side(subpackages: set[str], importing: set[Path]) -> set[Path]:
    """The modules of our own package that a backend needs: the protocol's, and what is imported from there.

    Args:
        subpackages: Those that belong to the backend itself.
        importing: Files elsewhere that may import more of ours.
    """
    found = set(_ADAPTERS.glob("*.py")) | set(_ADAPTERS.glob("py.typed"))
    subpackages = subpackages | _imported_subpackages(found | importing)
    while subpackages:
        added = {path for name in subpackages for path in _files_below(_ADAPTERS / name)} - found
        found |= added
        subpackages = _imported_subpackages(added)
    return found


def _imported_subpackages(files: set[Path]) -> set[str]:
    """Which of our subpackages are imported in some files, wherever in them."""
    names: set[str] = set()
    for path in files:
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in names]
    ours = {part[1] for part in parts if part[0] == _ADAPTERS.name and len(part) > 1}
    return {name for name in ours if (_ADAPTERS / name).is_dir()}


def _package_files(package: str) -> dict[str, Path]:
    found = importlib.util.find_spec(package)
    if found is None:
        raise ImageError(f"the package {package}, which the image would have to hold, is not installed")
    if found.submodule_search_locations is None:
        assert found.origin is not None, "a module is a file"
        return {Path(found.origin).name: Path(found.origin)}
    roots = [Path(location) for location in found.submodule_search_locations]
    return {
        f"{package}/{path.relative_to(root).as_posix()}": path
        for root in roots
        for path in _files_below(root)
    }


def _files_below(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not set(_LEFT_OUT) & set(path.parts):
            yield path


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None
