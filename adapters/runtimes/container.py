"""Runtime ``docker``: the backend in a container of its own, which sees its frames and nothing else.

No network, no capabilities, no root, a root file system that cannot be written to, limits on memory, cores,
processes and output. What it sees of the machine are the socket it is fed through, the files that its options
name (both read-only), and the directory for its output.
"""

import contextlib
import os
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from adapters.adapter import Adapter
from adapters.backend import StartRequest
from adapters.errors import AdapterError, BackendUnavailableError
from adapters.images.image import find_image
from adapters.runtimes.engine import (
    OWNER_LABEL,
    TRIAL_LABEL,
    EngineError,
    engine,
    engine_address,
    engine_errors,
)
from adapters.runtimes.ownership import hand_over, own_mark
from adapters.runtimes.reaper import Reaper
from adapters.runtimes.running_container import RunningContainer
from adapters.runtimes.runtime import LaunchRequest, RunningBackend, Runtime, calculation_environment

_SOCKET_DIRECTORY = PurePosixPath("/slam-harness/socket")
_OUTPUT_DIRECTORY = PurePosixPath("/slam-harness/output")
_INPUT_DIRECTORY = PurePosixPath("/slam-harness/input")

#: Whom the backend runs as when the harness runs as root: somebody whom no file of the machine belongs to.
_UNPRIVILEGED_ID = 65532
_MOST_PROCESSES = 1024
_OPEN_FILES = 4096
#: The kernel counts these over everything the user runs, in containers and outside.
_USER_PROCESSES = 32768
_TEMPORARY_BYTES = 1024**3
_SHARED_MEMORY_BYTES = 2 * 1024**3
#: The engine keeps this much of what a container prints. The harness's own copy counts as output.
_ENGINE_LOG = {"type": "json-file", "config": {"max-size": "16m", "max-file": "1"}}


class ContainerRuntime(Runtime):
    """Starts the backend's image.

    Args:
        image: The image instead of the adapter's own: a name, or the digest that a plan has fixed.
    """

    name: ClassVar[str] = "docker"

    def __init__(self, image: str | None = None):
        self._image = image

    def unavailable(self, adapter: Adapter) -> str | None:
        """No engine, or no image."""
        try:
            find_image(adapter, self._image)
        except AdapterError as error:
            return str(error)
        return None

    def image_digest(self, adapter: Adapter) -> str | None:
        """The digest of the image that is started."""
        return find_image(adapter, self._image).digest

    def start(self, request: LaunchRequest) -> RunningBackend:
        """Create the container and start it."""
        mark = uuid.uuid4().hex
        # First of all, so that there is no moment in which nobody would remove what is there.
        reaper = Reaper(engine_address(), mark, request.socket_path.parent)
        try:
            return RunningContainer(self._start(request, mark), request, reaper)
        except AdapterError:
            reaper.dismiss()
            raise

    def _start(self, request: LaunchRequest, mark: str) -> Any:
        image = find_image(request.adapter, self._image)
        user = _User.of(engine().rootless)
        request.output_directory.mkdir(parents=True, exist_ok=True)
        for directory in (request.output_directory, request.socket_path.parent):
            user.take(directory)
        settings = container_settings(request, user, mark)
        container = None
        try:
            with engine_errors(f"cannot start image {image.reference}"):
                container = engine().client.containers.create(image.digest, **settings)
                container.start()
        except EngineError as error:
            if container is not None:
                with contextlib.suppress(EngineError), engine_errors("removing what did not start"):
                    container.remove(force=True)
            raise BackendUnavailableError(_with_advice(str(error), request)) from error
        return container

    def describe(self, adapter: Adapter) -> dict[str, Any]:
        """The image by name and digest, and the engine that started it."""
        image = find_image(adapter, self._image)
        return {
            "runtime": self.name,
            "image": image.reference,
            "image_digest": image.digest,
            "image_repository_digests": list(image.repository_digests),
            "engine": engine().version,
        }

    def as_seen_inside(self, request: StartRequest, adapter: Adapter) -> StartRequest:
        """The same request with the paths under which the container has them."""
        inside = {
            name: str(_inside(name, path)) for name, path in _input_files(adapter, request.options).items()
        }
        return replace(request, options=request.options | inside, output_directory=Path(_OUTPUT_DIRECTORY))


@dataclass(frozen=True)
class _User:
    """Whom the backend runs as inside, and whom its files belong to outside."""

    uid: int
    gid: int
    may_give_away: bool

    @classmethod
    def of(cls, rootless: bool) -> "_User":
        if rootless:
            # Outside this is the user of engine and harness, and nobody else can write to their files.
            return cls(0, 0, may_give_away=False)
        if os.geteuid() == 0:
            return cls(_UNPRIVILEGED_ID, _UNPRIVILEGED_ID, may_give_away=True)
        return cls(os.geteuid(), os.getegid(), may_give_away=False)

    def take(self, directory: Path) -> None:
        """Have a directory of the harness belong to the backend."""
        if self.may_give_away:
            hand_over(directory, self.uid, self.gid)

    def require_readable(self, name: str, path: Path) -> None:
        """Refuse an input that the backend could not read.

        Raises:
            BackendUnavailableError: Says how it can be made readable.
        """
        needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        if self.may_give_away and path.stat().st_mode & needed != needed:
            raise BackendUnavailableError(
                f"option {name}: {path} can be read by root alone, and no container runs as root: "
                f"chmod -R o+rX {path}"
            )


def container_settings(request: LaunchRequest, user: _User, mark: str) -> dict[str, Any]:
    """Everything the engine is told of a container, as arguments of ``containers.create``."""
    from docker.types import DeviceRequest, Ulimit

    adapter = request.adapter
    settings: dict[str, Any] = {
        "command": [adapter.server, "--endpoint", f"ipc://{_SOCKET_DIRECTORY / request.socket_path.name}"],
        "labels": {OWNER_LABEL: own_mark(), TRIAL_LABEL: mark},
        "environment": _environment(adapter.needs.cores),
        "mounts": _mounts(request, user),
        "working_dir": str(_OUTPUT_DIRECTORY),
        "user": f"{user.uid}:{user.gid}",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        # The same figure twice: no swap beside the memory.
        "mem_limit": request.memory_limit_bytes,
        "memswap_limit": request.memory_limit_bytes,
        "nano_cpus": round(min(adapter.needs.cores, os.cpu_count() or 1) * 1e9),
        "pids_limit": _MOST_PROCESSES,
        "tmpfs": {"/tmp": f"size={_TEMPORARY_BYTES},mode=1777,nosuid,nodev"},
        "shm_size": _SHARED_MEMORY_BYTES,
        "ulimits": [
            # One file alone cannot run away between two looks at the output, and a crash leaves no core.
            Ulimit(name="fsize", soft=request.output_limit_bytes, hard=request.output_limit_bytes),
            Ulimit(name="core", soft=0, hard=0),
            # Of which engines have defaults of their own, which not every machine lets them set.
            Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES),
            Ulimit(name="nproc", soft=_USER_PROCESSES, hard=_USER_PROCESSES),
        ],
        "log_config": _ENGINE_LOG,
    }
    if request.gpus:
        settings["device_requests"] = [DeviceRequest(device_ids=list(request.gpus), capabilities=[["gpu"]])]
    return settings


def _environment(cores: int) -> dict[str, str]:
    return calculation_environment() | {
        "HOME": "/tmp",
        # The user has no name in the image, and libraries ask for one.
        "USER": "slam",
        "OMP_NUM_THREADS": str(cores),
        # See runtime ``process``.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
    }


def _mounts(request: LaunchRequest, user: _User) -> list[Any]:
    from docker.types import Mount

    def mount(target: PurePosixPath, source: Path, read_only: bool) -> Any:
        return Mount(str(target), str(source.resolve()), type="bind", read_only=read_only)

    mounts = [
        # Connecting to a socket writes nothing to the file system that it lies in.
        mount(_SOCKET_DIRECTORY, request.socket_path.parent, read_only=True),
        mount(_OUTPUT_DIRECTORY, request.output_directory, read_only=False),
    ]
    for name, path in _input_files(request.adapter, request.options).items():
        user.require_readable(name, path)
        mounts.append(mount(_inside(name, path), path, read_only=True))
    return mounts


def _input_files(adapter: Adapter, options: Mapping[str, Any]) -> dict[str, Path]:
    """What the options name on this machine, by option; the backend itself complains of what is not there."""
    given = {name: str(options[name]) for name in adapter.input_options if options.get(name)}
    paths = {name: Path(value).expanduser().absolute() for name, value in given.items()}
    return {name: path for name, path in paths.items() if path.exists()}


def _inside(option: str, path: Path) -> PurePosixPath:
    """Where the container has an input; its own name is kept, since programs look at endings."""
    return _INPUT_DIRECTORY / option / path.name


def _with_advice(message: str, request: LaunchRequest) -> str:
    if request.gpus:
        return f"{message}; GPUs are handed over by the NVIDIA Container Toolkit, which must be installed"
    return message
