"""Feeds frames from a file to one backend: here, or in a process of its own where a crash harms no test."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from adapters.backend import CameraIntrinsics, Mode, RgbdFrame, StartRequest


def run_job(server: str, job_file: Path) -> dict[str, Any]:
    """Runs a backend (``module:Class``) on a job and returns all that it said."""
    job = json.loads(job_file.read_text())
    module, name = server.split(":")
    backend = getattr(importlib.import_module(module), name)()
    frames = np.load(job_file.parent / "frames.npz")
    rgb, depth = frames["rgb"], frames["depth"]
    mode = Mode(job["mode"])
    intrinsics = CameraIntrinsics(**job["intrinsics"])
    backend.start(StartRequest(intrinsics, mode, 0, job["rate_hz"], job["options"], job_file.parent))
    states, live_positions = [], []
    for index, (time_ns, image) in enumerate(zip(job["times_ns"], job["image_of"], strict=True)):
        frame = RgbdFrame(index, time_ns, rgb[image], depth[image] if mode is Mode.RGBD else None)
        tracked = backend.track(frame)
        pose = tracked.camera_to_world
        states.append(tracked.state.value)
        live_positions.append(None if pose is None else pose[:3, 3].tolist())
    result = backend.finish()
    backend.close()
    return {
        "states": states,
        "live_positions": live_positions,
        "timestamps_ns": result.trajectory.timestamps_ns.tolist(),
        "poses": result.trajectory.poses.tolist(),
        "keyframe_indices": list(result.keyframe_indices),
        "statistics": result.statistics,
    }


def run_job_alone(server: str, job_file: Path) -> dict[str, Any]:
    """The same in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, server, job_file], capture_output=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr.decode(errors="replace")[-2000:]
    return json.loads(_answer_file(job_file).read_text())


def _answer_file(job_file: Path) -> Path:
    return job_file.with_name("answer.json")


if __name__ == "__main__":
    _answer_file(Path(sys.argv[2])).write_text(json.dumps(run_job(sys.argv[1], Path(sys.argv[2]))))
