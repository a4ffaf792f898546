"""From a camera image to what a network takes, and from what it gives back to the camera's size.

The same for every network and every engine that runs it; what differs stands in :class:`ImageContract`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, FiniteFloat

from perception.errors import PerceptionError
from perception.inference.canonical_camera import canonical_factor
from perception.module import Prediction
from perception.settings import Settings
from sequences.errors import SequenceError
from sequences.label_spaces import LabelSpace, label_table, load_label_space
from sequences.model import LABEL_UNKNOWN, Intrinsics

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Resizing(StrEnum):
    """Which bilinear interpolation is used; they differ where images shrink, Pillow filters then."""

    OPENCV = "opencv"
    PILLOW = "pillow"


class ImageContract(Settings):
    """What a network was trained to take and to give.

    Attributes:
        image_size: Height and width of its input, pixels.
        mean: Of the colours it was trained on, RGB in 0 to 1.
        std: Their standard deviation.
        min_depth: Least depth it can say, metres.
        max_depth: Greatest, metres.
        label_space: Label space of its classes; class i is the i-th of the space. None without semantics.
        canonical_focal: Its depth is that of a camera with this focal length over the width of the image, see
            `perception.inference.canonical_camera`. None: of the camera that took the image.
    """

    image_size: tuple[int, int]
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat] = IMAGENET_MEAN
    std: tuple[FiniteFloat, FiniteFloat, FiniteFloat] = IMAGENET_STD
    min_depth: FiniteFloat = Field(ge=0)
    max_depth: FiniteFloat = Field(gt=0)
    label_space: str | None = None
    canonical_focal: FiniteFloat | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class NetworkOutput:
    """What a network says of one image, at its own resolution h × w.

    Attributes:
        depth: float32 [h, w], metres, not yet scaled; that of a canonical camera where the contract has one.
        classes: uint8 [h, w], index of the likeliest class.
        normals: float32 [3, h, w], unit vectors.
        edges: float32 [h, w], logits.
    """

    depth: NDArray[np.float32] | None = None
    classes: NDArray[np.uint8] | None = None
    normals: NDArray[np.float32] | None = None
    edges: NDArray[np.float32] | None = None


def network_input(
    rgb: NDArray[np.uint8], contract: ImageContract, resizing: Resizing = Resizing.OPENCV
) -> NDArray[np.float32]:
    """The image as the network takes it.

    Args:
        rgb: uint8 [H, W, 3].
        contract: Size and normalisation.
        resizing: Which bilinear interpolation.

    Returns:
        float32 [1, 3, h, w].
    """
    height, width = contract.image_size
    if rgb.shape[:2] != (height, width):
        if resizing is Resizing.PILLOW:
            rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        else:
            rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    mean, std = np.array(contract.mean, np.float32), np.array(contract.std, np.float32)
    normalised = (rgb.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))[None]


def require_classes(contract: ImageContract, count: int) -> None:
    """Refuse a network whose classes cannot be those of its label space.

    Raises:
        PerceptionError: There is no label space, or it has another number of classes.
    """
    if contract.label_space is None:
        raise PerceptionError("the network has semantics and does not say of which label space")
    known = len(_label_space(contract.label_space).classes)
    if count != known:
        raise PerceptionError(
            f"the network has {count} classes and its label space '{contract.label_space}' has {known}"
        )


class PredictionBuilder:
    """Turns what a network gives into a prediction at the size of the camera's image.

    Args:
        contract: What the network gives.
        depth_scale: What its depth is multiplied with; corrects a network that is wrong by a factor on a
            camera it has not seen.
        label_space: Label space of the predictions; that of the network, or one made of its classes.

    Raises:
        PerceptionError: The network's labels cannot be turned into that label space.
    """

    def __init__(self, contract: ImageContract, depth_scale: float, label_space: str | None):
        self._contract = contract
        self._depth_scale = depth_scale
        self.label_space = label_space or contract.label_space
        self._label_of_class = _label_table(contract.label_space, self.label_space)

    def build(
        self, output: NetworkOutput, height: int, width: int, camera: Intrinsics | None = None
    ) -> Prediction:
        """The prediction for an image of that size.

        Depth is clipped to the network's range, turned from that of a canonical camera into that of the one
        that took the image, scaled, and interpolated bilinearly; labels are the nearest ones; normals are
        interpolated and normalised again.

        Args:
            output: Of the network.
            height: Of the image, pixels.
            width: Of the image, pixels.
            camera: That took the image; needed where the contract has a canonical focal length.

        Raises:
            PerceptionError: The camera is needed and not known.
        """
        size = (width, height)
        semantics = edges = None
        if output.classes is not None:
            labels = self._label_of_class[output.classes]
            semantics = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        if output.edges is not None:
            edges = cv2.resize(_sigmoid(output.edges), size, interpolation=cv2.INTER_LINEAR)
        return Prediction(
            depth=None if output.depth is None else self._depth(output.depth, size, camera),
            semantics=semantics,
            label_space=None if semantics is None else self.label_space,
            normals=None if output.normals is None else _resized_normals(output.normals, size),
            edges=edges,
        )

    def _depth(
        self, depth: NDArray[np.float32], size: tuple[int, int], camera: Intrinsics | None
    ) -> NDArray[np.float32]:
        scale = self._depth_scale
        if self._contract.canonical_focal is not None:
            if camera is None:
                raise PerceptionError("metric depth by this network needs the focal length of the camera")
            scale /= canonical_factor(camera, self._contract.canonical_focal)
        least, greatest = self._contract.min_depth * scale, self._contract.max_depth * scale
        clipped = np.clip(depth * np.float32(scale), np.float32(least), np.float32(greatest))
        return np.asarray(cv2.resize(clipped, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _resized_normals(normals: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    resized = cv2.resize(
        np.ascontiguousarray(normals.transpose(1, 2, 0)), size, interpolation=cv2.INTER_LINEAR
    )
    length = np.linalg.norm(resized, axis=2, keepdims=True)
    return np.asarray(resized / np.maximum(length, 1e-12), dtype=np.float32)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float32)


def _label_table(own: str | None, wanted: str | None) -> NDArray[np.uint8]:
    """From index of a class to label of the wanted space, uint8 [256]; 255 where there is none."""
    table = np.full(256, LABEL_UNKNOWN, np.uint8)
    if own is None:
        if wanted is not None:
            raise PerceptionError(f"the network has no semantics to be turned into label space '{wanted}'")
        return table
    space = _label_space(own)
    ids = [entry.id for entry in space.classes]
    table[: len(ids)] = ids
    target = space if wanted is None else _label_space(wanted)
    try:
        return label_table(space, target)[table]
    except SequenceError as error:
        raise PerceptionError(f"labels of the network cannot be those of '{wanted}': {error}") from error


def _label_space(name: str) -> LabelSpace:
    try:
        return load_label_space(name)
    except SequenceError as error:
        raise PerceptionError(str(error)) from error


def plain_contract(contract: ImageContract) -> dict[str, Any]:
    """The contract as plain values, for records and for files that travel with a network."""
    return contract.model_dump(mode="json")
