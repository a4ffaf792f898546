"""The metric-semantic backend: RGB-D(-inertial) odometry, loop closure, semantic map and 3D scene graph.

The parts are those of Mono-Hydra (Udugama, Vosselman, Nex: Mono-Hydra: Real-time 3D Scene Graph Construction
from Monocular Camera Input with IMU. ISPRS Annals, 2023) and of the systems it stands on; the code is this
project's own, on OpenCV, gtsam, Open3D and spark-dsg. No pose of the data set reaches it.
"""

from typing import Any, ClassVar

from adapters.adapter import IMAGE_FOLDERS, Adapter, ResourceNeeds
from adapters.backend import Capabilities, Mode
from adapters.importable import why_not_importable
from adapters.mono_hydra.options import MonoHydraOptions
from adapters.options import default_options, parse_options

_VERSION = "1"
_EXTRA = "mono-hydra"
_PACKAGES = ("gtsam", "open3d", "spark_dsg", "cv2")
_SYSTEM_LIBRARIES = "libgl1 libegl1 libgomp1 libx11-6"


def mono_hydra_capabilities() -> Capabilities:
    """What the backend can do."""
    return Capabilities(
        name="mono-hydra",
        version=_VERSION,
        modes=(Mode.RGBD,),
        takes_semantics=True,
        takes_imu=True,
        deterministic=True,
    )


class MonoHydraAdapter(Adapter):
    """The mode ``rgbd``, with labels and IMU where there are any.

    The options are those of :class:`~adapters.mono_hydra.options.MonoHydraOptions`.
    """

    server = "adapters.mono_hydra.backend:MonoHydraBackend"
    packages = ("gtsam", "open3d", "spark-dsg", "opencv-python-headless")
    image_folder = IMAGE_FOLDERS / "mono-hydra"
    needs = ResourceNeeds(cores=2, memory_bytes=4 * 1024**3)
    default_options: ClassVar[dict[str, Any]] = default_options(MonoHydraOptions)
    #: Every variant has all parts of those before it.
    ablation: ClassVar[dict[str, dict[str, Any]]] = {
        "odometry only": {
            "loop_closure": False,
            "use_imu": False,
            "temporal_alignment": False,
            "estimate_scale": False,
        },
        "+ loop closure": {"use_imu": False, "temporal_alignment": False, "estimate_scale": False},
        "+ IMU": {"temporal_alignment": False, "estimate_scale": False},
        "+ temporal alignment": {"temporal_alignment": True, "estimate_scale": False},
        "+ scale estimation": {"temporal_alignment": True, "estimate_scale": True},
    }

    def capabilities(self) -> Capabilities:
        """See :func:`mono_hydra_capabilities`."""
        return mono_hydra_capabilities()

    def missing(self) -> str | None:
        """The packages, or the system libraries that they load."""
        for package in _PACKAGES:
            missing = why_not_importable(package, _EXTRA, _SYSTEM_LIBRARIES)
            if missing is not None:
                return missing
        return None

    def check_options(self, options: dict[str, Any]) -> None:
        """Types and ranges of :class:`~adapters.mono_hydra.options.MonoHydraOptions`."""
        parse_options(MonoHydraOptions, options)
