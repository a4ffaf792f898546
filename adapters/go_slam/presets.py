"""Presets: which of upstream's configurations to begin from, and the images its network gets."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from adapters.backend import CameraIntrinsics, Mode

GENERIC = "generic"
SCANNET = "scannet"

#: Upstream's configuration to begin from, below its home. Both presets take that for ScanNet: it has the
#: loader that reads numbered files.
BASE_CONFIGURATIONS = {
    Mode.RGBD: "configs/ScanNet/scannet.yaml",
    Mode.MONO: "configs/ScanNet/scannet_mono.yaml",
}

#: Keyframes that upstream collects before it begins (its warm-up): with fewer frames it never has a pose.
LEAST_FRAMES = {Mode.RGBD: 8, Mode.MONO: 12}

#: Units of the depth images per metre, as ScanNet has them; farther than 65.535 m cannot be written.
DEPTH_SCALE = 1000.0

_AREA = 240 * 320
_STRIDE = 8
# The network's correlation pyramid has five levels on an eighth of the image; the last must not be empty.
_SHORTEST_SIDE = 128


@dataclass(frozen=True)
class NetworkImage:
    """What upstream makes of every image: it is resized, then its borders are cut off.

    Attributes:
        height: Rows after cutting, a multiple of 8.
        width: Columns after cutting, a multiple of 8.
        edge_rows: Rows cut off at the top and at the bottom.
        edge_columns: Columns cut off at the left and at the right.
    """

    height: int
    width: int
    edge_rows: int = 0
    edge_columns: int = 0


def scannet_image(camera: CameraIntrinsics) -> NetworkImage:
    """240×320, cut out of 256×352, whatever the camera: ScanNet's images have black borders.

    At other ratios of width to height than ScanNet's the image is stretched, and the focal lengths with it.
    """
    return NetworkImage(240, 320, edge_rows=8, edge_columns=16)


def generic_image(camera: CameraIntrinsics) -> NetworkImage:
    """The whole image at the area of 240×320, its ratio kept as nearly as multiples of 8 allow."""
    scale = sqrt(_AREA / (camera.width * camera.height))
    height, width = (
        max(_SHORTEST_SIDE, _STRIDE * round(side * scale / _STRIDE)) for side in (camera.height, camera.width)
    )
    return NetworkImage(height, width)


#: What the network gets, by preset.
PRESETS: dict[str, Callable[[CameraIntrinsics], NetworkImage]] = {
    GENERIC: generic_image,
    SCANNET: scannet_image,
}
