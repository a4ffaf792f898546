"""Reads depth at corners, where it can be trusted."""

import numpy as np
from numpy.typing import NDArray

from adapters.mono_hydra.odometry.options import OdometryOptions

_REACH = 2


def read_depth(
    depth: NDArray[np.float32], pixels: NDArray[np.float32], options: OdometryOptions
) -> NDArray[np.float64]:
    """Depth at corners.

    Corners like to sit on the edge of things, where depth jumps and belongs to either side: such corners get
    none.

    Args:
        depth: float32 [H, W], metres, 0 where unknown.
        pixels: float32 [N, 2], column and row.
        options: Range and largest step.

    Returns:
        float64 [N], metres, NaN where there is no depth to be trusted.
    """
    height, width = depth.shape
    columns, rows = np.rint(pixels).astype(np.intp).T
    offsets = np.arange(-_REACH, _REACH + 1)
    around_rows = np.clip(rows[:, None, None] + offsets[:, None], 0, height - 1)
    around_columns = np.clip(columns[:, None, None] + offsets[None, :], 0, width - 1)
    patches = depth[around_rows, around_columns].reshape(len(pixels), len(offsets) ** 2).astype(np.float64)
    patches[patches <= 0.0] = np.nan
    known = np.isfinite(patches).sum(axis=1)
    filled = np.where(np.isfinite(patches), patches, np.inf)
    nearest = filled.min(axis=1, initial=np.inf)
    farthest = np.where(np.isfinite(patches), patches, 0.0).max(axis=1, initial=0.0)
    # The median of the known values: sorted, infinity last.
    ordered = np.sort(filled, axis=1)
    middle = ordered[np.arange(len(pixels)), np.maximum(known - 1, 0) // 2]
    trusted = (
        (known >= patches.shape[1] // 2)
        & (farthest - nearest <= options.depth_step * middle)
        & (middle >= options.nearest_depth)
        & (middle <= options.farthest_depth)
    )
    return np.where(trusted, middle, np.nan)
