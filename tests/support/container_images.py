"""Images of backends for tests; without them a test is skipped, or fails where they must be there."""

import os

import pytest

from adapters.errors import AdapterError
from adapters.images.image import BackendImage, find_image
from harness.backends import BACKENDS

#: Set where containers must not be left out, as in continuous integration.
NEEDED_VARIABLE = "HARNESS_TESTS_NEED_CONTAINERS"


def require_image(backend: str) -> BackendImage:
    """The image of a backend as its code is now."""
    try:
        return find_image(BACKENDS.load(backend)())
    except AdapterError as error:
        reason = f"backend {backend}: {error}"
    if os.environ.get(NEEDED_VARIABLE):
        pytest.fail(reason)
    pytest.skip(reason)
