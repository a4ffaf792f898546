"""Open3D's RGB-D odometry against a growing model: what the harness knows of it without importing Open3D."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from adapters.adapter import Adapter, ResourceNeeds
from adapters.backend import Capabilities, Mode
from adapters.importable import why_not_importable
from adapters.options import default_options, parse_options
from adapters.rgbd_odometry.options import RgbdOdometryOptions

_PACKAGE = "open3d"
_SYSTEM_LIBRARIES = "libgl1 libegl1 libgomp1 libx11-6"


def rgbd_odometry_capabilities() -> Capabilities:
    """What the backend can do; threads add up in any order, so poses of two runs differ by millimetres."""
    try:
        package_version = version(_PACKAGE)
    except PackageNotFoundError:
        package_version = "not installed"
    return Capabilities(
        name="rgbd-odometry", version=f"{_PACKAGE} {package_version}", modes=(Mode.RGBD,), deterministic=False
    )


class RgbdOdometryAdapter(Adapter):
    """Frame-to-model odometry in the mode ``rgbd``; no loop closing.

    The options are those of :class:`~adapters.rgbd_odometry.options.RgbdOdometryOptions`.
    """

    server = "adapters.rgbd_odometry.backend:RgbdOdometryBackend"
    needs = ResourceNeeds(cores=2, memory_bytes=3 * 1024**3)
    default_options = default_options(RgbdOdometryOptions)

    def capabilities(self) -> Capabilities:
        """See :func:`rgbd_odometry_capabilities`."""
        return rgbd_odometry_capabilities()

    def check_options(self, options: dict[str, Any]) -> None:
        """Types and ranges of :class:`~adapters.rgbd_odometry.options.RgbdOdometryOptions`."""
        parse_options(RgbdOdometryOptions, options)

    def missing(self) -> str | None:
        """The package, or the system libraries that it loads."""
        return why_not_importable(_PACKAGE, "open3d", _SYSTEM_LIBRARIES)
