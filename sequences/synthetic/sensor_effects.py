"""What sensors and networks do to ideal images: exposure, noise, faults of depth and labels, outages."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sequences.model import LABEL_UNKNOWN, Intrinsics
from sequences.synthetic.labels import Nyu40
from sequences.synthetic.parameters import SensorEffects
from sequences.synthetic.randomness import Part, generator
from sequences.synthetic.render import Rendering

_GAMMA = 2.2
_DEPTH_SENSOR_WIDTH = 640
# Cosine between ray and surface below which the pattern is smeared beyond recognition.
_GRAZING_COSINE = 0.14
# How much of a slow wave of the depth scale passes by during a sequence: enough to reach one extreme at
# least, and not a whole one, or start and end would agree.
_SCALE_WAVES = 0.75
# Relative noise turns no depth into less than this part of it.
_LEAST_DEPTH_FACTOR = 0.1
# Standard deviation of the Gaussian that blobs of wrong labels are cut from, part of the image's width.
_BLOB_SIZE = 0.02
# What an image looks like without light: a level above zero, and noise.
_DARK_LEVEL = 12.0
_DARK_NOISE = 2.5


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


def network_depth(
    depth: NDArray[np.float32], effects: SensorEffects, seed: int, index: int, part: float
) -> NDArray[np.float32]:
    """Depth with the faults of a network: a wrong scale, which may drift, and noise alike among neighbours.

    Args:
        depth: float32 [H, W], metres, 0 where unknown.
        effects: Scale and relative noise.
        seed: Of the sequence.
        index: Of the frame.
        part: Of the sequence that has passed, 0 to 1.
    """
    factor = np.float32(depth_scale(effects, seed, part))
    if effects.depth_relative_noise > 0:
        rng = generator(seed, Part.DEPTH_NETWORK, index)
        noise = _smooth_noise(rng, depth.shape, effects.depth_relative_noise_px)
        relative = 1 + np.float32(effects.depth_relative_noise) * noise
        return depth * (factor * np.maximum(relative, np.float32(_LEAST_DEPTH_FACTOR)))
    return depth if factor == 1 else depth * factor


def depth_scale(effects: SensorEffects, seed: int, part: float) -> float:
    """What depth is multiplied with when a part of the sequence, 0 to 1, has passed."""
    if effects.depth_scale_drift == 0:
        return effects.depth_scale
    shift = generator(seed, Part.DEPTH_SCALE).uniform()
    wave = float(np.sin(2 * np.pi * (_SCALE_WAVES * part + shift)))
    return effects.depth_scale * (1 + effects.depth_scale_drift * wave)


def label_image(
    labels: NDArray[np.uint8], effects: SensorEffects, seed: int, index: int
) -> NDArray[np.uint8]:
    """Labels with blobs of wrong ones, uint8 [H, W].

    Args:
        labels: uint8 [H, W], right.
        effects: The share of wrong labels.
        seed: Of the sequence.
        index: Of the frame.
    """
    if effects.label_noise == 0:
        return labels
    rng = generator(seed, Part.LABELS, index)
    field = _smooth_noise(rng, labels.shape, _BLOB_SIZE * labels.shape[1])
    wrong = field < np.quantile(field, effects.label_noise)
    count, blobs = cv2.connectedComponents(wrong.astype(np.uint8))
    classes = np.unique(labels)
    if len(classes) < 2:
        classes = np.array(list(Nyu40), np.uint8)
    # Two classes for every blob: the second one is for those of its pixels of which the first is right.
    choices = rng.integers(len(classes), size=count)
    others = (choices + rng.integers(1, len(classes), size=count)) % len(classes)
    first, second = classes[choices][blobs], classes[others][blobs]
    return np.where(wrong, np.where(first == labels, second, first), labels)


def is_lost(effects: SensorEffects, time: float) -> bool:
    """Whether image and depth are unusable at a time in seconds after the first image."""
    return any(outage.covers(time) for outage in effects.outages)


def lost_images(
    size: tuple[int, int], effects: SensorEffects, seed: int, index: int, time: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """What image, depth and labels are during an outage: noise in the dark, nothing, and unknown.

    Args:
        size: Rows and columns.
        effects: Exposure drift and noise.
        seed: Of the sequence.
        index: Of the frame.
        time: Of the frame, seconds after the first.

    Returns:
        uint8 [H, W, 3], float32 [H, W] of zeros, uint8 [H, W] of 255.
    """
    noisy = replace(effects, image_noise=max(effects.image_noise, _DARK_NOISE))
    dark = np.full((*size, 3), _DARK_LEVEL, np.float32)
    image = camera_image(dark, noisy, seed, index, time)
    return image, np.zeros(size, np.float32), np.full(size, LABEL_UNKNOWN, np.uint8)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> NDArray[np.float32]:
    """Normal noise of unit variance, smoothed with a Gaussian of ``spread`` pixels, float32 [H, W]."""
    reach = int(np.ceil(3 * spread))
    # Wider than needed, so that the border is as smooth as the rest.
    white = rng.standard_normal([side + 2 * reach for side in shape], dtype=np.float32)
    if reach == 0:
        return white
    kernel = cv2.getGaussianKernel(2 * reach + 1, spread, cv2.CV_32F)
    smooth = cv2.sepFilter2D(white, cv2.CV_32F, kernel, kernel)[reach:-reach, reach:-reach]
    return smooth / np.float32(np.sum(kernel**2))
