"""A prediction as bytes and back, bit for bit, with a checksum over everything.

The digest of key and content, the length of the header, the header (JSON: label space; name, type, shape and
packed size of every array), the packed arrays. Bytes of equal significance are put beside each other before
LZ4 packs them: the exponents of neighbouring depths are alike. See ``benchmarks/prediction_cache.py``.
"""

import hashlib
import json
from dataclasses import fields
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from perception.errors import PerceptionError
from perception.module import Prediction

_ARRAYS = tuple(field.name for field in fields(Prediction) if field.name != "label_space")
_DIGEST_BYTES = hashlib.sha256().digest_size
_LENGTH_BYTES = 4


class DamagedEntryError(PerceptionError):
    """What was read is not what was written."""


def pack(key: str, prediction: Prediction) -> bytes:
    """The prediction as the content of a file that is kept under ``key``."""
    described, blocks = [], []
    for name in _ARRAYS:
        array = getattr(prediction, name)
        if array is not None:
            block = lz4.block.compress(_bytes_by_significance(array))
            described.append([name, array.dtype.str, array.shape, len(block)])
            blocks.append(block)
    header = json.dumps({"label_space": prediction.label_space, "arrays": described}).encode()
    content = b"".join([len(header).to_bytes(_LENGTH_BYTES, "little"), header, *blocks])
    return _digest(key, content) + content


def unpack(key: str, packed: bytes) -> Prediction:
    """The prediction that was packed for ``key``; its arrays may be written to.

    Raises:
        DamagedEntryError: It was packed for another key, or is not what was written.
    """
    content = memoryview(packed)[_DIGEST_BYTES:]
    if packed[:_DIGEST_BYTES] != _digest(key, content):
        raise DamagedEntryError("it is not what was written")
    # From here on it is known to be of this making.
    position = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(bytes(content[_LENGTH_BYTES:position]))
    fields: dict[str, Any] = {"label_space": header["label_space"]}
    for name, dtype, shape, size in header["arrays"]:
        plain = lz4.block.decompress(content[position : position + size])
        fields[name] = _array(plain, np.dtype(dtype)).reshape(shape)
        position += size
    return Prediction(**fields)


def _digest(key: str, content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()


def _bytes_by_significance(array: NDArray[Any]) -> bytes:
    """The first byte of every value, then the second of every value, and so on."""
    values = np.ascontiguousarray(array).reshape(-1)
    return values.view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def _array(plain: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values again, in one dimension and in memory of their own."""
    values = np.frombuffer(plain, np.uint8).reshape(dtype.itemsize, -1).T.copy()
    return values.reshape(-1).view(dtype)
