"""ScanNet scenes, as ``.sens`` files and as the images, poses and matrices exported from those.

The data set is that of Dai et al., "ScanNet: Richly-annotated 3D Reconstructions of Indoor Scenes", CVPR
2017.
"""

from sequences.scannet.reader import ScanNetParameters, ScanNetSequence

__all__ = ["ScanNetParameters", "ScanNetSequence"]
