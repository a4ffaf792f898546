"""Builds the flat of a seed and takes pictures of it from random places."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perception.training.exposure import colour_gains
from perception.training.synthetic_views.cameras import random_poses
from perception.training.synthetic_views.settings import SyntheticViewSettings
from perception.training.views import View
from sequences.errors import SequenceError
from sequences.synthetic.parameters import PathKind, SyntheticParameters
from sequences.synthetic.render import Renderer, Rendering
from sequences.synthetic.scene import Scene, build_scene

# Tells these random numbers from those of other users of a seed.
_PURPOSE = 0x56494557
# How long the path through the flat takes; its pace matters to nobody here but must be possible.
_SECONDS = 150
_MOST_WALKERS = 3
# A class is seen from this share of the image on.
_SEEN = 0.005
# Something nearer than this covers a part of the image: a person whom the camera stands in.
_NEAREST_M, _NEAREST_QUANTILE = 0.2, 0.02


def scene_parameters(seed: int, settings: SyntheticViewSettings) -> SyntheticParameters:
    """The flat of a seed, with as many people as are wanted in it."""
    rng = np.random.default_rng([seed, _PURPOSE, 0])
    rooms = int(rng.integers(settings.rooms[0], settings.rooms[1] + 1))
    kinds = [PathKind.ORBIT, PathKind.SWEEP] if rooms == 1 else [PathKind.TOUR]
    return SyntheticParameters(
        seed=seed,
        frames=_SECONDS + 1,
        rate_hz=1.0,
        rooms=rooms,
        path=kinds[rng.integers(len(kinds))],
        reach=float(rng.uniform(*settings.reach)),
        walkers=int(rng.integers(1, _MOST_WALKERS + 1)) if rng.uniform() < settings.walkers else 0,
    )


def render_views(seed: int, settings: SyntheticViewSettings) -> Iterator[View]:
    """All views of the flat of a seed.

    Raises:
        SequenceError: A package is missing, or the flat has too few views that show something.
    """
    rng = np.random.default_rng([seed, _PURPOSE, 1])
    parameters = scene_parameters(seed, settings)
    scene = _built(parameters)
    poses = random_poses(rng, scene, settings)
    for count in _shared_out(settings.views_per_scene, settings.lenses):
        lens = SyntheticParameters(
            seed=seed,
            width=settings.width,
            height=settings.height,
            horizontal_field_of_view_deg=float(rng.uniform(*settings.field_of_view_deg)),
        ).intrinsics()
        renderer = Renderer(scene, lens)
        for _ in range(count):
            rendering = next(
                rendering
                for pose in poses
                if shows_something(
                    rendering := renderer.render(pose, rng.uniform(0, parameters.duration_s)), settings
                )
            )
            rgb = _exposed(rng, rendering.rgb, settings)
            yield View(rgb, lens, rendering.depth, rendering.labels)


def shows_something(rendering: Rendering, settings: SyntheticViewSettings) -> bool:
    """Whether a view is worth training on: not of a wall before the lens, nor of one surface alone."""
    depth = np.where(rendering.depth > 0, rendering.depth, np.inf)
    shares = np.bincount(rendering.labels.ravel(), minlength=256)[:255] / rendering.labels.size
    return bool(
        np.median(depth) >= settings.least_median_depth_m
        and np.quantile(depth, _NEAREST_QUANTILE, method="lower") >= _NEAREST_M
        and np.count_nonzero(shares >= _SEEN) >= settings.least_classes
    )


def _built(parameters: SyntheticParameters) -> Scene:
    """The scene, with fewer people where there is no space for all of them."""
    for walkers in range(parameters.walkers, 0, -1):
        try:
            return build_scene(_with_walkers(parameters, walkers))
        except SequenceError:
            # Found out before anything is built; what else is wrong shows without people as well.
            continue
    return build_scene(_with_walkers(parameters, 0))


def _with_walkers(parameters: SyntheticParameters, walkers: int) -> SyntheticParameters:
    return SyntheticParameters(
        seed=parameters.seed,
        frames=parameters.frames,
        rate_hz=parameters.rate_hz,
        rooms=parameters.rooms,
        path=parameters.path,
        reach=parameters.reach,
        walkers=walkers,
    )


def _shared_out(count: int, parts: int) -> list[int]:
    """A number as a sum of so many as equal as can be, without zeros."""
    return [size for part in range(parts) if (size := count // parts + (part < count % parts))]


def _exposed(
    rng: np.random.Generator, rgb: NDArray[np.float32], settings: SyntheticViewSettings
) -> NDArray[np.uint8]:
    """Eight-bit colours with an exposure and a white balance of chance."""
    stops = rng.uniform(*settings.exposure_stops)
    gains = colour_gains(stops, settings.white_balance, rng)
    return np.clip(np.rint(rgb * gains), 0, 255).astype(np.uint8)
