"""A small room with boxes, ray cast into a folder in TUM RGB-D layout: real depth for tests of maps."""

from pathlib import Path

import cv2
import numpy as np
import open3d
from experiments import FRAME_PERIOD_NS
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.evaluation import TimedPoses
from sequences.model import Intrinsics

FRAMES = 16
DEPTH_SCALE = 5000
CAMERA = Intrinsics(fx=130.0, fy=130.0, cx=79.5, cy=59.5, width=160, height=120)


def room_poses() -> TimedPoses:
    """A sweep over one side of the room, z upwards, the camera held upright."""
    along = np.linspace(-1, 1, FRAMES)
    positions = np.column_stack([2.0 + 0.8 * along, 0.8 + 0.2 * along**2, 1.4 + 0.05 * np.sin(5 * along)])
    upright = Rotation.from_euler("x", -np.pi / 2 - 0.25)
    rotations = Rotation.from_rotvec(np.outer(-0.5 * along, [0.0, 0.0, 1.0])) * upright
    timestamps_ns = 1_700_000_000_000_000_000 + FRAME_PERIOD_NS * np.arange(FRAMES)
    return TimedPoses(timestamps_ns, positions, rotations.as_quat())


def write_room_sequence(directory: Path) -> None:
    """Write images, lists, ground truth and calibration."""
    poses = room_poses()
    matrices = np.tile(np.eye(4), (FRAMES, 1, 1))
    matrices[:, :3, :3] = poses.rotations().as_matrix()
    matrices[:, :3, 3] = poses.positions
    scene = _room()
    for folder in ("rgb", "depth"):
        (directory / folder).mkdir(parents=True)
    lines: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    for number, pose in enumerate(matrices):
        rgb, depth = _frame(scene, pose)
        name = f"{number:03d}.png"
        cv2.imwrite(str(directory / "rgb" / name), rgb[:, :, ::-1])
        cv2.imwrite(str(directory / "depth" / name), np.round(depth * DEPTH_SCALE).astype(np.uint16))
        seconds = f"{poses.timestamps_ns[number] / 1e9:.6f}"
        for kind in ("rgb", "depth"):
            lines[kind].append(f"{seconds} {kind}/{name}")
        numbers = (*poses.positions[number], *poses.quaternions[number])
        lines["groundtruth"].append(" ".join([seconds, *(f"{value:.9f}" for value in numbers)]))
    for kind, rows in lines.items():
        (directory / f"{kind}.txt").write_text("\n".join(rows) + "\n")
    (directory / "calibration.txt").write_text(
        "# fx fy cx cy width height depth_scale\n"
        f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy} {CAMERA.width} {CAMERA.height} {DEPTH_SCALE}\n"
    )


def _room() -> open3d.t.geometry.RaycastingScene:
    scene = open3d.t.geometry.RaycastingScene()
    boxes = [((0, 0, 0), (4, 3, 2.5)), ((0.6, 2.0, 0), (0.8, 0.6, 0.9)), ((2.6, 2.2, 0), (0.9, 0.5, 1.4))]
    for corner, size in boxes:
        mesh = open3d.geometry.TriangleMesh.create_box(*size).translate(corner)
        scene.add_triangles(open3d.t.geometry.TriangleMesh.from_legacy(mesh))
    return scene


def _frame(
    scene: open3d.t.geometry.RaycastingScene, camera_to_world: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    matrix = CAMERA.matrix()
    # Open3D's rays pass through u + 0.5, v + 0.5.
    matrix[:2, 2] += 0.5
    rays = scene.create_rays_pinhole(
        open3d.core.Tensor(matrix),
        open3d.core.Tensor(np.linalg.inv(camera_to_world)),
        CAMERA.width,
        CAMERA.height,
    )
    depth = scene.cast_rays(rays)["t_hit"].numpy()
    directions = rays.numpy()
    points = directions[..., :3] + directions[..., 3:] * depth[..., None]
    squares = np.floor(points * 4 + 1e-3).astype(int).sum(axis=-1) % 2
    rgb = (np.where(squares[..., None] == 1, [200, 170, 120], [70, 110, 150])).astype(np.uint8)
    return rgb, depth
