"""The configuration file for upstream: one of its own, with our camera put in under the keys that it has.

What stands here of upstream's file format comes from its documentation and the discussions in its issue
tracker (number 22 shows the section ``cam``, number 4 recommends the box of the scene), and from what is
usual in NICE-SLAM, of which it says it took code. It has never been compared with upstream's files: that is
why a key that is not there already is an error instead of a line that nobody reads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.go_slam.presets import NetworkImage
from adapters.go_slam.weights import check_weights

#: Names the file that a configuration builds upon, seen from upstream's home.
_PARENT_KEY = "inherit_from"
_CAMERA_SECTION = "cam"
#: The box of the map. Files for single scenes have it and files for whole data sets need not, so it is set
#: whether it was there or not.
_MAP_SECTION, _BOX_KEY = "mapping", "bound"
_WEIGHTS_SUFFIX = ".pth"

_Keys = tuple[str, ...]


@dataclass(frozen=True)
class CameraValues:
    """What is put into the section ``cam``.

    Attributes:
        intrinsics: Of the images as they are written; upstream resizes and cuts them, and these with them.
        image: What it is to make of them.
        depth_scale: Units of the depth images per metre.
    """

    intrinsics: CameraIntrinsics
    image: NetworkImage
    depth_scale: float

    def entries(self) -> dict[str, int | float]:
        """By the names that upstream has for them."""
        camera, image = self.intrinsics, self.image
        return {
            "H": camera.height,
            "W": camera.width,
            "fx": float(camera.fx),
            "fy": float(camera.fy),
            "cx": float(camera.cx),
            "cy": float(camera.cy),
            "png_depth_scale": self.depth_scale,
            "H_out": image.height,
            "W_out": image.width,
            "H_edge": image.edge_rows,
            "W_edge": image.edge_columns,
        }


class Configuration:
    """A configuration of upstream's that values are put into.

    Args:
        home: Upstream's home.
        path: The file to begin from; seen from ``home`` unless it is absolute.

    Raises:
        BackendInputError: It, or a file it builds upon, is missing or no configuration.
    """

    def __init__(self, home: Path, path: str) -> None:
        self._home = home
        self._path = home / path
        self._own = _read(self._path)
        self._whole = _with_parents(home, self._path)

    def set_camera(self, values: CameraValues) -> None:
        """Put in the camera.

        Raises:
            BackendInputError: A key is not there; names it and those that are.
        """
        section = self._section(_CAMERA_SECTION)
        entries = values.entries()
        missing = [name for name in entries if name not in section]
        if missing:
            raise BackendInputError(
                f"{self._path}: the section '{_CAMERA_SECTION}' has no {', '.join(missing)}, so this version"
                f" of GO-SLAM names them otherwise (it has {', '.join(map(str, section))}); the names are in"
                " adapters/go_slam/configuration.py"
            )
        for name, value in entries.items():
            self._put((_CAMERA_SECTION, name), value)

    def set_box(self, half_extent: float) -> None:
        """Put in the box of the map, a cube around the first camera.

        Raises:
            BackendInputError: There is no section that it could stand in.
        """
        self._section(_MAP_SECTION)
        self._put((_MAP_SECTION, _BOX_KEY), [[-half_extent, half_extent] for _ in range(3)])

    def set_weights(self, weights: str, sha256: str) -> str | None:
        """Put in the weights, or check those that are named; returns their SHA-256, None if none are named.

        Args:
            weights: A file; empty for the one that is named.
            sha256: What it must be; empty for whatever it is.

        Raises:
            BackendInputError: No single file is named, or it is not there or another one.
        """
        named = _weights_named(self._whole)
        if len(named) != 1:
            if weights or sha256:
                raise BackendInputError(
                    f"{self._path} names {len(named)} files that end in {_WEIGHTS_SUFFIX}, so it is not known"
                    " which one the weights are; leave out the options weights and weights_sha256"
                )
            return None
        (keys, value), *_ = named.items()
        if weights:
            self._put(keys, weights)
            return check_weights(Path(weights), sha256)
        path = self._home / value
        if not path.is_file():
            raise BackendInputError(
                f"the weights {path}, which {self._path} names, are not there; give droid.pth by the option"
                " weights, and its checksum by weights_sha256"
            )
        return check_weights(path, sha256)

    def write(self, path: Path) -> None:
        """Write it where upstream will read it."""
        path.write_text(yaml.safe_dump(self._own, sort_keys=False), encoding="utf-8")

    def _section(self, name: str) -> dict[str, Any]:
        section = self._whole.get(name)
        if not isinstance(section, dict):
            raise BackendInputError(
                f"{self._path}: there is no section '{name}' (there are {', '.join(map(str, self._whole))}),"
                " so this version of GO-SLAM is configured otherwise; see adapters/go_slam/configuration.py"
            )
        return section

    def _put(self, keys: _Keys, value: Any) -> None:
        """Put in a value, and with it the whole section that it is in.

        So it does not matter whether upstream merges what is inside a section with what it builds upon.
        """
        *above, last = keys
        content = self._whole
        for key in above:
            content = content[key]
        content[last] = value
        self._own[keys[0]] = self._whole[keys[0]]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        others = ", ".join(sorted(other.name for other in path.parent.glob("*.yaml"))) or "none"
        raise BackendInputError(
            f"the configuration {path} cannot be read: {error.strerror} (files beside it: {others}); name"
            " another one by the option config"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BackendInputError(f"{path} is no YAML that can be read: {error}") from error
    if not isinstance(content, dict):
        raise BackendInputError(f"{path} is no configuration: it is no mapping of names to values")
    return content


def _with_parents(home: Path, path: Path, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A configuration with everything that it builds upon."""
    if path in children:
        raise BackendInputError(f"the configuration {path} builds upon itself")
    own = _read(path)
    parent = own.get(_PARENT_KEY)
    if not parent:
        return own
    return _merged(_with_parents(home, home / str(parent), (*children, path)), own)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in over.items():
        known = result.get(name)
        result[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def _weights_named(content: dict[str, Any], above: _Keys = ()) -> dict[_Keys, str]:
    """Files of weights by where they are named; the key is not known, the ending is."""
    found: dict[_Keys, str] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= _weights_named(value, (*above, name))
        elif isinstance(value, str) and value.endswith(_WEIGHTS_SUFFIX):
            found[(*above, name)] = value
    return found
