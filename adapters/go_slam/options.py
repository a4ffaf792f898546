"""The options of the GO-SLAM backend."""

import re
from dataclasses import dataclass

from adapters.go_slam.presets import GENERIC, PRESETS

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class GoSlamOptions:
    """What a user may set.

    Attributes:
        preset: ``generic`` (network images made to fit the camera) or ``scannet`` (those of upstream's
            experiments on ScanNet); see :mod:`adapters.go_slam.presets`. Everything else is as upstream's
            configuration for ScanNet has it, for both.
        config: A configuration of upstream's kind to begin from, instead of the one that the preset names. It
            must have upstream's loader for ScanNet, since that is what frames are written for.
        weights: The network's weights (``droid.pth``); empty for those that upstream's configuration names.
        weights_sha256: SHA-256 of the weights, in hexadecimal. Needed with ``weights``; without it, what
            upstream's configuration names is checked.
        scene_half_extent: The map is made inside a cube around the first camera that reaches so far in every
            direction; metres in mode ``rgbd``, upstream's own unit in ``mono``. Poses do not depend on it.
        time_limit_s: Upstream is stopped when it takes longer, seconds. Less than the harness waits for
            ``finish``, which is 600 s unless the experiment says otherwise (``limits: {finish_s: ...}``).
        jpeg_quality: Of the colour images that upstream reads, 1 to 100; colours are not subsampled.
        keep_input: Leave the frames that upstream read where they are; they take about half a megabyte each.
    """

    preset: str = GENERIC
    config: str = ""
    weights: str = ""
    weights_sha256: str = ""
    scene_half_extent: float = 10.0
    time_limit_s: float = 540.0
    jpeg_quality: int = 95
    keep_input: bool = False

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        if self.weights_sha256 and not _SHA256.fullmatch(self.weights_sha256):
            raise ValueError(f"weights_sha256 must be 64 hexadecimal digits, got {self.weights_sha256!r}")
        if self.weights and not self.weights_sha256:
            raise ValueError("weights needs weights_sha256 beside it: the checksum that the file must have")
        if self.scene_half_extent <= 0.0:
            raise ValueError(f"scene_half_extent must be above 0, got {self.scene_half_extent}")
        if self.time_limit_s <= 0.0:
            raise ValueError(f"time_limit_s must be above 0, got {self.time_limit_s}")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be from 1 to 100, got {self.jpeg_quality}")
