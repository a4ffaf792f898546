"""Frames whose images are files of their own: colour, depth and labels, one path each."""

from dataclasses import dataclass
from pathlib import Path

from sequences.images import read_depth, read_labels, read_rgb
from sequences.lens import LensCorrection
from sequences.recording import FrameImages


@dataclass(frozen=True)
class FrameFiles:
    """The images of a recording; a :class:`~sequences.recording.FrameSource`.

    Attributes:
        rgb: A colour (or grey) image for every frame.
        size: Width and height of all of them, pixels.
        depth: A depth image for every frame; None without depth.
        depth_scale: Value of the depth images at one metre; needed with ``depth``.
        depth_unknown: Values of the depth images that mean "unknown", beside 0.
        labels: A label image for every frame; None without labels.
        lens: Removes lens distortion from all of them; None without distortion.
    """

    rgb: tuple[Path, ...]
    size: tuple[int, int]
    depth: tuple[Path, ...] | None = None
    depth_scale: float | None = None
    depth_unknown: tuple[int, ...] = ()
    labels: tuple[Path, ...] | None = None
    lens: LensCorrection | None = None

    def read(self, index: int) -> FrameImages:
        """Read the images of one frame.

        Raises:
            DataFileError: One of them is missing, truncated, of the wrong kind or of another size.
        """
        lens = self.lens
        rgb = read_rgb(self.rgb[index], index, self.size)
        depth = labels = None
        if self.depth is not None and self.depth_scale is not None:
            depth = read_depth(self.depth[index], index, self.size, self.depth_scale, self.depth_unknown)
            depth = lens.depth(depth) if lens else depth
        if self.labels is not None:
            labels = read_labels(self.labels[index], index, self.size)
            labels = lens.labels(labels) if lens else labels
        return FrameImages(lens.colour(rgb) if lens else rgb, depth, labels)
