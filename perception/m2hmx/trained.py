"""The files of weights that come with the package, by name."""

from pathlib import Path

from perception.m2hmx.errors import NetworkConfigurationError

_DIRECTORY = Path(__file__).parent / "trained"
_ENDING = ".safetensors"

#: What module m2hmx takes when it is told no file.
DEFAULT = "m2hmx-nano"


def trained_names() -> tuple[str, ...]:
    """Names of the weights that come with the package."""
    return tuple(sorted(file.name.removesuffix(_ENDING) for file in _DIRECTORY.glob(f"*{_ENDING}")))


def weights_file(argument: str | None) -> Path:
    """The file that is meant by a name of weights of ours, by the path of a file, or by neither.

    Raises:
        NetworkConfigurationError: It looks like a name and there are no such weights.
    """
    name = DEFAULT if argument is None else argument
    if name in trained_names():
        return _DIRECTORY / f"{name}{_ENDING}"
    path = Path(name)
    if path.suffix or path.exists():
        return path
    raise NetworkConfigurationError(
        f"there are no weights '{name}'; trained weights that come with the package: "
        f"{', '.join(trained_names()) or 'none'}; or give a file, as in m2hmx:weights.safetensors"
    )
