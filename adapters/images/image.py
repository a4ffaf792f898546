"""Whether the image of a backend is there, and which one it is."""

from dataclasses import dataclass

from adapters.adapter import Adapter
from adapters.errors import BackendUnavailableError
from adapters.images.context import ImageError, build_context
from adapters.runtimes.engine import engine, engine_errors

_REPOSITORY = "slam-harness"
_TAG_DIGITS = 12
_DIGEST = "sha256:"
#: Which backend an image was built for.
BACKEND_LABEL = "slam-harness.backend"


@dataclass(frozen=True)
class BackendImage:
    """An image that the engine has.

    Attributes:
        reference: Its name, or what it was asked for by when it has none.
        digest: Its own digest, which no other image has, as in ``sha256:...``.
        repository_digests: The names under which registries have it.
        size_bytes: Of all its layers.
    """

    reference: str
    digest: str
    repository_digests: tuple[str, ...]
    size_bytes: int


def image_reference(adapter: Adapter) -> str:
    """The name of a backend's own image: by the digest of what it is built from.

    So an image of other code is never started by mistake, and two checkouts keep theirs apart.

    Raises:
        ImageError: The backend has none.
    """
    name = adapter.capabilities().name
    return f"{_REPOSITORY}/{name}:{build_context(adapter).digest()[:_TAG_DIGITS]}"


class OutdatedImageError(BackendUnavailableError):
    """There are images of the backend, none of them of the code that the harness has now."""


def find_image(adapter: Adapter, reference: str | None = None) -> BackendImage:
    """Find the image that a backend is started from.

    Args:
        adapter: The backend.
        reference: Name or digest of an image to use instead of its own.

    Raises:
        BackendUnavailableError: It is not there; the message has the command that makes it.
        EngineError: There is no engine to ask.
    """
    from docker.errors import ImageNotFound

    name = adapter.capabilities().name
    try:
        wanted = reference or image_reference(adapter)
    except ImageError as error:
        raise BackendUnavailableError(str(error)) from error
    client = engine().client
    with engine_errors(f"looking for image {wanted}"):
        try:
            image = client.images.get(wanted)
        except ImageNotFound:
            others = [] if reference else client.images.list(f"{_REPOSITORY}/{name}")
            kind = OutdatedImageError if others else BackendUnavailableError
            raise kind(_not_there(name, wanted, reference, bool(others))) from None
    built_for = image.labels.get(BACKEND_LABEL, name)
    if built_for != name:
        raise BackendUnavailableError(f"image {wanted} is that of backend '{built_for}'")
    name = image.tags[0] if wanted.startswith(_DIGEST) and image.tags else wanted
    return BackendImage(
        name, image.id, tuple(image.attrs.get("RepoDigests") or ()), int(image.attrs.get("Size", 0))
    )


def _not_there(name: str, wanted: str, reference: str | None, others: bool) -> str:
    if reference and reference.startswith(_DIGEST):
        return (
            f"the image that the experiment was planned with, {wanted}, is no longer there; load it again "
            "and continue with --resume DIR --retry-failed, or begin a new experiment"
        )
    if reference:
        return f"the engine has no image {wanted}; pull it (docker pull {wanted}) or build it"
    build = f"harness backends build {name}"
    if others:
        return f"its image was built from other code than this harness has: {build}"
    return f"its image has not been built: {build}"
