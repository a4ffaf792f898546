"""GO-SLAM behind the protocol: what the harness knows of it without importing it.

Zhang, Tosi, Mattoccia, Poggi: GO-SLAM: Global Optimization for Consistent 3D Instant Reconstruction. ICCV
2023. It runs unmodified, offline and on a GPU: frames are collected, then its own program works through them.
"""

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

from adapters.adapter import IMAGE_FOLDERS, Adapter, ResourceNeeds
from adapters.backend import BackendInputError, Capabilities, Mode
from adapters.go_slam.installation import why_missing
from adapters.go_slam.options import GoSlamOptions
from adapters.go_slam.weights import check_weights
from adapters.options import default_options, parse_options

#: The commit of upstream that the image has; the one that has ``run.py`` and all configurations.
UPSTREAM_COMMIT = "4340d4c325a711959e13318636492da1749784fd"


def go_slam_capabilities() -> Capabilities:
    """What GO-SLAM can do; its threads race and it takes no seed. There is no pose before the end."""
    return Capabilities(
        name="go-slam",
        version=f"youmi-zym/GO-SLAM {UPSTREAM_COMMIT[:7]}",
        modes=(Mode.RGBD, Mode.MONO),
        deterministic=False,
        live_poses=False,
    )


class GoSlamAdapter(Adapter):
    """GO-SLAM in the modes ``rgbd`` and ``mono``. The options are :class:`GoSlamOptions`."""

    server = "adapters.go_slam.backend:GoSlamBackend"
    image_folder = IMAGE_FOLDERS / "go-slam"
    input_options = ("config", "weights")
    packages = ("pillow", "plyfile", "pyyaml")
    # Cores: upstream's processes take turns on the GPU, which keeps one busy; another compresses frames.
    needs = ResourceNeeds(cores=2, memory_bytes=16 * 1024**3, gpus=1)
    default_options: ClassVar[dict[str, Any]] = default_options(GoSlamOptions)

    def capabilities(self) -> Capabilities:
        """See :func:`go_slam_capabilities`."""
        return go_slam_capabilities()

    def missing(self) -> str | None:
        """Upstream itself, or the package that reads its mesh."""
        if importlib.util.find_spec("plyfile") is None:
            return "the package plyfile is not installed: pip install 'slam-harness[go-slam]'"
        return why_missing()

    def check_options(self, options: dict[str, Any]) -> None:
        """Types and ranges of :class:`GoSlamOptions`."""
        parse_options(GoSlamOptions, options)

    def prepare(self, options: dict[str, Any], cache_directory: Path) -> dict[str, Any]:
        """Checks that files that were given are there, and the weights by their checksum."""
        prepared = super().prepare(options, cache_directory)
        for name in self.input_options:
            if prepared[name]:
                path = Path(prepared[name]).expanduser().absolute()
                if not path.is_file():
                    raise BackendInputError(f"option {name}: there is no file {path}")
                prepared[name] = str(path)
        if prepared["weights"]:
            check_weights(Path(prepared["weights"]), prepared["weights_sha256"])
        return prepared
