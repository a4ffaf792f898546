"""Batches out of a source of views for a network like m2hmx-nano, as a training reads them."""

from perception.m2hmx.configuration import load_preset, make_network_config
from perception.training.batches import Batch, BatchStream, DataSettings
from perception.training.views import ViewSource
from sequences.label_spaces import load_label_space


def stream_of(source: ViewSource, batch_size: int, **changes: object) -> BatchStream:
    """Batches of unaltered views.

    Args:
        source: The views; the network has the classes of their label space.
        batch_size: Images in a batch.
        **changes: Keys of the network's configuration.
    """
    assert source.label_space is not None
    network = make_network_config(
        {
            **load_preset("m2hmx-nano").model_dump(mode="json"),
            "num_classes": len(load_label_space(source.label_space).classes),
            "label_space": source.label_space,
            "canonical_focal": None,
            **changes,
        }
    )
    return BatchStream(source, DataSettings(augmentation=None), network, seed=0, batch_size=batch_size)


def place_of(batch: Batch, source: ViewSource, index: int) -> int:
    """Where in a batch a view is."""
    return batch.names.index(f"{source.name}/{index}")
