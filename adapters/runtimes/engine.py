"""The container engine of this machine: Docker, or Podman through its compatible socket."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError
from adapters.runtimes.ownership import owner_is_gone

#: Everything the harness starts bears these.
OWNER_LABEL = "slam-harness.owner"
TRIAL_LABEL = "slam-harness.trial"

_SDK_TIMEOUT_S = 60
_ANSWER_TIMEOUT_S = 5
_HOST_VARIABLE = "DOCKER_HOST"
_LOCAL = "unix://"


class EngineError(AdapterError):
    """The container engine cannot be reached, or cannot do what it is asked for."""


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Attributes:
        address: Its Unix socket, as in ``unix:///var/run/docker.sock``.
        client: A ``docker.DockerClient``.
        version: What it says of itself.
        rootless: Root inside its containers is the engine's own user outside.
    """

    address: str
    client: Any
    version: str
    rootless: bool


@cache
def engine() -> Engine:
    """The engine that ``DOCKER_HOST`` names, or the first of the usual sockets that exists.

    What an earlier harness left behind because it was killed is removed on the way.

    Raises:
        EngineError: There is none, or it is not on this machine; the message says what to do.
    """
    try:
        import docker
    except ImportError as error:
        raise EngineError("the package docker is not installed: pip install docker") from error
    from docker.errors import DockerException

    address = engine_address()
    if not address.startswith(_LOCAL):
        raise EngineError(
            f"{_HOST_VARIABLE} is {address}: frames pass through a Unix socket, so the engine must be on "
            "this machine; unset it, or set it to unix:///path/to/its/socket"
        )
    try:
        # One that accepts and does not answer must not hold up a command for a minute.
        client = docker.DockerClient(base_url=address, version="auto", timeout=_ANSWER_TIMEOUT_S)
        client.api.timeout = _SDK_TIMEOUT_S
    except DockerException as error:
        raise EngineError(_why_no_answer(address.removeprefix(_LOCAL), error)) from error
    with engine_errors("looking for containers that an earlier harness left"):
        remove_orphans(client)
    with engine_errors("asking the container engine what it is"):
        security = client.info().get("SecurityOptions") or []
        version = str(client.version().get("Version"))
    return Engine(address, client, version, any("name=rootless" in option for option in security))


def remove_orphans(client: Any) -> int:
    """Remove containers whose harness is gone; how many there were."""
    from docker.errors import APIError

    removed = 0
    for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True):
        if owner_is_gone(container.labels.get(OWNER_LABEL, "")):
            try:
                container.remove(force=True, v=True)
                removed += 1
            except APIError:
                continue  # another harness is removing it
    return removed


def require_answer(address: str) -> None:
    """Ask an engine on a new connection: one that is being stopped serves those it has, and takes no other.

    Raises:
        EngineError: It does not answer.
    """
    import docker

    with engine_errors("asking whether the container engine is there"):
        client = docker.DockerClient(base_url=address, version="auto", timeout=_ANSWER_TIMEOUT_S)
        client.close()


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn whatever the engine raises into an :class:`EngineError` that says what was being done."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise EngineError(f"{doing}: {error.explanation or error}") from error
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"{doing}: the container engine does not answer ({error})") from error


def engine_address() -> str:
    """Where the engine is, or would be, as in ``unix:///var/run/docker.sock``."""
    named = os.environ.get(_HOST_VARIABLE)
    if named:
        return named
    sockets = [Path("/var/run/docker.sock"), *_podman_sockets()]
    found = [path for path in sockets if path.exists()]
    return f"{_LOCAL}{(found or sockets)[0]}"


def _podman_sockets() -> list[Path]:
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR")
    own = [Path(runtime_directory) / "podman/podman.sock"] if runtime_directory else []
    return [*own, Path("/run/podman/podman.sock")]


def _why_no_answer(path: str, error: Exception) -> str:
    if not Path(path).exists():
        return (
            f"no container engine: {path} does not exist; install and start Docker (apt install docker.io) "
            f"or Podman (systemctl --user start podman.socket), or set {_HOST_VARIABLE}"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return (
            f"this user may not use the container engine at {path}: sudo usermod -aG docker $USER, "
            "then log in again"
        )
    return f"the container engine at {path} does not answer: {error}"
