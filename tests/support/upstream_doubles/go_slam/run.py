"""A double of GO-SLAM's command line: checks what it is given, and answers with poses that tell what it saw.

Written from GO-SLAM's documentation, not from its code. It is run as upstream is: ``run.py CONFIG --mode
rgbd|mono --input_folder FOLDER --output FOLDER``, with its own folder as the working directory. It reads the
frames as upstream's loader for ScanNet does and ends with exit code 1 when anything is not as it must be.

Every pose is made of its own frame: the position is (mean red / 255, mean depth in metres, mean blue / 255),
and the rotation about the y axis is a tenth of a radian per frame. What ``GO_SLAM_DOUBLE_FAULT`` says goes
wrong.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

HOME = Path(__file__).parent
FAULT = os.environ.get("GO_SLAM_DOUBLE_FAULT", "")
WEIGHTS = "weights_of_the_double"
CAMERA = (
    *("H", "W", "fx", "fy", "cx", "cy", "png_depth_scale"),
    *("H_out", "W_out", "H_edge", "W_edge"),
)


def load_configuration(path: Path) -> dict:
    """A configuration over what it builds upon, sections merged; paths are seen from the double's home."""
    content = yaml.safe_load(path.read_text())
    parent = content.pop("inherit_from", None)
    whole = load_configuration(Path(parent)) if parent else {}
    for name, value in content.items():
        known = whole.get(name)
        whole[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return whole


def check_configuration(configuration: dict, mode: str) -> None:
    """Keys, types and ranges, and that the mode's own configuration was taken."""
    assert configuration["dataset"] == "scannet", "the loader is another one"
    assert configuration.get("mode_of_the_double", "rgbd") == mode, "the configuration is of another mode"
    camera = configuration["cam"]
    assert set(camera) == set(CAMERA), f"keys of the camera: {sorted(camera)}"
    for name in ("H", "W", "H_out", "W_out", "H_edge", "W_edge"):
        assert type(camera[name]) is int, f"{name} must be whole, is {camera[name]!r}"
    for name in ("fx", "fy", "cx", "cy", "png_depth_scale"):
        assert type(camera[name]) is float, f"{name} must be a float, is {camera[name]!r}"
    for name in ("H_out", "W_out"):
        assert camera[name] % 8 == 0, f"{name} is no multiple of 8"
    assert min(camera["H_out"], camera["W_out"]) >= 128, "the network's image is too small"
    assert camera["png_depth_scale"] == 1000.0, "not ScanNet's depth scale"
    box = np.array(configuration["mapping"]["bound"])
    assert box.shape == (3, 2), f"box of the map: {box}"
    assert (box * [-1, 1] > 0).all(), f"the first camera is outside of the map: {box}"
    assert configuration["mapping"]["device"] == "cpu", "what was in the section has gone"
    assert Path(configuration["tracking"][WEIGHTS]).is_file(), "the weights are not there"


def numbered(folder: Path, ending: str) -> list[Path]:
    """Files in the order of their numbers, which must be 0, 1, 2 and so on without leading zeros."""
    paths = sorted(folder.glob(f"*{ending}"), key=lambda path: int(path.stem))
    names = [path.name for path in paths]
    assert names == [f"{number}{ending}" for number in range(len(paths))], f"{folder}: {names}"
    assert len(list(folder.iterdir())) == len(paths), f"{folder} holds something else"
    return paths


def see(input_folder: Path, camera: dict, mode: str) -> np.ndarray:
    """What each frame shows: mean red, depth in metres and blue, float64 [N, 3]."""
    colours, depths, poses = (
        numbered(input_folder / name, ending)
        for name, ending in (("color", ".jpg"), ("depth", ".png"), ("pose", ".txt"))
    )
    assert len(colours) == len(depths) == len(poses) > 0, "there must be as many of each"
    assert numbered(input_folder / "frames" / "color", ".jpg")[0].samefile(colours[0]), "no frames/color"
    seen = []
    for colour_path, depth_path, pose_path in zip(colours, depths, poses, strict=True):
        colour, depth = Image.open(colour_path), np.array(Image.open(depth_path))
        kind = (colour.format, colour.mode)
        assert kind == ("JPEG", "RGB"), f"{colour_path} is {kind}"
        assert depth.dtype == np.uint16, f"{depth_path} is {depth.dtype}"
        size = (camera["H"], camera["W"])
        assert np.shape(colour)[:2] == depth.shape == size, (
            f"{colour_path}: {np.shape(colour)}, {depth.shape}"
        )
        if mode == "mono":
            assert not depth.any(), f"{depth_path} holds depth in mode mono"
        pose = np.loadtxt(pose_path)
        assert np.array_equal(pose, np.eye(4)), f"{pose_path} is not the identity: {pose}"
        red, _, blue = np.asarray(colour).reshape(-1, 3).mean(axis=0) / 255
        seen.append((red, depth.mean() / camera["png_depth_scale"], blue))
    return np.array(seen)


def estimate(seen: np.ndarray) -> np.ndarray:
    """Camera to world, float32 [N, 4, 4]."""
    angles = 0.1 * np.arange(len(seen))
    poses = np.tile(np.eye(4), (len(seen), 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, :3, 3] = seen
    return poses.astype(np.float32)


def spoil(poses: np.ndarray) -> np.ndarray:
    """The poses with the fault that was asked for."""
    if FAULT == "fewer poses":
        return poses[:-2]
    if FAULT == "wrong shape":
        return poses[:, :3]
    if FAULT == "nan":
        poses[3, 1, 3] = np.nan
    if FAULT == "no rotation":
        poses[3, :3, :3] *= 1.1
    if FAULT == "mirrored":
        poses[3, :3, 0] *= -1
    return poses


def write_mesh(path: Path) -> None:
    """A floor far below the cameras, one square metre of two triangles, as PLY with colours and alpha."""
    vertex = [(name, "<f4") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue", "alpha")]
    corners = [(0, 9, 0, 200, 100, 50, 255), (1, 9, 0, 200, 100, 50, 255)]
    corners += [(1, 9, 1, 200, 100, 50, 255), (0, 9, 1, 200, 100, 50, 255)]
    vertices = np.array(corners, dtype=vertex)
    triangles = [(3, (0, 2, 1)), (3, (0, 3, 2))]
    faces = np.array(triangles, dtype=[("count", "u1"), ("corners", "<i4", (3,))])
    if FAULT == "mesh turned inside out":
        faces["corners"] = faces["corners"][:, ::-1]
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 4\n"
    header += "".join(f"property {'float' if kind == '<f4' else 'uchar'} {name}\n" for name, kind in vertex)
    header += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    content = header.encode() + vertices.tobytes() + faces.tobytes()
    path.write_bytes(content[:-5] if FAULT == "mesh cut off" else content)


def say_out_of_memory() -> None:
    """As PyTorch does."""
    sys.stderr.write("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n")
    sys.stderr.flush()


def hang(output: Path) -> None:
    """Wait for a child that never ends; its process id is left where a test finds it."""
    child = subprocess.Popen(["sleep", "3600"])
    (output / "being written").write_text(f"{os.getpid()} {child.pid}")
    (output / "being written").rename(output / "processes")
    child.wait()


def go_wrong_on_the_way(output: Path) -> None:
    """The faults that come before there are poses."""
    if FAULT == "out of memory":
        say_out_of_memory()
        sys.exit(1)
    if FAULT == "out of memory in a child":
        say_out_of_memory()
        hang(output)
    if FAULT == "hang":
        hang(output)
    if FAULT == "exit code":
        sys.stderr.write("the licence server was not reached\n")
        sys.exit(3)
    if FAULT == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def score(poses: np.ndarray) -> None:
    """What upstream does at its end: have evo align what it estimated to the poses that it was given."""
    from evo.core.geometry import umeyama_alignment

    positions = poses[:, :3, 3].astype(np.float64).T
    umeyama_alignment(positions, np.zeros_like(positions))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--mode", choices=("rgbd", "mono"), required=True)
    parser.add_argument("--input_folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    assert Path.cwd() == HOME, f"run in {Path.cwd()}"
    assert "PYTHONPATH" not in os.environ, "the modules of the server side are in the way"
    assert not arguments.output.exists(), "there is output of an earlier run"
    configuration = load_configuration(arguments.config)
    check_configuration(configuration, arguments.mode)
    seen = see(arguments.input_folder, configuration["cam"], arguments.mode)
    for name in ("checkpoints", "mesh"):
        (arguments.output / name).mkdir(parents=True)
    go_wrong_on_the_way(arguments.output)
    poses = spoil(estimate(seen))
    if FAULT != "no poses":
        np.save(arguments.output / "checkpoints" / "est_poses.npy", poses)
    if FAULT != "no mesh":
        write_mesh(arguments.output / "mesh" / "final_raw_mesh.ply")
    if FAULT == "scoring":
        score(poses)
    sys.stdout.write(f"{len(seen)} frames done\n")


if __name__ == "__main__":
    main()
