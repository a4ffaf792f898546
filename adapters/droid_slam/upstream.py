"""Upstream's class ``Droid`` as the backend uses it: what goes in, what comes out, what it may raise.

Teed, Deng: DROID-SLAM: Deep Visual SLAM for Monocular, Stereo, and RGB-D Cameras. NeurIPS 2021.
Upstream is used as it is; no file of it is changed.
"""

import importlib
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.backend import BackendInputError, CameraIntrinsics
from adapters.droid_slam.frame_store import FrameStore, StoredFrame
from adapters.droid_slam.options import VO
from adapters.droid_slam.presets import Parameters
from adapters.droid_slam.weights import Weights

_MODULE, _CLASS = "droid", "Droid"
#: What the attribute of ``Droid`` is called that adjusts all keyframes; ``terminate`` calls it.
_BUNDLE_ADJUSTMENT = "backend"
#: How CUDA and its libraries say that memory ran out, in lower case.
_OUT_OF_MEMORY = ("out of memory", "alloc_failed")


class DroidSystem:
    """One run of upstream.

    Args:
        weights: What the network is loaded from.
        camera: Of the scaled frames.
        parameters: What upstream is started with.
        variant: ``full`` or ``vo``. For the latter the attribute ``backend`` of this one object is replaced
            by something that only counts how often it is called; the class and its module stay as they are.

    Every method raises ``BackendInputError`` where upstream ran out of GPU memory.

    Raises:
        BackendInputError: Upstream cannot be imported, or has not got the attribute.
    """

    def __init__(
        self, weights: Weights, camera: CameraIntrinsics, parameters: Parameters, variant: str
    ) -> None:
        self._parameters = parameters
        self.arguments = upstream_arguments(weights, camera, parameters)
        self._intrinsics = torch.tensor([camera.fx, camera.fy, camera.cx, camera.cy])
        kind = _upstream_class()
        with self._out_of_memory_in_words("while DROID-SLAM was loaded"):
            self._droid = kind(Namespace(**self.arguments))
        #: The keyframes, as upstream holds them.
        self.video: Any = self._droid.video
        self._skipped: _NoBundleAdjustment | None = None
        if variant == VO:
            self._skip_bundle_adjustment()

    @property
    def keyframes(self) -> int:
        """How many there are now."""
        return keyframe_count(self.video)

    @property
    def has_sensor_depth(self) -> bool:
        """Whether any keyframe has depth, which is what makes poses metric."""
        return bool((self.video.disps_sens[: self.keyframes] > 0).any())

    def track(self, frame: StoredFrame, depth: NDArray[np.float32] | None) -> None:
        """Give upstream the next frame.

        Args:
            frame: The scaled frame; its index is the time stamp, since upstream holds time as float32.
            depth: float32 [h, w], metres, 0 where unknown; None in mode ``mono``.
        """
        with self._out_of_memory_in_words(f"on frame {frame.index}"):
            self._droid.track(
                frame.index,
                _image_tensor(frame),
                depth=None if depth is None else torch.from_numpy(depth),
                intrinsics=self._intrinsics.clone(),
            )

    def terminate(self, frames: FrameStore) -> NDArray[np.float64]:
        """Have upstream finish.

        Args:
            frames: All frames tracked. They are shown to upstream once more, without depth, so that it fills
                in the poses of those that are no keyframes.

        Returns:
            What came back, float64 and unchecked: by upstream's interface [N, 7], one camera-to-world pose
            per frame, x y z qx qy qz qw.

        Raises:
            BackendInputError: Variant ``vo``, and upstream never came by what was replaced for it.
        """
        stream = ((frame.index, _image_tensor(frame), self._intrinsics.clone()) for frame in frames)
        with self._out_of_memory_in_words("while all keyframes were optimised and other frames filled in"):
            poses = torch.as_tensor(self._droid.terminate(stream)).cpu().double().numpy()
        if self._skipped is not None and not self._skipped.calls:
            raise BackendInputError(
                f"variant {VO}: upstream never called its attribute '{_BUNDLE_ADJUSTMENT}', so it may have "
                "optimised all keyframes in another way; this commit of upstream cannot be run as odometry"
            )
        return poses

    def _skip_bundle_adjustment(self) -> None:
        if not callable(getattr(self._droid, _BUNDLE_ADJUSTMENT, None)):
            raise BackendInputError(
                f"variant {VO}: upstream's {_CLASS} has no '{_BUNDLE_ADJUSTMENT}' to call; this commit of "
                "upstream cannot be run as odometry"
            )
        self._skipped = _NoBundleAdjustment()
        setattr(self._droid, _BUNDLE_ADJUSTMENT, self._skipped)

    @contextmanager
    def _out_of_memory_in_words(self, when: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            words = str(error).lower()
            if not any(phrase in words for phrase in _OUT_OF_MEMORY):
                raise
            raise BackendInputError(
                f"the GPU ran out of memory {when}: set a smaller buffer (now {self._parameters.buffer} "
                f"keyframes) or smaller image_pixels (now {self._parameters.image_pixels}), or use a GPU "
                f"with more memory ({str(error).strip().splitlines()[0]})"
            ) from error


class _NoBundleAdjustment:
    """Stands where the bundle adjustment of all keyframes stood, and does nothing."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: Any, **__: Any) -> None:
        self.calls += 1


def upstream_arguments(weights: Weights, camera: CameraIntrinsics, parameters: Parameters) -> dict[str, Any]:
    """Everything that upstream reads from its command line, by name."""
    return {
        **{name: value for name, value in asdict(parameters).items() if name != "image_pixels"},
        "weights": str(weights.path),
        "image_size": [camera.height, camera.width],
        "stereo": False,
        "upsample": False,
        "disable_vis": True,
    }


def keyframe_count(video: Any) -> int:
    """The number of keyframes, which upstream may hold as a number or in memory shared between processes."""
    return int(getattr(video.counter, "value", video.counter))


def _upstream_class() -> Any:
    try:
        return getattr(importlib.import_module(_MODULE), _CLASS)
    except (ImportError, OSError, AttributeError) as error:
        raise BackendInputError(
            f"DROID-SLAM cannot be imported ({error}); it runs in its container: "
            "harness backends build droid-slam"
        ) from error


def _image_tensor(frame: StoredFrame) -> torch.Tensor:
    """uint8 [1, 3, h, w], one camera; a copy, so that nothing upstream does to it changes what is kept."""
    return torch.tensor(frame.image)[None]
