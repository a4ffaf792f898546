"""Writes a synthetic sequence to disk in TUM RGB-D layout: all of it or nothing."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sequences.calibration import CALIBRATION_FILE
from sequences.errors import SequenceError
from sequences.imu_files import CALIBRATION_FILE as IMU_CALIBRATION_FILE
from sequences.imu_files import COLUMNS as IMU_COLUMNS
from sequences.imu_files import SAMPLES_FILE
from sequences.model import NANOSECONDS_PER_SECOND, ImuCalibration, ImuSamples, Intrinsics
from sequences.optional_files import LABEL_SPACE_FILE, LABELS_FOLDER
from sequences.scene_truth_file import MESH_FILE, write_scene_truth
from sequences.synthetic import imu, sensor_effects
from sequences.synthetic.labels import LABEL_SPACE
from sequences.synthetic.parameters import GENERATOR_VERSION, SyntheticParameters
from sequences.synthetic.randomness import Part, generator
from sequences.synthetic.render import Renderer, Rendering
from sequences.synthetic.scene import Scene, build_scene
from sequences.synthetic.scene_mesh_file import write_scene_mesh
from sequences.synthetic.scene_truth import scene_truth
from sequences.timestamps import nanoseconds_to_seconds_text
from sequences.tum import DEPTH_LIST, GROUND_TRUTH_FILE, RGB_LIST

GENERATOR_FILE = "generator.yaml"
_DEPTH_SCALE = 5000
# An arbitrary start that is not zero: some tools take zero for "no time stamp".
_START_NS = 100 * NANOSECONDS_PER_SECOND
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_MOST_RENDER_THREADS = 4
# Temporary folders are private; the finished one is for everybody to read.
_FOLDER_MODE = 0o755
# Their versions decide pixels.
_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "open3d", "scikit-image", "scikit-learn")

Progress = Callable[[str, int, int], None]


def generate(parameters: SyntheticParameters, directory: Path, progress: Progress) -> None:
    """Make a sequence at ``directory`` unless it is already there.

    The files are written into a folder beside it, which is renamed when everything is complete. A lock makes
    a second process wait for the first instead of doing the same work.

    Args:
        parameters: What to make.
        directory: Where it goes; the folders above are made.
        progress: Called with a description, frames done and frames in all.

    Raises:
        SequenceError: The folder cannot be written, or the parameters do not fit together.
    """
    if is_complete(directory):
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.with_name(f"{directory.name}.lock")):
            if is_complete(directory):
                return
            if directory.exists():
                raise SequenceError(f"'{directory}' is in the way: it has no {GENERATOR_FILE}; delete it")
            prefix = f"{directory.name}.partial-"
            # Only a killed process leaves these behind: whoever made them held the lock.
            for abandoned in directory.parent.glob(f"{prefix}*"):
                shutil.rmtree(abandoned)
            partial = Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent))
            try:
                _write_sequence(parameters, partial, progress)
                partial.chmod(_FOLDER_MODE)
                partial.rename(directory)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise SequenceError(
            f"the synthetic sequence cannot be written to '{directory}': {error.strerror or error}; "
            "free some space there or choose another cache folder"
        ) from error


def is_complete(directory: Path) -> bool:
    """Whether a sequence was written there to its end."""
    return (directory / GENERATOR_FILE).is_file()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system releases even when the process is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_sequence(parameters: SyntheticParameters, directory: Path, progress: Progress) -> None:
    title = f"generating synthetic sequence (seed {parameters.seed})"
    progress(title, 0, parameters.frames)
    scene = build_scene(parameters)
    timestamps_ns = _timestamps(parameters)
    stems = [nanoseconds_to_seconds_text(int(timestamp)) for timestamp in timestamps_ns]
    for folder in ("rgb", "depth", LABELS_FOLDER, *(["normals"] if parameters.normals else [])):
        (directory / folder).mkdir()
    seen = _write_frames(
        parameters,
        scene,
        timestamps_ns,
        stems,
        directory,
        lambda done: progress(title, done, parameters.frames),
    )
    _write_lists(directory, stems)
    (directory / LABELS_FOLDER / LABEL_SPACE_FILE).write_text(LABEL_SPACE + "\n")
    _write_calibration(directory / CALIBRATION_FILE, parameters.intrinsics())
    _write_ground_truth(directory / GROUND_TRUTH_FILE, scene, timestamps_ns, stems)
    samples = imu.simulate(scene.path, parameters.imu, _START_NS, generator(parameters.seed, Part.IMU))
    _write_imu(directory, samples, imu.calibration(parameters.imu))
    write_scene_mesh(directory / MESH_FILE, scene)
    write_scene_truth(scene_truth(scene, directory / MESH_FILE, seen))
    # Last, because it marks the sequence as complete.
    _write_record(directory, parameters)


def _timestamps(parameters: SyntheticParameters) -> NDArray[np.int64]:
    """Of the frames, int64 [N], in whole microseconds so that six decimals name a file exactly."""
    microseconds = np.rint(np.arange(parameters.frames) / parameters.rate_hz * 1e6).astype(np.int64)
    return _START_NS + 1000 * microseconds


def _write_frames(
    parameters: SyntheticParameters,
    scene: Scene,
    timestamps_ns: NDArray[np.int64],
    stems: list[str],
    directory: Path,
    report: Callable[[int], None],
) -> NDArray[np.int64]:
    """Render and write all frames on a bounded number of threads; every frame depends on its index alone.

    Returns:
        int64 [frames, things], how many pixels of a frame show a thing.
    """
    renderer = Renderer(scene, parameters.intrinsics())
    times = (timestamps_ns - _START_NS) / NANOSECONDS_PER_SECOND
    with ThreadPoolExecutor(min(_MOST_RENDER_THREADS, os.cpu_count() or 1)) as pool:
        jobs = [
            pool.submit(
                _write_frame, parameters, scene, renderer, index, float(times[index]), stem, directory
            )
            for index, stem in enumerate(stems)
        ]
        try:
            seen = []
            for done, job in enumerate(jobs, start=1):
                seen.append(job.result())
                report(done)
        finally:
            for job in jobs:
                job.cancel()
    return np.stack(seen)


def _write_frame(
    parameters: SyntheticParameters,
    scene: Scene,
    renderer: Renderer,
    index: int,
    time: float,
    stem: str,
    directory: Path,
) -> NDArray[np.int64]:
    """Render and write one frame; returns how many pixels show each thing, int64 [things]."""
    effects, seed = parameters.effects, parameters.seed
    rendering = renderer.render(scene.path.motion(np.array([time])).camera_to_world()[0], time)
    if sensor_effects.is_lost(effects, time):
        size = rendering.labels.shape
        image, depth, labels = sensor_effects.lost_images(size, effects, seed, index, time)
        things = np.full(size, -1)
    else:
        rgb = rendering.rgb
        if effects.motion_blur_renders > 1:
            rgb = _blurred(scene, renderer, time, effects)
        image = sensor_effects.camera_image(rgb, effects, seed, index, time)
        depth = sensor_effects.depth_image(rendering, parameters.intrinsics(), effects, seed, index)
        depth = sensor_effects.network_depth(depth, effects, seed, index, time / parameters.duration_s)
        labels = sensor_effects.label_image(rendering.labels, effects, seed, index)
        things = rendering.things
    scaled = np.rint(depth * _DEPTH_SCALE)
    depth_values = np.where(scaled > np.iinfo(np.uint16).max, 0, scaled).astype(np.uint16)
    _write_png(directory / "rgb" / f"{stem}.png", image[..., ::-1])
    _write_png(directory / "depth" / f"{stem}.png", depth_values)
    _write_png(directory / LABELS_FOLDER / f"{stem}.png", labels)
    if parameters.normals:
        _write_png(directory / "normals" / f"{stem}.png", _coded_normals(rendering))
    return np.bincount(things.ravel() + 1, minlength=len(scene.mesh.thing_labels) + 1)[1:]


def _blurred(
    scene: Scene, renderer: Renderer, time: float, effects: sensor_effects.SensorEffects
) -> NDArray[np.float32]:
    """The mean of several renders while the shutter is open, centred on the time stamp."""
    half = effects.exposure_time_s / 2
    times = np.linspace(time - half, time + half, effects.motion_blur_renders)
    poses = scene.path.motion(times).camera_to_world()
    total = sum(renderer.render(pose, float(when)).rgb for pose, when in zip(poses, times, strict=True))
    return np.asarray(total / np.float32(len(times)))


def _coded_normals(rendering: Rendering) -> NDArray[np.uint16]:
    """Normals as 16-bit colours: red, green, blue hold x, y, z from -1 to 1; all zero where unknown."""
    coded = np.rint((rendering.normals[..., ::-1] + 1) / 2 * np.iinfo(np.uint16).max)
    return np.where(rendering.depth[..., None] > 0, coded, 0).astype(np.uint16)


def _write_png(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    coded, content = cv2.imencode(".png", np.ascontiguousarray(image), _PNG_OPTIONS)
    if not coded:
        raise SequenceError(f"'{path}': the image cannot be coded as PNG")
    path.write_bytes(content.tobytes())


def _write_lists(directory: Path, stems: list[str]) -> None:
    for name, folder in ((RGB_LIST, "rgb"), (DEPTH_LIST, "depth")):
        rows = "".join(f"{stem} {folder}/{stem}.png\n" for stem in stems)
        (directory / name).write_text(f"# timestamp filename\n{rows}")


def _write_calibration(path: Path, camera: Intrinsics) -> None:
    values = f"{camera.fx} {camera.fy} {camera.cx} {camera.cy} {camera.width} {camera.height}"
    path.write_text(f"# fx fy cx cy width height depth_scale\n{values} {_DEPTH_SCALE}\n")


def _write_ground_truth(path: Path, scene: Scene, timestamps_ns: NDArray[np.int64], stems: list[str]) -> None:
    motion = scene.path.motion((timestamps_ns - _START_NS) / NANOSECONDS_PER_SECOND)
    quaternions = Rotation.from_matrix(motion.rotations).as_quat(canonical=True)
    rows = [
        f"{stem} {' '.join(f'{value:.9f}' for value in (*position, *quaternion))}\n"
        for stem, position, quaternion in zip(stems, motion.positions, quaternions, strict=True)
    ]
    path.write_text("# timestamp tx ty tz qx qy qz qw\n" + "".join(rows))


def _write_imu(directory: Path, samples: ImuSamples, calibration: ImuCalibration) -> None:
    values = np.concatenate([samples.gyroscope, samples.accelerometer], axis=1)
    rows = [
        f"{timestamp},{','.join(f'{value:.9g}' for value in row)}\n"
        for timestamp, row in zip(samples.timestamps_ns, values, strict=True)
    ]
    (directory / SAMPLES_FILE).write_text(",".join(IMU_COLUMNS) + "\n" + "".join(rows))
    content = {**asdict(calibration), "imu_to_camera": calibration.imu_to_camera.tolist()}
    (directory / IMU_CALIBRATION_FILE).write_text(yaml.safe_dump(content, sort_keys=False))


def _write_record(directory: Path, parameters: SyntheticParameters) -> None:
    """What made the sequence, and a digest by which two makings can be compared."""
    record = {
        "generator_version": GENERATOR_VERSION,
        "parameters": parameters.as_mapping(),
        "packages": {package: version(package) for package in _PACKAGES},
        "files_sha256": files_digest(directory),
    }
    temporary = directory / f"{GENERATOR_FILE}.partial"
    temporary.write_text(yaml.safe_dump(record, sort_keys=False))
    os.replace(temporary, directory / GENERATOR_FILE)


def files_digest(directory: Path) -> str:
    """SHA-256 over the names and contents of all files except ``generator.yaml``, hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        if name != GENERATOR_FILE:
            digest.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()
