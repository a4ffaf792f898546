"""Parameters of sources of views, as they stand in a configuration."""

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from perception.settings import Settings
from sequences.errors import SequenceError
from sequences.yaml_file import problems

Parameters = TypeVar("Parameters", bound=Settings)


def checked_parameters(source: str, model: type[Parameters], given: dict[str, Any]) -> Parameters:
    """The parameters of a source of views, checked.

    Raises:
        SequenceError: One is unknown, missing or impossible; names it and those that exist.
    """
    try:
        # As JSON a list may become a tuple and a whole number a float, while "4" is no number.
        return model.model_validate_json(json.dumps(given))
    except (TypeError, ValidationError) as error:
        wrong = problems(error) if isinstance(error, ValidationError) else str(error)
        raise SequenceError(f"{source}: {wrong}; parameters: {', '.join(model.model_fields)}") from error
