"""Descriptions that come with a package, one YAML file each, asked for by name."""

from collections.abc import Iterable
from importlib.resources import as_file, files

from sequences.errors import UnknownNameError
from sequences.registry import unknown_name_message
from sequences.yaml_file import Model, read_yaml


def read_packaged_yaml(package: str, kind: str, name: str, names: Iterable[str], model: type[Model]) -> Model:
    """Read the description of a name.

    Args:
        package: Name of the package that the files are in.
        kind: What one of them describes, for messages.
        name: What is asked for.
        names: What there is.
        model: What a file holds.

    Raises:
        UnknownNameError: There is none of that name; the message lists what there is.
        DataFileError: The file does not fit the model.
    """
    if name not in names:
        raise UnknownNameError(unknown_name_message(kind, name, names))
    with as_file(files(package) / f"{name}.yaml") as path:
        return read_yaml(path, model)
