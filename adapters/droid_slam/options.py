"""What a user may set of DROID-SLAM: a preset, any single parameter of it, weights, variant, map."""

from dataclasses import dataclass, fields, replace

from adapters.backend import Mode
from adapters.droid_slam.presets import DEFAULT_PRESET, PRESETS, Parameters

#: Front end, bundle adjustment of all keyframes, filler.
FULL = "full"
#: Front end and filler: visual odometry.
VO = "vo"

#: The value of a parameter that is left to the preset. None of them can be negative.
FROM_PRESET = -1
#: The first optimisation looks back this many keyframes.
_LEAST_WARMUP = 4


@dataclass(frozen=True)
class DroidSlamOptions:
    """The options; parameters of :class:`~adapters.droid_slam.presets.Parameters` are -1 for the preset's.

    Attributes:
        preset: ``eth3d`` (published for RGB-D; on upstream's word a GPU with 24 GB), ``tum`` and ``euroc``
            (monocular; 11 GB) or ``scannet`` (both modes).
        variant: ``full``, or ``vo`` without the bundle adjustment of all keyframes at the end.
        weights: Upstream's ``droid.pth``; empty for the file that the image was built with.
        weights_sha256: What that file must have; needed with ``weights``.
        write_map: Whether the keyframes' depth is written as a mesh.
        map_tolerance: Depth on which two keyframes must agree for the map, in the unit of the trajectory.
        frame_memory_mib: Scaled frames are kept for the filler, in memory up to this; the rest goes into a
            file in the output directory, which is removed at the end.
        image_pixels: See the parameters, as all that follow.
    """

    preset: str = DEFAULT_PRESET
    variant: str = FULL
    weights: str = ""
    weights_sha256: str = ""
    write_map: bool = True
    map_tolerance: float = 0.005
    frame_memory_mib: int = 4096
    image_pixels: int = FROM_PRESET
    buffer: int = FROM_PRESET
    filter_thresh: float = float(FROM_PRESET)
    warmup: int = FROM_PRESET
    keyframe_thresh: float = float(FROM_PRESET)
    frontend_thresh: float = float(FROM_PRESET)
    frontend_window: int = FROM_PRESET
    frontend_radius: int = FROM_PRESET
    frontend_nms: int = FROM_PRESET
    backend_thresh: float = float(FROM_PRESET)
    backend_radius: int = FROM_PRESET
    backend_nms: int = FROM_PRESET
    beta: float = float(FROM_PRESET)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got '{self.preset}'")
        if self.variant not in (FULL, VO):
            raise ValueError(f"variant must be {FULL} or {VO}, got '{self.variant}'")
        self._check_weights()
        if self.map_tolerance <= 0.0:
            raise ValueError(f"map_tolerance must be above 0, got {self.map_tolerance}")
        if self.frame_memory_mib < 0:
            raise ValueError(f"frame_memory_mib must not be negative, got {self.frame_memory_mib}")
        for mode in Mode:
            _check_parameters(self.parameters(mode))

    def parameters(self, mode: Mode) -> Parameters:
        """The preset's parameters for a mode, with those that the user set in their place."""
        chosen = {field.name: getattr(self, field.name) for field in fields(Parameters)}
        return replace(
            PRESETS[self.preset][mode],
            **{name: value for name, value in chosen.items() if value != FROM_PRESET},
        )

    def _check_weights(self) -> None:
        if self.weights and not self.weights_sha256:
            raise ValueError(
                "weights_sha256 is missing: weights are used when their checksum is the one expected; "
                f"'sha256sum {self.weights}' prints it"
            )
        if self.weights_sha256 and not self.weights:
            raise ValueError("weights_sha256 is given without weights")
        digits = set("0123456789abcdef")
        if self.weights_sha256 and (len(self.weights_sha256) != 64 or set(self.weights_sha256) - digits):
            raise ValueError(f"weights_sha256 must be 64 digits 0-9 a-f, got '{self.weights_sha256}'")


def _check_parameters(parameters: Parameters) -> None:
    for name in ("filter_thresh", "keyframe_thresh", "frontend_thresh", "backend_thresh"):
        if not getattr(parameters, name) > 0.0:
            raise ValueError(f"{name} must be above 0, got {getattr(parameters, name)}")
    for name in ("frontend_radius", "frontend_nms", "backend_radius", "backend_nms"):
        if getattr(parameters, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(parameters, name)}")
    for name in ("image_pixels", "frontend_window"):
        if getattr(parameters, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(parameters, name)}")
    if parameters.warmup < _LEAST_WARMUP:
        raise ValueError(f"warmup must be at least {_LEAST_WARMUP}, got {parameters.warmup}")
    if parameters.buffer <= parameters.warmup:
        raise ValueError(
            f"buffer must have room for more than the {parameters.warmup} keyframes of warmup, "
            f"got {parameters.buffer}"
        )
    if not 0.0 <= parameters.beta <= 1.0:
        raise ValueError(f"beta must be from 0 to 1, got {parameters.beta}")
