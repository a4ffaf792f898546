"""A corner of three textured walls, rendered exactly, and a job for ``run_backend_alone`` made of it."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from adapters.backend import CameraIntrinsics

INTRINSICS = CameraIntrinsics(fx=520.0, fy=520.0, cx=319.5, cy=239.5, width=640, height=480)
FIRST_NS = 1_700_000_000_123_456_789
PERIOD_NS = 33_333_333
_WALL_DISTANCE_M = 2.0
_TEXELS_PER_M = 250


def camera_positions(count: int) -> np.ndarray:
    """float64 [count, 3]: a slow sideways sweep with some depth, metres."""
    phase = np.linspace(0.0, 1.0, count)
    return np.stack([0.5 * phase, 0.08 * np.sin(4 * phase), 0.15 * phase], axis=1)


def render(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rgb uint8 [H, W, 3] and depth float32 [H, W] seen along +z from ``position``, not turned."""
    columns, rows = np.meshgrid(np.arange(INTRINSICS.width), np.arange(INTRINSICS.height))
    rays = np.stack(
        [
            (columns - INTRINSICS.cx) / INTRINSICS.fx,
            (rows - INTRINSICS.cy) / INTRINSICS.fy,
            np.ones(columns.shape),
        ],
        axis=-1,
    )
    # The normals of three walls that meet at right angles, the corner pointing away from the camera.
    normals = np.array([[0.816, 0.0, 0.577], [-0.408, 0.707, 0.577], [-0.408, -0.707, 0.577]])
    distances = (_WALL_DISTANCE_M - normals @ position) / np.maximum(rays @ normals.T, 1e-6)
    wall = distances.argmin(axis=-1)
    depth = np.take_along_axis(distances, wall[..., None], axis=-1)[..., 0]
    points = position + rays * depth[..., None]
    across = np.cross(normals, [0.0, 0.3, 1.0])
    u, v = (np.einsum("hwc,hwc->hw", points, axes[wall]) for axes in (across, np.cross(normals, across)))
    rgb = cv2.remap(
        _texture(),
        (u * _TEXELS_PER_M + 300 * wall).astype(np.float32),
        (v * _TEXELS_PER_M).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return rgb, depth.astype(np.float32)


@cache
def _texture() -> np.ndarray:
    """Random patches of several sizes, none of them like another."""
    random = np.random.default_rng(3)
    layers = [
        cv2.resize(random.integers(0, 256, (size, size, 3), dtype=np.uint8), (1200, 1200), interpolation=kind)
        for size, kind in ((60, cv2.INTER_NEAREST), (200, cv2.INTER_CUBIC))
    ]
    return cv2.GaussianBlur(cv2.addWeighted(layers[0], 0.7, layers[1], 0.3, 0.0), (5, 5), 0.0)


def write_job(
    directory: Path,
    rgb: np.ndarray,
    depth: np.ndarray,
    image_of: list[int],
    options: dict[str, object],
    mode: str = "rgbd",
) -> Path:
    """Writes what ``run_backend_alone`` is to feed: the images, and which of them every frame shows."""
    np.savez(directory / "frames.npz", rgb=rgb, depth=depth)
    job = {
        "mode": mode,
        "intrinsics": asdict(INTRINSICS),
        "rate_hz": 1e9 / PERIOD_NS,
        "options": options,
        "times_ns": [FIRST_NS + number * PERIOD_NS for number in range(len(image_of))],
        "image_of": image_of,
    }
    path = directory / "job.json"
    path.write_text(json.dumps(job))
    return path


def position_errors(answer: dict, count: int) -> np.ndarray:
    """Distances to the true positions in metres; the first camera is the origin and nothing turns."""
    truth = camera_positions(count)
    frames = (np.array(answer["timestamps_ns"]) - FIRST_NS) // PERIOD_NS
    return np.linalg.norm(np.array(answer["poses"])[:, :3] - truth[frames] + truth[0], axis=1)
