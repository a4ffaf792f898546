"""Messages between harness and backend: a msgpack header, then raw array buffers without copies.

A message is multipart. Part 0 is the header, a msgpack map of ``protocol`` (integer), ``type``, ``fields``
(plain values) and ``arrays`` (a list of name, dtype and shape); parts 1 to n are the arrays' buffers in that
order, C-contiguous and little-endian. The conversation is always started by the harness:

====== ============ =======================================================
asked  answered     meaning
====== ============ =======================================================
hello  capabilities who are you, what can you do
start  ready        camera, mode, seed, options; load everything
frame  ack          one frame; tracking state, live pose, milliseconds spent
finish result       trajectory of all frames, keyframes, files, peak memory
====== ============ =======================================================

Messages are answered one after the other, in their order. A frame may be sent while the one before is still
worked on, so that it lies ready when that is answered; never more than one.

Instead of any answer a backend may send ``error`` with a message for people; the conversation is then over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from adapters.errors import ProtocolViolationError

#: 2: ``start`` brings the label space, frames bring IMU samples with exact timestamps of their own.
PROTOCOL_VERSION = 2

#: The dtypes that may travel, by the name that stands in the header.
_DTYPES = {np.dtype(code).name: np.dtype(code) for code in ("<u1", "<i8", "<f4", "<f8")}


class MessageType(str, Enum):
    """Every kind of message there is."""

    HELLO = "hello"
    CAPABILITIES = "capabilities"
    START = "start"
    READY = "ready"
    FRAME = "frame"
    ACK = "ack"
    FINISH = "finish"
    RESULT = "result"
    ERROR = "error"


_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Message:
    """One message, decoded.

    Attributes:
        kind: What it is.
        fields: Plain values that msgpack can hold.
        arrays: Arrays by name; decoded ones are read-only views of the received buffers.
    """

    kind: MessageType
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def array(
        self, name: str, dtype: str, shape: tuple[int | None, ...], required: bool = True
    ) -> NDArray[Any] | None:
        """An array of the message, checked.

        Args:
            name: Name in the header.
            dtype: The dtype it must have.
            shape: The shape it must have; None stands for any length.
            required: Whether its absence breaks the protocol.

        Raises:
            ProtocolViolationError: It is missing or of another dtype or shape.
        """
        if name not in self.arrays:
            if required:
                raise ProtocolViolationError(f"'{self.kind.value}' lacks the array '{name}'")
            return None
        array = self.arrays[name]
        fits = len(array.shape) == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype != np.dtype(dtype) or not fits:
            wanted = "×".join("N" if length is None else str(length) for length in shape)
            found = "×".join(map(str, array.shape))
            raise ProtocolViolationError(
                f"'{name}' of '{self.kind.value}' must be {dtype} {wanted}, got {array.dtype} {found}"
            )
        return array

    def value(self, name: str, *types: type) -> Any:
        """A field of the message, checked to be of one of ``types``.

        Raises:
            ProtocolViolationError: It is missing or of another type.
        """
        if name not in self.fields:
            raise ProtocolViolationError(f"'{self.kind.value}' lacks the field '{name}'")
        value = self.fields[name]
        # bool is an int to Python, not to the protocol.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join(kind.__name__ for kind in types)
            raise ProtocolViolationError(
                f"field '{name}' of '{self.kind.value}' must be {wanted}, got {type(value).__name__}"
            )
        return value


def encode(message: Message, version: int = PROTOCOL_VERSION) -> list[bytes | memoryview]:
    """Turn a message into the parts that are sent; arrays are not copied when they are contiguous."""
    described = []
    buffers: list[bytes | memoryview] = []
    for name, array in message.arrays.items():
        if array.dtype.name not in _DTYPES:
            raise ProtocolViolationError(f"array '{name}' has dtype {array.dtype}, which cannot be sent")
        contiguous = np.ascontiguousarray(array, dtype=_DTYPES[array.dtype.name])
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
        buffers.append(contiguous.data.cast("B") if contiguous.size else b"")
    header = {
        "protocol": version,
        "type": message.kind.value,
        "fields": message.fields,
        "arrays": described,
    }
    return [msgpack.packb(header), *buffers]


def decode(parts: Sequence[bytes | memoryview]) -> Message:
    """Turn received parts into a message.

    Raises:
        ProtocolViolationError: The bytes are no message of this version of the protocol.
    """
    header = _decode_header(parts)
    try:
        kind = MessageType(header["type"])
    except (KeyError, ValueError) as error:
        raise ProtocolViolationError(f"unknown message type {header.get('type')!r}") from error
    fields, described = header.get("fields"), header.get("arrays")
    if not isinstance(fields, dict) or not isinstance(described, list):
        raise ProtocolViolationError(f"header of '{kind.value}' lacks fields or arrays")
    if len(described) != len(parts) - 1:
        raise ProtocolViolationError(
            f"'{kind.value}' announces {len(described)} arrays and brings {len(parts) - 1}"
        )
    arrays = dict(_decode_array(entry, part) for entry, part in zip(described, parts[1:], strict=True))
    if len(arrays) != len(described):
        raise ProtocolViolationError(f"'{kind.value}' brings two arrays of one name")
    return Message(kind, fields, arrays)


def _decode_header(parts: Sequence[bytes | memoryview]) -> dict[str, Any]:
    try:
        header = msgpack.unpackb(parts[0])
    except (ValueError, IndexError, msgpack.UnpackException) as error:
        size = sum(len(part) for part in parts)
        raise ProtocolViolationError(f"{size} bytes that are no message (no msgpack header)") from error
    if not isinstance(header, dict) or not isinstance(header.get("protocol"), int):
        raise ProtocolViolationError("a message whose header names no protocol version")
    if header["protocol"] != PROTOCOL_VERSION:
        raise ProtocolViolationError(
            f"protocol version {header['protocol']} where version {PROTOCOL_VERSION} is spoken; "
            "use a harness and a backend of the same release"
        )
    return header


def _decode_array(entry: Any, part: bytes | memoryview) -> tuple[str, NDArray[Any]]:
    try:
        name, dtype_name, shape = entry["name"], entry["dtype"], tuple(entry["shape"])
        dtype = _DTYPES[dtype_name]
    except (KeyError, TypeError) as error:
        raise ProtocolViolationError(f"array description {entry!r} is not valid") from error
    if not isinstance(name, str):
        raise ProtocolViolationError(f"array name {name!r} is not text")
    if len(shape) > _MOST_DIMENSIONS or not all(type(length) is int and length >= 0 for length in shape):
        raise ProtocolViolationError(f"array '{name}' has the impossible shape {shape}")
    expected = prod(shape) * dtype.itemsize
    if len(part) != expected:
        raise ProtocolViolationError(
            f"array '{name}' of shape {shape} and dtype {dtype_name} takes {expected} bytes, got {len(part)}"
        )
    return name, np.frombuffer(part, dtype=dtype).reshape(shape)
