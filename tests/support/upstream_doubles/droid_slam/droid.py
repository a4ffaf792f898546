"""A double of upstream's class ``Droid``: checks what it is given and finds its way on the painted wall.

Written from what is known of the interface, not from upstream's code. It raises ``AssertionError`` when it is
used as upstream cannot be used. Keyframes are frames that differ from the last keyframe by more than
``filter_thresh`` grey levels. Before ``backend`` has run, positions are wrong by a twentieth. In monocular
runs the unit of length is not the metre. What ``DROID_DOUBLE_FAULT`` says goes wrong.
"""

import json
import os
from multiprocessing import Value
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from painted_wall import DISTANCE_M, is_the_wall, locate

#: Metres in the unit of a monocular run.
MONO_UNIT_M = 4.0
#: Positions are too long by this before all keyframes are optimised.
DRIFT = 1.05
#: What it was called with, in the working directory.
JOURNAL = "droid_double.json"
WEIGHTS = b"weights of the double"

_SPARE_SLOTS = 16
_WHOLE = (
    *("buffer", "warmup"),
    *("frontend_window", "frontend_radius", "frontend_nms", "backend_radius", "backend_nms"),
)
_FRACTIONS = ("filter_thresh", "keyframe_thresh", "frontend_thresh", "backend_thresh", "beta")
_FLAGS = {"stereo": False, "upsample": False, "disable_vis": True}
_FAULT = os.environ.get("DROID_DOUBLE_FAULT", "")

if _FAULT == "import":
    raise ImportError("libcudart.so.12: cannot open shared object file")


def require(condition, message):
    if not condition:
        raise AssertionError(f"upstream was used wrongly: {message}")


def is_tensor(value, dtype, shape):
    return isinstance(value, torch.Tensor) and value.dtype is dtype and tuple(value.shape) == tuple(shape)


def run_out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation.")


class Droid:
    def __init__(self, args):
        _check_arguments(args)
        if _FAULT == "memory at start":
            run_out_of_memory()
        self.args = args
        height, width = args.image_size
        slots = args.buffer + _SPARE_SLOTS
        self.video = SimpleNamespace(
            counter=Value("i", 0),
            tstamp=torch.zeros(slots),
            poses=torch.tensor([[0, 0, 0, 0, 0, 0, 1.0]]).repeat(slots, 1),
            disps=torch.ones(slots, height // 8, width // 8),
            disps_sens=torch.zeros(slots, height // 8, width // 8),
            images=torch.zeros(slots, 3, height, width, dtype=torch.uint8),
        )
        self.backend = self._adjust_all
        if _FAULT == "no backend":
            del self.backend
        self._adjusted = 1.0 if _FAULT == "adjusts elsewhere" else DRIFT
        self._unit = None
        self._first = None
        self._intrinsics = None
        self._tracked = []
        self._reference = None
        self._journal = {"arguments": vars(args), "backend_steps": [], "tracked": [], "streamed": []}

    def track(self, tstamp, image, depth=None, intrinsics=None):
        require(self._tracked is not None, "track after terminate")
        self._check_frame(tstamp, image, intrinsics)
        stamps = [stamp for stamp, _ in self._tracked]
        require(not stamps or tstamp > stamps[-1], f"time stamp {tstamp} after {stamps[-1:]}")
        with_depth = depth is not None
        require(self._unit in (None, self._unit_with(with_depth)), "depth comes with every frame or none")
        self._unit = self._unit_with(with_depth)
        if _FAULT == "memory while tracking" and len(stamps) == 5:
            run_out_of_memory()
        pixels = image[0].numpy().copy()
        place = locate(pixels, *intrinsics.tolist())
        if with_depth:
            self._check_depth(depth, pixels, place)
        self._tracked.append((tstamp, pixels))
        self._journal["tracked"].append(tstamp)
        if self._first is None:
            self._first = np.linalg.inv(place.camera_to_world)
            self._journal["first_place"] = [place.x, place.y, place.z, place.roll]
        if self._reference is None or self._difference(pixels) > self.args.filter_thresh:
            self._append(tstamp, pixels, depth)

    def terminate(self, stream=None):
        require(self._tracked is not None, "terminate twice")
        require(self.video.counter.value >= self.args.warmup, "terminate before the first optimisation")
        if _FAULT == "adjusts elsewhere":
            self._adjusted = 1.0
        else:
            for steps in (7, 12):
                self.backend(steps)
        if _FAULT == "memory at the end":
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        self._optimise()
        tracked, self._tracked = self._tracked, None
        rows = []
        for item in stream:
            require(isinstance(item, tuple) and len(item) == 3, "the stream is of stamp, image, intrinsics")
            tstamp, image, intrinsics = item
            self._check_frame(tstamp, image, intrinsics)
            pixels = image[0].numpy()
            require(len(rows) < len(tracked), "the stream has more frames than were tracked")
            require(tstamp == tracked[len(rows)][0], "the stream has other stamps than were tracked")
            require((pixels == tracked[len(rows)][1]).all(), "the stream has other images than were tracked")
            rows.append(self._row(self._pose(pixels)))
        require(len(rows) == len(tracked), "the stream has fewer frames than were tracked")
        self._journal["streamed"] = [stamp for stamp, _ in tracked]
        Path(JOURNAL).write_text(json.dumps(self._journal))
        return _with_fault(np.array(rows, dtype=np.float32))

    def _check_frame(self, tstamp, image, intrinsics):
        height, width = self.args.image_size
        require(type(tstamp) is int, f"time stamps are indices of frames, got {tstamp!r}")
        require(is_tensor(image, torch.uint8, (1, 3, height, width)), "images are uint8 [1, 3, H, W]")
        require(is_tensor(intrinsics, torch.float32, (4,)), "intrinsics are float32 fx fy cx cy")
        fx, fy, cx, cy = intrinsics.tolist()
        require(min(fx, fy) > 1 and 0 < cx < width and 0 < cy < height, f"intrinsics {intrinsics}")
        known = intrinsics if self._intrinsics is None else self._intrinsics
        require(torch.equal(intrinsics, known), "the camera changed")
        self._intrinsics = intrinsics.clone()

    def _check_depth(self, depth, pixels, place):
        require(is_tensor(depth, torch.float32, self.args.image_size), "depth is float32 [H, W]")
        require(bool(torch.isfinite(depth).all() and (depth >= 0).all()), "depth is finite, 0 where unknown")
        known = depth[depth > 0]
        if len(known) and is_the_wall(pixels):
            wall = DISTANCE_M - place.z
            require(
                abs(float(known.median()) - wall) < 0.002 * wall, f"depth in metres: the wall is at {wall}"
            )

    def _unit_with(self, depth):
        return 1.0 if depth else MONO_UNIT_M

    def _difference(self, pixels):
        return np.abs(pixels.astype(float) - self._reference).sum(axis=0).mean()

    def _append(self, tstamp, pixels, depth):
        video, slot = self.video, self.video.counter.value
        require(slot < self.args.buffer, "there is no room for another keyframe")
        self._reference = pixels.astype(float)
        video.tstamp[slot] = tstamp
        video.images[slot] = torch.from_numpy(pixels)
        if depth is not None:
            cells = depth[3::8, 3::8]
            video.disps_sens[slot] = torch.where(cells > 0, 1.0 / cells.clamp(min=1e-6), 0.0)
        video.counter.value = slot + 1
        if slot + 1 >= self.args.warmup:
            self._optimise()

    def _adjust_all(self, steps):
        self._journal["backend_steps"].append(steps)
        self._adjusted = 1.0

    def _optimise(self):
        """Poses are world to camera in the buffer; inverse depth is that of the wall."""
        for slot in range(self.video.counter.value):
            pixels = self.video.images[slot].numpy()
            self.video.poses[slot] = torch.tensor(self._row(np.linalg.inv(self._pose(pixels))))
            depth = DISTANCE_M - locate(pixels, *self._intrinsics.tolist()).z
            self.video.disps[slot] = self._unit / (max(depth, 0.1) * self._adjusted)

    def _pose(self, pixels):
        """Camera to the world of the first camera, in the run's unit."""
        pose = self._first @ locate(pixels, *self._intrinsics.tolist()).camera_to_world
        pose[:3, 3] *= self._adjusted / self._unit
        return pose

    def _row(self, pose):
        half = np.arctan2(pose[1, 0], pose[0, 0]) / 2
        return [*pose[:3, 3], 0.0, 0.0, np.sin(half), np.cos(half)]


def _check_arguments(args):
    given = vars(args)
    for name in _WHOLE:
        require(type(given.get(name)) is int, f"argument {name} is a whole number")
    for name in _FRACTIONS:
        require(type(given.get(name)) is float, f"argument {name} is a number")
    for name, value in _FLAGS.items():
        require(given.get(name) is value, f"argument {name} is {value}")
    require(isinstance(args.image_size, list) and len(args.image_size) == 2, "image_size is [H, W]")
    require(all(side % 8 == 0 and side >= 128 for side in args.image_size), f"image_size {args.image_size}")
    require(Path(args.weights).read_bytes() == WEIGHTS, "weights are a file of weights")


def _with_fault(rows):
    if _FAULT == "fewer poses":
        return rows[:-2]
    if _FAULT == "nan":
        rows[3, 0] = rows[7, 5] = np.nan
        rows[5, 3:] = 0.0
    if _FAULT == "all nan":
        rows[:] = np.nan
    return rows
