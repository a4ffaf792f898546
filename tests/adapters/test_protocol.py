"""Messages survive the wire, and bytes that are no message are told apart from them."""

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from adapters.errors import ProtocolViolationError
from adapters.protocol import PROTOCOL_VERSION, Message, MessageType, decode, encode

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=8),
    hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32, np.float64]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
    ),
    max_size=3,
)
FIELDS = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.integers(-(2**60), 2**60), max_size=4
)


@given(st.sampled_from(MessageType), FIELDS, ARRAYS)
def test_a_message_comes_back_as_it_was_sent(kind, fields, arrays):
    received = decode([bytes(part) for part in encode(Message(kind, fields, arrays))])
    assert (received.kind, received.fields) == (kind, fields)
    assert list(received.arrays) == list(arrays)
    for name, array in arrays.items():
        assert received.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(received.arrays[name], array)


@given(st.lists(st.binary(max_size=64), max_size=3))
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(parts):
    with pytest.raises(ProtocolViolationError):
        decode(parts)


def test_arrays_are_sent_without_being_copied():
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    _, buffer = encode(Message(MessageType.FRAME, arrays={"rgb": image}))
    assert np.shares_memory(np.frombuffer(buffer, dtype=np.uint8), image)


def test_an_array_that_is_not_contiguous_arrives_in_its_own_order():
    image = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    received = decode(encode(Message(MessageType.FRAME, arrays={"depth": image})))
    np.testing.assert_array_equal(received.arrays["depth"], image)


def test_received_arrays_are_native_ones_that_every_library_takes():
    received = decode(encode(Message(MessageType.FRAME, arrays={"depth": np.ones(3, dtype=np.float32)})))
    # Open3D refuses buffers that spell out their byte order.
    assert memoryview(received.arrays["depth"]).format == "f"


def test_another_version_is_refused_by_its_number():
    parts = encode(Message(MessageType.HELLO), version=PROTOCOL_VERSION + 6)
    with pytest.raises(ProtocolViolationError, match=f"version {PROTOCOL_VERSION + 6} where version"):
        decode(parts)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"type": "greeting"}, "unknown message type 'greeting'"),
        ({"arrays": [{"name": "rgb", "dtype": "object", "shape": [1]}]}, "not valid"),
        ({"arrays": [{"name": "rgb", "dtype": "uint8", "shape": [-1]}]}, "impossible shape"),
        ({"arrays": [{"name": "rgb", "dtype": "uint8", "shape": [7]}]}, "takes 7 bytes, got 4"),
        ({"arrays": []}, "announces 0 arrays and brings 1"),
        ({"fields": None}, "lacks fields or arrays"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(change, complaint):
    header = {
        "protocol": PROTOCOL_VERSION,
        "type": "frame",
        "fields": {},
        "arrays": [{"name": "rgb", "dtype": "uint8", "shape": [4]}],
    }
    with pytest.raises(ProtocolViolationError, match=complaint):
        decode([msgpack.packb(header | change), b"1234"])


def test_a_field_of_the_wrong_type_is_named():
    message = Message(MessageType.ACK, {"index": True})
    with pytest.raises(ProtocolViolationError, match="field 'index' of 'ack' must be int, got bool"):
        message.value("index", int)


def test_an_array_of_the_wrong_shape_is_named_with_both_shapes():
    message = Message(MessageType.FRAME, arrays={"rgb": np.zeros((2, 3), dtype=np.uint8)})
    with pytest.raises(ProtocolViolationError, match="must be uint8 N×4, got uint8 2×3"):
        message.array("rgb", "uint8", (None, 4))
