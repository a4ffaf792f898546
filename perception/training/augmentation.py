"""Random changes of a view: crop, flip, resize with intrinsics that follow, and what cameras do to colours.

Depth is never changed but by leaving pixels out or repeating them: a crop that is enlarged has another focal
length, not another depth.
"""

from dataclasses import replace
from typing import Annotated, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from perception.settings import Settings
from perception.training.exposure import colour_gains
from perception.training.views import View

NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Factor = Annotated[FiniteFloat, Field(ge=0, lt=1)]
Quality = Annotated[int, Field(ge=1, le=100)]
Scalar = TypeVar("Scalar", bound=np.generic)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class AugmentationSettings(Settings):
    """How much chance may change. Chance is even between the bounds.

    Attributes:
        crop: Least and greatest side of the crop, part of the largest one that has the network's shape.
        stretch: Greatest change of the crop's shape to either side, part of width over height.
        flip: Share of the views that are mirrored left to right.
        exposure_stops: Greatest change of exposure to either side, stops.
        white_balance: Greatest change of the ratio of red to green, and of blue to green, part of it.
        contrast: Greatest change, part of it.
        saturation: Greatest change, part of it.
        gamma: Greatest change of the exponent to either side, as a power of two.
        vignetting: Greatest loss of brightness in the corners, part of it.
        blur: Share of the views that are blurred,
        blur_px: with a Gaussian of at most this standard deviation, pixels,
        motion_blur: Share of the views that are blurred as by a movement,
        motion_blur_px: of at most this length, pixels.
        noise: Greatest standard deviation of the noise of a mid-grey pixel, grey levels of 255.
        jpeg: Share of the views that go through JPEG,
        jpeg_quality: of this quality.
    """

    crop: tuple[Share, Share] = (0.6, 1.0)
    stretch: Factor = 0.08
    flip: Share = 0.5
    exposure_stops: NotNegative = 0.5
    white_balance: Factor = 0.1
    contrast: Factor = 0.2
    saturation: Factor = 0.3
    gamma: NotNegative = 0.25
    vignetting: Factor = 0.3
    blur: Share = 0.2
    blur_px: NotNegative = 1.2
    motion_blur: Share = 0.15
    motion_blur_px: NotNegative = 7.0
    noise: NotNegative = 6.0
    jpeg: Share = 0.3
    jpeg_quality: tuple[Quality, Quality] = (40, 95)

    @model_validator(mode="after")
    def _ranges_are_possible(self) -> Self:
        for name in ("crop", "jpeg_quality"):
            least, greatest = getattr(self, name)
            if least > greatest:
                raise ValueError(f"{name}: {least} is more than {greatest}")
        if self.crop[0] == 0:
            raise ValueError("crop: must leave something of the view")
        return self


def augmented(
    view: View, size: tuple[int, int], settings: AugmentationSettings, rng: np.random.Generator
) -> View:
    """A view as chance changes it.

    Args:
        view: The view.
        size: Height and width of the result, pixels.
        settings: What chance may do.
        rng: All that decides what it does.
    """
    left, top, width, height = _random_crop(rng, view, size, settings)
    changed = resized(cropped(view, left, top, width, height), size)
    if rng.uniform() < settings.flip:
        changed = flipped(changed)
    return replace(changed, rgb=altered_colours(changed.rgb, settings, rng))


def cropped(view: View, left: int, top: int, width: int, height: int) -> View:
    """The part of a view from a column and a row on, of a size in pixels."""
    part = np.s_[top : top + height, left : left + width]
    camera = view.intrinsics
    return View(
        rgb=view.rgb[part],
        intrinsics=replace(camera, cx=camera.cx - left, cy=camera.cy - top, width=width, height=height),
        depth=None if view.depth is None else view.depth[part],
        labels=None if view.labels is None else view.labels[part],
        normals=None if view.normals is None else view.normals[part],
    )


def resized(view: View, size: tuple[int, int]) -> View:
    """A view at another size, perhaps of another shape.

    Colours are interpolated bilinearly where they grow, and averaged where they shrink; depth, labels and
    normals are those of the nearest pixel, for the mean of two of them is on neither surface.

    Args:
        view: The view.
        size: Height and width, pixels.
    """
    height, width = size
    camera = view.intrinsics
    if (height, width) == (camera.height, camera.width):
        return view
    across, down = width / camera.width, height / camera.height
    intrinsics = replace(
        camera,
        fx=camera.fx * across,
        fy=camera.fy * down,
        # The image begins half a pixel before the centre of its first one.
        cx=(camera.cx + 0.5) * across - 0.5,
        cy=(camera.cy + 0.5) * down - 0.5,
        width=width,
        height=height,
    )
    how = cv2.INTER_AREA if across < 1 and down < 1 else cv2.INTER_LINEAR
    return View(
        rgb=np.asarray(cv2.resize(np.ascontiguousarray(view.rgb), (width, height), interpolation=how)),
        intrinsics=intrinsics,
        depth=None if view.depth is None else _nearest(view.depth, size),
        labels=None if view.labels is None else _nearest(view.labels, size),
        normals=None if view.normals is None else _nearest(view.normals, size),
    )


def flipped(view: View) -> View:
    """A view mirrored left to right, as a mirrored room would be seen."""
    camera = view.intrinsics
    return View(
        rgb=view.rgb[:, ::-1],
        intrinsics=replace(camera, cx=camera.width - 1 - camera.cx),
        depth=None if view.depth is None else view.depth[:, ::-1],
        labels=None if view.labels is None else view.labels[:, ::-1],
        normals=None if view.normals is None else view.normals[:, ::-1] * np.array([-1, 1, 1], np.float32),
    )


def altered_colours(
    rgb: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Colours as another camera would have taken them, in the order in which a camera does it.

    Args:
        rgb: uint8 [H, W, 3].
        settings: What chance may do.
        rng: What decides it.
    """
    image = rgb.astype(np.float32) / np.float32(255)
    image = _through_lens(image, settings, rng)
    stops = settings.exposure_stops * rng.uniform(-1, 1)
    image = image * colour_gains(stops, settings.white_balance, rng)
    image = _with_noise(image, settings, rng)
    image = _developed(image, settings, rng)
    levels = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)
    return _through_jpeg(levels, settings, rng)


def _random_crop(
    rng: np.random.Generator, view: View, size: tuple[int, int], settings: AugmentationSettings
) -> tuple[int, int, int, int]:
    """Left, top, width and height of a crop, pixels."""
    camera = view.intrinsics
    shape = size[1] / size[0] * (1 + settings.stretch) ** rng.uniform(-1, 1)
    largest_width = min(camera.width, camera.height * shape)
    width_wanted = largest_width * rng.uniform(*settings.crop)
    width = int(np.clip(round(width_wanted), 1, camera.width))
    height = int(np.clip(round(width_wanted / shape), 1, camera.height))
    left = int(rng.integers(camera.width - width + 1))
    top = int(rng.integers(camera.height - height + 1))
    return left, top, width, height


def _nearest(values: NDArray[Scalar], size: tuple[int, int]) -> NDArray[Scalar]:
    """Values of the pixels whose centres are nearest, [h, w, ...]."""
    # cv2.INTER_NEAREST takes the pixel to the upper left of it.
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        for new, old in zip(size, values.shape[:2], strict=True)
    )
    return values[rows[:, None], columns]


def _through_lens(
    image: NDArray[np.float32], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vignetting, a lens out of focus, and a movement while the shutter is open."""
    height, width = image.shape[:2]
    loss = np.float32(rng.uniform(0, settings.vignetting))
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)
    image = image * (1 - loss * (rows**2 + columns**2) / np.float32(2))[..., None]
    if rng.uniform() < settings.blur:
        # OpenCV takes a standard deviation of zero for one that it may choose.
        sigma = max(rng.uniform(0, settings.blur_px), 1e-3)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    if rng.uniform() < settings.motion_blur:
        length, angle = rng.uniform(0, settings.motion_blur_px), rng.uniform(0, np.pi)
        image = np.asarray(cv2.filter2D(image, -1, _streak(length, angle)), np.float32)
    return image


def _streak(length: float, angle: float) -> NDArray[np.float32]:
    """A line through the middle of a square as a kernel with the sum one, pixels and radians."""
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for along in np.linspace(-length / 2, length / 2, 2 * kernel.shape[0] + 1):
        kernel[round(reach + along * np.sin(angle)), round(reach + along * np.cos(angle))] += 1
    return kernel / kernel.sum()


def _with_noise(
    image: NDArray[np.float32], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Shot noise grows with the root of the light; half of the variance at mid grey is read noise."""
    level = np.float32(rng.uniform(0, settings.noise) / 255)
    spread = np.sqrt(np.float32(0.5) + np.clip(image, 0, 1))
    return image + level * spread * rng.standard_normal(image.shape, dtype=np.float32)


def _developed(
    image: NDArray[np.float32], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Contrast about the mean, saturation about grey, and gamma."""
    contrast, saturation = 1 + np.array([settings.contrast, settings.saturation]) * rng.uniform(-1, 1, 2)
    mean = image.mean(dtype=np.float32)
    image = mean + np.float32(contrast) * (image - mean)
    grey = (image @ _LUMA)[..., None]
    image = np.clip(grey + np.float32(saturation) * (image - grey), 0, 1)
    return image ** np.float32(2 ** (settings.gamma * rng.uniform(-1, 1)))


def _through_jpeg(
    rgb: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if rng.uniform() >= settings.jpeg:
        return rgb
    quality = int(rng.integers(settings.jpeg_quality[0], settings.jpeg_quality[1] + 1))
    _, content = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)
