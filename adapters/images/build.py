"""Building the image of a backend, with its progress told and its log kept."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from adapters.adapter import Adapter
from adapters.images.context import BuildContext, ImageError, build_context
from adapters.images.image import BACKEND_LABEL, BackendImage, find_image, image_reference
from adapters.runtimes.engine import engine, engine_errors
from adapters.runtimes.runtime import last_lines

#: Called with the step that is being done, how many are done and how many there are.
StepProgress = Callable[[str, int, int], None]

_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)", re.IGNORECASE)


@dataclass(frozen=True)
class BuildSettings:
    """What a site may change of a build.

    Attributes:
        base_image: Instead of the pinned base that the Dockerfile names.
        wheels: A folder of wheels; with it pip asks no index.
        network: Of the steps of the build, as in ``docker build --network``.
        no_cache: Do every step again.
        arguments: Further build arguments, by name.
    """

    base_image: str | None = None
    wheels: Path | None = None
    network: str | None = None
    no_cache: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)


def build_image(
    adapter: Adapter, settings: BuildSettings, log_file: Path, progress: StepProgress
) -> BackendImage:
    """Build the image of a backend.

    Args:
        adapter: Whose.
        settings: What this site needs.
        log_file: Where everything the build prints goes.
        progress: Told about every step.

    Raises:
        ImageError: It cannot be built; the message has the last lines of the log.
        EngineError: There is no engine, or it went away.
    """
    reference = image_reference(adapter)
    context = build_context(adapter)
    client = engine().client
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as tar, log_file.open("w", encoding="utf-8") as log:
        _write_context(context, settings.wheels, tar)
        with engine_errors(f"cannot build {reference}"):
            answers = client.api.build(
                fileobj=tar,
                custom_context=True,
                tag=reference,
                buildargs=_build_arguments(settings),
                network_mode=settings.network,
                nocache=settings.no_cache,
                labels={BACKEND_LABEL: adapter.capabilities().name},
                rm=True,
                forcerm=True,
                decode=True,
            )
            failure = _follow(answers, log, progress)
    if failure is not None:
        words = last_lines(log_file, 8)
        raise ImageError(f"{reference} could not be built: {failure}; the log ends: {words} ({log_file})")
    return find_image(adapter, reference)


def _write_context(context: BuildContext, wheels: Path | None, tar: Any) -> None:
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise ImageError(f"there are no wheels in {wheels}")
    context.write_tar(tar, wheels)
    tar.seek(0)


def _build_arguments(settings: BuildSettings) -> dict[str, str]:
    arguments = dict(settings.arguments)
    if settings.base_image is not None:
        arguments["BASE_IMAGE"] = settings.base_image
    if settings.wheels is not None:
        arguments["PIP_NO_INDEX"] = "1"
    return arguments


def _follow(answers: Any, log: TextIO, progress: StepProgress) -> str | None:
    """Hand on what the engine says of the build; why it failed, or None."""
    done, steps, what = 0, 1, "sending the context"
    progress(what, done, steps)
    for answer in answers:
        if "error" in answer:
            message = str(answer["error"]).strip()
            log.write(message + "\n")
            return message
        line = answer.get("stream") or answer.get("status") or ""
        log.write(line if line.endswith("\n") else line + "\n" if line else "")
        log.flush()
        step = _STEP.match(line.strip())
        if step:
            done, steps, what = int(step[1]) - 1, int(step[2]), step[3]
            progress(what, done, steps)
    progress(what, steps, steps)
    return None
