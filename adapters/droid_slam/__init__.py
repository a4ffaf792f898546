"""DROID-SLAM (Teed, Deng. NeurIPS 2021): what the harness knows of it without importing it."""

import os
import subprocess
import sys
from typing import Any, ClassVar

from adapters.adapter import IMAGE_FOLDERS, Adapter, ResourceNeeds
from adapters.backend import Capabilities, Mode
from adapters.droid_slam.options import FULL, VO, DroidSlamOptions
from adapters.options import default_options, parse_options

#: The commit that the image is built of, and the variable with which another one is announced.
PINNED_COMMIT = "8016d2b9b72b101a3e9ac804ebf20b4c654dc291"
COMMIT_VARIABLE = "DROID_SLAM_COMMIT"

_IMPORT = "from droid import Droid"
_IMPORT_SECONDS = 60.0


def droid_slam_capabilities() -> Capabilities:
    """What DROID-SLAM can do. Sums on a GPU come in any order; poses are known at the end alone."""
    commit = os.environ.get(COMMIT_VARIABLE, PINNED_COMMIT)
    return Capabilities(
        name="droid-slam",
        version=f"DROID-SLAM {commit[:12]}",
        modes=(Mode.RGBD, Mode.MONO),
        deterministic=False,
        live_poses=False,
    )


class DroidSlamAdapter(Adapter):
    """DROID-SLAM in the modes ``rgbd`` and ``mono``.

    The options are those of :class:`~adapters.droid_slam.options.DroidSlamOptions`.
    """

    server = "adapters.droid_slam.backend:DroidSlamBackend"
    image_folder = IMAGE_FOLDERS / "droid-slam"
    input_options = ("weights",)
    packages = ("torch", "opencv-python-headless")
    needs = ResourceNeeds(cores=2, memory_bytes=12 * 1024**3, gpus=1)
    default_options: ClassVar[dict[str, Any]] = default_options(DroidSlamOptions)
    ablation: ClassVar[dict[str, dict[str, Any]]] = {
        "visual odometry": {"variant": VO},
        "+ bundle adjustment of all keyframes": {"variant": FULL},
    }

    def capabilities(self) -> Capabilities:
        """See :func:`droid_slam_capabilities`."""
        return droid_slam_capabilities()

    def missing(self) -> str | None:
        """Upstream's module, which is no package that pip could install."""
        try:
            command = [sys.executable, "-P", "-c", _IMPORT]
            tried = subprocess.run(command, capture_output=True, timeout=_IMPORT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"importing upstream's module droid took longer than {_IMPORT_SECONDS:.0f} s"
        if tried.returncode == 0:
            return None
        return (
            "upstream's module droid cannot be imported here; it runs in its container: "
            "harness backends build droid-slam"
        )

    def check_options(self, options: dict[str, Any]) -> None:
        """Types and ranges of :class:`~adapters.droid_slam.options.DroidSlamOptions`."""
        parse_options(DroidSlamOptions, options)
