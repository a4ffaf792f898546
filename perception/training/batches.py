"""Batches out of single views: which ones, changed how, and read ahead by other processes.

Batch n of a seed is the same whoever asks, in whatever order and with how many processes: a training that is
cut off and continued sees what it would have seen.
"""

import itertools
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from perception.errors import PerceptionError
from perception.inference.canonical_camera import canonical_factor
from perception.inference.images import ImageContract, network_input
from perception.m2hmx.configuration import NetworkConfig
from perception.m2hmx.module import image_contract
from perception.settings import Settings
from perception.training.augmentation import AugmentationSettings, augmented, resized
from perception.training.derived_targets import edges_from_labels, with_normals
from perception.training.targets import Targets
from perception.training.views import View, ViewSource
from sequences.errors import SequenceError
from sequences.label_spaces import LabelSpace, label_table, load_label_space
from sequences.model import LABEL_UNKNOWN

# Tell the random numbers of one purpose from those of another with the same seed.
_ORDER, _CHANGES = 0, 1
#: Batches that every process has ready.
_READY = 2


class BrokenSampleError(PerceptionError):
    """A view cannot be read, or is not what it should be. A training must not go on without telling."""


class SizeSettings(Settings):
    """Images of another size than the network's for a while.

    Attributes:
        batches: How many batches have it.
        image_size: Height and width, pixels.
    """

    batches: int = Field(ge=1)
    image_size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]]


class DataSettings(Settings):
    """How views become batches.

    Attributes:
        augmentation: How much chance changes views; null: they are resized and that is all.
        sizes_first: Sizes of the first batches, one after the other; those that come after have the network's
            own. Small images cost a fraction of large ones, and most of what is learned from them holds for
            large ones too (progressive resizing).
    """

    augmentation: AugmentationSettings | None = AugmentationSettings()
    sizes_first: tuple[SizeSettings, ...] = ()

    def size_of_batch(self, number: int) -> tuple[int, int] | None:
        """Height and width of the images of a batch, pixels; None for those of the network."""
        end = 0
        for size in self.sizes_first:
            end += size.batches
            if number < end:
                return size.image_size
        return None


@dataclass(frozen=True)
class Batch:
    """A few images with ground truth.

    Attributes:
        images: float32 [B, 3, H, W], RGB, ImageNet-normalised.
        targets: Ground truth for the tasks of the network, of the size of the images. Labels are classes of
            the network, 0 for the first of its label space; depth is as the network's canonical camera sees
            it where it has one.
        intrinsics: float32 [B, 4], fx, fy, cx, cy in pixels of the images; the first pixel's centre is 0.0.
        names: What each image is called in its source.
    """

    images: Tensor
    targets: Targets
    intrinsics: Tensor
    names: tuple[str, ...]


class BatchStream:
    """Batches by number, without end. Pickles if its source does.

    An epoch shows every view once, in an order of its own; batches go on from one epoch to the next, so that
    none is smaller.

    Args:
        source: The views.
        settings: How they become batches.
        network_config: Size of the images, label space and tasks.
        seed: Decides order and changes.
        batch_size: Images in a batch.

    Raises:
        PerceptionError: The source is empty or its labels are not those of the network, or the network does
            not say what it takes.
    """

    def __init__(
        self,
        source: ViewSource,
        settings: DataSettings,
        network_config: NetworkConfig,
        seed: int,
        batch_size: int,
    ):
        if not len(source):
            raise PerceptionError(f"'{source.name}' has no views to train on")
        self._source, self._settings, self._config = source, settings, network_config
        self._seed, self._batch_size = seed, batch_size
        self._contract = image_contract(network_config)
        self._classes = _class_table(source, network_config)

    def batch(self, step: int) -> Batch:
        """The batch of a number, from 0.

        Raises:
            BrokenSampleError: A view cannot be read; names it.
        """
        first = step * self._batch_size
        samples = [self._sample(number) for number in range(first, first + self._batch_size)]
        return _joined(samples)

    def prefetched(self, start_step: int, workers: int) -> Iterator[Batch]:
        """The batches from a number on, without end.

        Args:
            start_step: Number of the first one.
            workers: Processes that read ahead, two batches each; 0: every batch is read when it is asked for.

        Raises:
            BrokenSampleError: A view cannot be read; names it.
            PerceptionError: A process that reads ahead was killed.
        """
        if workers == 0:
            yield from map(self.batch, itertools.count(start_step))
            return
        loader = DataLoader(
            _Steps(self),
            sampler=itertools.count(start_step),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=_READY,
            worker_init_fn=_begin_reading,
            # Its own, or reading would change what the network's dropout draws.
            generator=torch.Generator().manual_seed(0),
        )
        batches = iter(loader)
        while True:
            try:
                found = next(batches)
            except RuntimeError as error:
                # Torch has no type of its own for a process that is gone.
                if not str(error).startswith("DataLoader worker"):
                    raise
                raise PerceptionError(f"a process that reads batches ahead was lost: {error}") from error
            if isinstance(found, str):
                raise BrokenSampleError(found)
            yield found

    def _sample(self, number: int) -> Batch:
        """A batch of one."""
        epoch, place = divmod(number, len(self._source))
        index = int(_order(self._seed, epoch, len(self._source))[place])
        name = f"{self._source.name}/{index}"
        try:
            view = self._source.view(index)
        except SequenceError as error:
            raise BrokenSampleError(f"{name} cannot be trained on: {error}") from error
        _require_one_size(view, name)
        if "normals" in self._config.tasks:
            view = with_normals(view)
        rng = np.random.default_rng([self._seed, _CHANGES, number])
        contract = self._contract_of_batch(number // self._batch_size)
        size = contract.image_size
        if self._settings.augmentation is None:
            view = resized(view, size)
        else:
            view = augmented(view, size, self._settings.augmentation, rng)
        camera = view.intrinsics
        return Batch(
            images=torch.from_numpy(network_input(view.rgb, contract)),
            targets=self._targets(view),
            intrinsics=torch.tensor([[camera.fx, camera.fy, camera.cx, camera.cy]], dtype=torch.float32),
            names=(name,),
        )

    def _contract_of_batch(self, number: int) -> ImageContract:
        size = self._settings.size_of_batch(number)
        return self._contract if size is None else self._contract.model_copy(update={"image_size": size})

    def _targets(self, view: View) -> Targets:
        """What the network's tasks are trained towards and the view has."""
        tasks = self._config.tasks
        depth, labels = view.depth, view.labels
        if depth is not None and self._config.canonical_focal is not None:
            depth = depth * np.float32(canonical_factor(view.intrinsics, self._config.canonical_focal))
        if labels is not None and self._classes is not None:
            labels = self._classes[labels]
        return Targets(
            # Losses of other tasks use depth as well.
            depth=None if depth is None else _tensor(depth)[None, None],
            labels=None if labels is None or "semseg" not in tasks else _tensor(labels).long()[None],
            normals=(
                None
                if view.normals is None or "normals" not in tasks
                else _tensor(view.normals).permute(2, 0, 1)[None].contiguous()
            ),
            edges=(
                None
                if labels is None or "edge" not in tasks
                else _tensor(edges_from_labels(labels))[None, None]
            ),
        )


class _Steps(Dataset[Batch | str]):
    """Batches by number for a loader. An error comes as its text, which any process can be sent."""

    def __init__(self, stream: BatchStream):
        self._stream = stream

    def __getitem__(self, step: int) -> Batch | str:
        try:
            return self._stream.batch(step)
        except BrokenSampleError as error:
            return str(error)


def _begin_reading(_worker: int) -> None:
    """One thread, as there are more processes; and Ctrl-C is for the training, which still takes batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def _tensor(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _joined(samples: list[Batch]) -> Batch:
    """Batches of one as one. What one of them does not have is unknown for all, so that it must be in all.

    Raises:
        BrokenSampleError: Only some have depth, labels or normals.
    """

    def joined(what: str, pick: Callable[[Batch], Tensor | None]) -> Tensor | None:
        tensors = [tensor for sample in samples if (tensor := pick(sample)) is not None]
        if 0 < len(tensors) < len(samples):
            without = next(sample.names[0] for sample in samples if pick(sample) is None)
            raise BrokenSampleError(f"{without} has no {what}, and other views of its source have")
        return torch.cat(tensors) if tensors else None

    return Batch(
        images=torch.cat([sample.images for sample in samples]),
        targets=Targets(
            depth=joined("depth", lambda sample: sample.targets.depth),
            labels=joined("labels", lambda sample: sample.targets.labels),
            normals=joined("normals", lambda sample: sample.targets.normals),
            edges=joined("labels", lambda sample: sample.targets.edges),
        ),
        intrinsics=torch.cat([sample.intrinsics for sample in samples]),
        names=tuple(sample.names[0] for sample in samples),
    )


def _require_one_size(view: View, name: str) -> None:
    size = (view.intrinsics.height, view.intrinsics.width)
    for what in ("rgb", "depth", "labels", "normals"):
        image = getattr(view, what)
        if image is not None and image.shape[:2] != size:
            found = "×".join(map(str, image.shape[:2]))
            raise BrokenSampleError(f"{name}: {what} is {found} pixels, its camera {size[0]}×{size[1]}")


def _class_table(source: ViewSource, config: NetworkConfig) -> NDArray[np.uint8] | None:
    """From labels of the source to classes of the network, uint8 [256]; None where neither is of use."""
    if source.label_space is None or config.label_space is None or not {"semseg", "edge"} & set(config.tasks):
        return None
    try:
        space = load_label_space(config.label_space)
        ids = label_table(load_label_space(source.label_space), space)
    except SequenceError as error:
        raise PerceptionError(f"labels of '{source.name}' cannot be those of the network: {error}") from error
    return _class_of_id(space)[ids]


def _class_of_id(space: LabelSpace) -> NDArray[np.uint8]:
    table = np.full(256, LABEL_UNKNOWN, np.uint8)
    for index, entry in enumerate(space.classes):
        table[entry.id] = index
    return table
