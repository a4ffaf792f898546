"""What real sensors do to ideal images: exposure, noise, and the faults of structured-light depth."""

import numpy as np
from numpy.typing import NDArray

from sequences.model import Intrinsics
from sequences.synthetic.parameters import SensorEffects
from sequences.synthetic.randomness import Part, generator
from sequences.synthetic.render import Rendering

_GAMMA = 2.2
_DEPTH_SENSOR_WIDTH = 640
# Cosine between ray and surface below which the pattern is smeared beyond recognition.
_GRAZING_COSINE = 0.14


def exposure_factor(effects: SensorEffects, seed: int, time: float) -> float:
    """How much brighter than ideal an image is at a time in seconds, as a factor on 8-bit values.

    The exposure drifts with three slow sine waves, so that it never jumps.
    """
    if effects.exposure_drift_stops == 0:
        return 1.0
    rng = generator(seed, Part.EXPOSURE)
    periods, shifts = rng.uniform(2.5, 12.0, 3), rng.uniform(0, 2 * np.pi, 3)
    wave = float(np.mean(np.sin(2 * np.pi * time / periods + shifts)))
    return float(2 ** (effects.exposure_drift_stops * wave / _GAMMA))


def camera_image(
    rgb: NDArray[np.float32], effects: SensorEffects, seed: int, index: int, time: float
) -> NDArray[np.uint8]:
    """An 8-bit image from ideal colours.

    Args:
        rgb: float32 [H, W, 3], 0 to 255, already averaged over the exposure.
        effects: Exposure drift and noise.
        seed: Of the sequence.
        index: Of the frame.
        time: Of the frame, seconds after the first.
    """
    image = rgb * np.float32(exposure_factor(effects, seed, time))
    if effects.image_noise > 0:
        rng = generator(seed, Part.IMAGE_NOISE, index)
        # Shot noise grows with the root of the light; half of the variance at mid grey is read noise.
        spread = np.sqrt(0.5 + 0.5 * np.clip(image, 0, 255) / 128) * np.float32(effects.image_noise)
        image = image + spread * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def depth_image(
    rendering: Rendering, intrinsics: Intrinsics, effects: SensorEffects, seed: int, index: int
) -> NDArray[np.float32]:
    """Depth as a structured-light sensor measures it, float32 [H, W], metres, 0 where unknown.

    The sensor measures disparity ``d = f b / z``; its noise and its steps are even in disparity, so both
    grow with the square of depth (Khoshelham and Oude Elberink, "Accuracy and resolution of Kinect depth
    data", 2012, sections 3 and 5). The place a pixel is read from is uncertain too (Handa et al., "A
    benchmark for RGB-D visual odometry, 3D reconstruction and SLAM", 2014, section on depth noise).
    Disparities are those of a sensor 640 pixels wide, whatever the size of the image.
    """
    rng = generator(seed, Part.DEPTH, index)
    focal_baseline = intrinsics.fx * _DEPTH_SENSOR_WIDTH / intrinsics.width * effects.depth_baseline_m
    exact = rendering.depth
    depth = _read_beside(rng, exact, effects.depth_lateral_px) if effects.depth_lateral_px > 0 else exact
    known = depth > 0
    disparity = np.where(known, np.float32(focal_baseline) / np.where(known, depth, 1), np.float32(0))
    if effects.depth_noise_px > 0:
        noise = rng.standard_normal(depth.shape, dtype=np.float32)
        disparity = disparity + np.float32(effects.depth_noise_px) * noise
    if effects.depth_step_px > 0:
        step = np.float32(effects.depth_step_px)
        disparity = np.rint(disparity / step) * step
    if effects.depth_noise_px > 0 or effects.depth_step_px > 0:
        known &= disparity > 0
        depth = np.where(known, np.float32(focal_baseline) / np.where(known, disparity, 1), np.float32(0))
    if effects.depth_holes:
        lost = _in_projector_shadow(exact, focal_baseline, intrinsics.width)
        lost |= rendering.cosine < _GRAZING_COSINE * rng.uniform(0.6, 1.4, exact.shape)
        lost |= rendering.shining | (depth < effects.depth_minimum_m) | (depth > effects.depth_maximum_m)
        depth = np.where(lost, np.float32(0), depth)
    return depth.astype(np.float32)


def _read_beside(rng: np.random.Generator, depth: NDArray[np.float32], spread: float) -> NDArray[np.float32]:
    """Each pixel read from a place a little beside it, which frays edges."""
    height, width = depth.shape
    shift = np.rint(rng.standard_normal((2, height, width), dtype=np.float32) * np.float32(spread)).astype(
        np.int64
    )
    rows = np.clip(np.arange(height)[:, None] + shift[0], 0, height - 1)
    columns = np.clip(np.arange(width)[None, :] + shift[1], 0, width - 1)
    return depth[rows, columns]


def _in_projector_shadow(depth: NDArray[np.float32], focal_baseline: float, width: int) -> NDArray[np.bool_]:
    """Pixels that the camera sees but the projector at its left does not, bool [H, W].

    Going right along a row, the projector's column must grow; where it falls back, something nearer that
    was passed before stands between the projector and the surface.
    """
    scale = np.float32(focal_baseline * width / _DEPTH_SENSOR_WIDTH)
    disparity = np.where(depth > 0, scale / np.where(depth > 0, depth, 1), np.float32(0))
    projector_column = np.arange(depth.shape[1], dtype=np.float32) + disparity
    furthest = np.maximum.accumulate(projector_column, axis=1)
    # Half a pixel of leave, or every slanted surface would have holes.
    return projector_column < furthest - np.float32(0.5)
