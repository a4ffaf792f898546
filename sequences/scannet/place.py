"""Where the parts of a scene are: the .sens file, the exported images, labels and mesh beside them."""

import re
from dataclasses import dataclass
from pathlib import Path

from sequences.errors import DataFileError
from sequences.scannet.exported import find_exported, is_exported

SENS_SUFFIX = ".sens"
MESH_ENDING = "_vh_clean_2.labels.ply"
_SCENE_NAME = re.compile(r"scene\d{4}_\d{2}")


@dataclass(frozen=True)
class ScenePlace:
    """The parts of a scene.

    Attributes:
        folder: Where labels and mesh are.
        name: What the files of the scene begin with: ``scene0000_00``.
        sens: The .sens file, None without.
        exported: The folder of exported images, None without.
    """

    folder: Path
    name: str
    sens: Path | None
    exported: Path | None

    def beside(self, ending: str) -> Path | None:
        """The file of the scene with an ending, None where there is none."""
        path = self.folder / f"{self.name}{ending}"
        return path if path.is_file() else None


def is_scene(path: Path) -> bool:
    """Whether a path is a .sens file, or a folder with one of its name or with the exported layout.

    A folder with .sens files of other names is none, so that each of them is found as a scene of its own. The
    exported layout is looked for in folders of a folder only where that is called like a scene of ScanNet.
    """
    if path.suffix.lower() == SENS_SUFFIX and path.is_file():
        return True
    if (path / f"{path.name}{SENS_SUFFIX}").is_file() or is_exported(path):
        return True
    return _SCENE_NAME.fullmatch(path.name) is not None and find_exported(path) is not None


def find_scene(path: Path) -> ScenePlace:
    """Find the parts of a scene.

    Args:
        path: Its folder, or its .sens file.

    Raises:
        DataFileError: There are several .sens files of other names, or neither form is there.
    """
    if path.is_file():
        return ScenePlace(path.parent, path.stem, path, None)
    exported = find_exported(path)
    sens = _find_sens(path)
    if sens is None and exported is None:
        raise DataFileError(
            path,
            "holds neither a .sens file nor exported images: color/, depth/, pose/ and intrinsic/ with "
            "intrinsic_color.txt and intrinsic_depth.txt",
        )
    return ScenePlace(path, sens.stem if sens else path.name, sens, exported)


def _find_sens(folder: Path) -> Path | None:
    own = folder / f"{folder.name}{SENS_SUFFIX}"
    if own.is_file():
        return own
    found = sorted(folder.glob(f"*{SENS_SUFFIX}"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataFileError(folder, f"holds several .sens files: {names}; give the path of one of them")
    return found[0] if found else None
