"""YAML and JSON files made into validated models, with the key in every message."""

import json
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sequences.errors import DataFileError
from sequences.text_table import read_text

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a model.

    Raises:
        DataFileError: The file is missing, is not YAML, or does not fit the model.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise DataFileError(path, f"is not YAML: {getattr(error, 'problem', None) or error}", line) from error
    return validated(path, content, model)


def read_json(path: Path, model: type[Model]) -> Model:
    """Read a JSON file into a model.

    Raises:
        DataFileError: The file is missing, is not JSON, or does not fit the model.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataFileError(path, f"is not JSON: {error.msg}", error.lineno) from error
    return validated(path, content, model)


def validated(path: Path, content: object, model: type[Model]) -> Model:
    """What was read from a file, as a model.

    Raises:
        DataFileError: It does not fit the model.
    """
    if not isinstance(content, dict):
        raise DataFileError(path, f"must hold the keys {', '.join(model.model_fields)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataFileError(path, problems(error)) from error


def problems(error: ValidationError) -> str:
    """What a model found wrong, with the key of each problem."""
    return "; ".join(
        f"'{'.'.join(str(part) for part in problem['loc'])}': {problem['msg'].lower()}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )
