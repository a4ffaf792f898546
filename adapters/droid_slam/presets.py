"""The parameters that DROID-SLAM was published with, by data set.

Thresholds are distances in pixels of the network's grid, an eighth of the image, so the size of the image
belongs to them.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

from adapters.backend import Mode


@dataclass(frozen=True)
class Parameters:
    """What upstream is started with.

    Attributes:
        image_pixels: About how many pixels an image is scaled to, its aspect kept.
        buffer: Keyframes that there is room for; the memory for all of them is taken at the start.
        filter_thresh: Mean optical flow above which a frame becomes a keyframe.
        warmup: Keyframes that the first optimisation waits for. Before that no pose is known.
        keyframe_thresh: Distance to its neighbour below which a keyframe is dropped again.
        frontend_thresh: Largest distance of two keyframes that the front end joins with an edge.
        frontend_window: Latest keyframes that the front end optimises.
        frontend_radius: Neighbours in time that are always joined, in the front end.
        frontend_nms: Edges this near to another edge are left out, in the front end.
        backend_thresh: As ``frontend_thresh``, for the bundle adjustment of all keyframes at the end.
        backend_radius: As ``frontend_radius``, likewise.
        backend_nms: As ``frontend_nms``, likewise.
        beta: Share of the flow with rotation in the distance of two keyframes, from 0 to 1; the rest is the
            flow of the translation alone.
    """

    image_pixels: int
    buffer: int
    filter_thresh: float
    warmup: int
    keyframe_thresh: float
    frontend_thresh: float
    frontend_window: int
    frontend_radius: int
    frontend_nms: int
    backend_thresh: float
    backend_radius: int
    backend_nms: int
    beta: float


# Upstream's evaluation of TUM RGB-D, monocular. It took every second frame, resized to 256×352, and cut off a
# border of 8 and 16 pixels; here every frame is taken that is fed, with its aspect and without the cut.
_TUM = Parameters(
    image_pixels=240 * 320,
    buffer=512,
    filter_thresh=1.75,
    warmup=12,
    keyframe_thresh=2.25,
    frontend_thresh=12.0,
    frontend_window=25,
    frontend_radius=2,
    frontend_nms=1,
    backend_thresh=15.0,
    backend_radius=2,
    backend_nms=3,
    beta=0.6,
)

# Upstream's evaluation of EuRoC. The buffer is upstream's own default.
_EUROC = Parameters(
    image_pixels=320 * 512,
    buffer=512,
    filter_thresh=2.4,
    warmup=15,
    keyframe_thresh=3.5,
    frontend_thresh=17.5,
    frontend_window=20,
    frontend_radius=2,
    frontend_nms=1,
    backend_thresh=24.0,
    backend_radius=2,
    backend_nms=2,
    beta=0.3,
)

# Upstream's evaluation of ETH3D, RGB-D.
_ETH3D = Parameters(
    image_pixels=384 * 512,
    buffer=1024,
    filter_thresh=2.0,
    warmup=8,
    keyframe_thresh=3.5,
    frontend_thresh=16.0,
    frontend_window=16,
    frontend_radius=1,
    frontend_nms=0,
    backend_thresh=22.0,
    backend_radius=2,
    backend_nms=3,
    beta=0.5,
)

# ScanNet in GO-SLAM's configuration (Zhang, Tosi, Mattoccia, Poggi: GO-SLAM: Global Optimization for
# Consistent 3D Instant Reconstruction. ICCV 2023), whose front end is DROID-SLAM's but for how it picks
# edges. The edges of the bundle adjustment of all keyframes are as in GO-SLAM's; the buffer is DROID-SLAM's
# own default.
_SCANNET_RGBD = Parameters(
    image_pixels=240 * 320,
    buffer=512,
    filter_thresh=4.0,
    warmup=8,
    keyframe_thresh=4.0,
    frontend_thresh=16.0,
    frontend_window=25,
    frontend_radius=1,
    frontend_nms=1,
    backend_thresh=25.0,
    backend_radius=1,
    backend_nms=5,
    beta=0.75,
)
_SCANNET_MONO = replace(_SCANNET_RGBD, warmup=12, frontend_window=50)

#: Parameters by name of the preset and mode. Only ScanNet's were published for both modes.
PRESETS = MappingProxyType(
    {
        "tum": {Mode.RGBD: _TUM, Mode.MONO: _TUM},
        "euroc": {Mode.RGBD: _EUROC, Mode.MONO: _EUROC},
        "eth3d": {Mode.RGBD: _ETH3D, Mode.MONO: _ETH3D},
        "scannet": {Mode.RGBD: _SCANNET_RGBD, Mode.MONO: _SCANNET_MONO},
    }
)

#: The one that upstream published for RGB-D, which is what this harness feeds wherever there is depth.
DEFAULT_PRESET = "eth3d"
