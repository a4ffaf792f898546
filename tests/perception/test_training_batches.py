"""Batches: every view once an epoch, the same whoever reads them, with targets for the network's tasks."""

import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from training_boxes import NETWORK, BoxViews

from perception.errors import PerceptionError
from perception.inference.images import IMAGENET_MEAN, IMAGENET_STD
from perception.m2hmx.configuration import make_network_config
from perception.training.augmentation import AugmentationSettings
from perception.training.batches import BatchStream, BrokenSampleError, DataSettings, SizeSettings
from perception.training.views import View
from sequences.errors import DataFileError

AS_THEY_ARE = DataSettings(augmentation=None)
BOXES = BoxViews()


class BrokenViews(BoxViews):
    """One of its files is damaged."""

    name = "broken"

    def view(self, index):
        if index == 5:
            raise DataFileError("/data/room/5.png", "is damaged")
        return super().view(index)


class HalfLabelled(BoxViews):
    """Only views with an even number have depth."""

    def view(self, index):
        view = super().view(index)
        return view if index % 2 == 0 else View(view.rgb, view.intrinsics, None, view.labels)


class WrongSize(BoxViews):
    def view(self, index):
        view = super().view(index)
        return View(view.rgb, view.intrinsics, view.depth[:-1], view.labels)


def network(**changes):
    return make_network_config({**NETWORK, **changes})


def stream_of(source=BOXES, settings=AS_THEY_ARE, seed=0, batch_size=3, **changes):
    return BatchStream(source, settings, network(**changes), seed, batch_size)


def assert_same(first, second):
    assert first.names == second.names
    for name in ("depth", "labels", "normals", "edges"):
        one, other = getattr(first.targets, name), getattr(second.targets, name)
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.intrinsics, second.intrinsics)


def test_every_view_comes_once_an_epoch_and_in_another_order_in_the_next():
    # Seven views in batches of three: batches go on from one epoch to the next.
    stream = stream_of(BoxViews(7))
    names = [name for step in range(7) for name in stream.batch(step).names]
    epochs = [names[start : start + 7] for start in (0, 7, 14)]
    for epoch in epochs:
        assert sorted(epoch) == [f"boxes/{index}" for index in range(7)]
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_depends_on_seed_and_number_alone():
    first, second, other = (stream_of(settings=DataSettings(), seed=seed) for seed in (4, 4, 5))
    assert_same(first.batch(9), second.batch(9))
    second.batch(2)
    assert_same(first.batch(9), second.batch(9))
    assert first.batch(9).names != other.batch(9).names


def test_the_same_view_is_changed_otherwise_in_the_next_epoch():
    stream = stream_of(BoxViews(1), DataSettings(), batch_size=1)
    first, second = stream.batch(0), stream.batch(1)
    assert first.names == second.names
    assert not torch.equal(first.images, second.images)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_read_ahead_are_the_same_with_any_number_of_processes(workers):
    stream = stream_of(settings=DataSettings())
    ahead = stream.prefetched(3, workers)
    for step, batch in zip(range(3, 7), ahead, strict=False):
        assert_same(batch, stream.batch(step))
    ahead.close()


def test_reading_ahead_draws_nothing_from_the_random_numbers_of_torch():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    ahead = stream_of().prefetched(0, 1)
    next(ahead)
    ahead.close()
    assert torch.equal(torch.rand(3), expected)


def test_a_stream_pickles():
    stream = stream_of(settings=DataSettings())
    assert_same(pickle.loads(pickle.dumps(stream)).batch(1), stream.batch(1))


def test_images_are_normalised_and_targets_are_those_of_the_view():
    source = BoxViews(1)
    batch, view = stream_of(source, batch_size=1).batch(0), source.view(0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    levels = ((batch.images[0] * std + mean) * 255).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(levels, view.rgb, atol=1e-3)
    np.testing.assert_array_equal(batch.targets.depth[0, 0], view.depth)
    camera = view.intrinsics
    assert batch.intrinsics.tolist() == [[camera.fx, camera.fy, camera.cx, camera.cy]]
    assert batch.names == ("boxes/0",)
    assert batch.targets.normals is None
    assert batch.targets.edges is None


def test_labels_become_classes_of_the_network():
    # Ids of NYU-40 begin with 1, classes with 0: wall and cabinet.
    labels = stream_of(BoxViews(1), batch_size=1).batch(0).targets.labels
    assert labels.dtype == torch.int64
    assert labels.unique().tolist() == [0, 2]


def test_labels_are_mapped_to_the_label_space_of_the_network():
    changes = {"label_space": "scannet20", "num_classes": 20}
    labels = stream_of(BoxViews(1), batch_size=1, **changes).batch(0).targets.labels
    # ScanNet's first classes are wall, floor, cabinet.
    assert labels.unique().tolist() == [0, 2]


def test_labels_of_a_space_that_cannot_be_mapped_are_refused():
    source = BoxViews(1)
    source.label_space = "scannet20"
    with pytest.raises(PerceptionError, match=r"'scannet20'.*'nyu40'"):
        stream_of(source)


def test_normals_and_edges_are_derived_for_a_network_that_has_these_tasks():
    changes = {"tasks": ["semseg", "depth", "normals", "edge"]}
    targets = stream_of(BoxViews(2), batch_size=2, **changes).batch(0).targets
    known = (targets.normals != 0).any(dim=1)
    assert known.float().mean() > 0.5
    # Box and wall are square to the camera.
    assert torch.allclose(targets.normals[:, 2][known], torch.tensor(-1.0), atol=1e-4)
    assert targets.edges.unique().tolist() == [0, 1]
    assert targets.edges.shape == targets.depth.shape


def test_depth_is_that_of_the_canonical_camera_when_one_is_wanted():
    plain, canonical = (
        stream_of(settings=DataSettings(), canonical_focal=focal).batch(0) for focal in (None, 0.8)
    )
    width = plain.images.shape[3]
    factor = 0.8 * width / plain.intrinsics[:, 0]
    assert len(factor.unique()) > 1
    expected = plain.targets.depth * factor[:, None, None, None]
    torch.testing.assert_close(canonical.targets.depth, expected)
    assert torch.equal(plain.intrinsics, canonical.intrinsics)


def test_a_view_of_another_size_is_brought_to_that_of_the_network():
    camera = BoxViews(1).view(0).intrinsics
    wanted = (camera.height + 16, 2 * camera.width)
    batch = stream_of(image_size=list(wanted)).batch(0)
    assert batch.images.shape[2:] == batch.targets.depth.shape[2:] == wanted
    down = wanted[0] / camera.height
    expected = [2 * camera.fx, down * camera.fy, 2 * camera.cx + 0.5, down * (camera.cy + 0.5) - 0.5]
    torch.testing.assert_close(batch.intrinsics[0], torch.tensor(expected))


def test_the_first_batches_may_have_images_of_other_sizes():
    sizes = (SizeSettings(batches=1, image_size=(16, 32)), SizeSettings(batches=2, image_size=(48, 32)))
    stream = stream_of(settings=DataSettings(sizes_first=sizes))
    own = tuple(stream_of().batch(0).images.shape[2:])
    found = [tuple(stream.batch(number).images.shape[2:]) for number in range(5)]
    assert found == [(16, 32), (48, 32), (48, 32), own, own]
    assert [tuple(stream.batch(number).targets.depth.shape[2:]) for number in range(5)] == found
    _, _, cx, cy = stream.batch(0).intrinsics[0]
    assert cx < 32
    assert cy < 16


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_view_stops_reading_and_is_named_with_its_file(workers):
    ahead = stream_of(BrokenViews(8)).prefetched(0, workers)
    with pytest.raises(BrokenSampleError, match=r"broken/5 .*/data/room/5\.png: is damaged"):
        list(islice(ahead, 3))


def test_views_with_and_without_depth_do_not_go_together():
    with pytest.raises(BrokenSampleError, match=r"boxes/\d*[13579] has no depth"):
        stream_of(HalfLabelled(4), batch_size=4).batch(0)


def test_a_view_whose_images_differ_in_size_is_named():
    with pytest.raises(BrokenSampleError, match=r"boxes/\d+: depth is 31×\d+ pixels, its camera 32×\d+"):
        stream_of(WrongSize(4)).batch(0)


def test_a_source_without_views_is_refused():
    with pytest.raises(PerceptionError, match="'boxes' has no views"):
        stream_of(BoxViews(0))


def test_settings_are_read_from_plain_values():
    text = '{"augmentation": {"crop": [0.5, 0.9]}, "sizes_first": [{"batches": 3, "image_size": [48, 64]}]}'
    settings = DataSettings.model_validate_json(text)
    assert settings.augmentation == AugmentationSettings(crop=(0.5, 0.9))
