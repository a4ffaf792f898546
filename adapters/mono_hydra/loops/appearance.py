"""Which keyframes look like a new one: bags of binary words without a vocabulary.

Words are bits of ORB descriptors, chosen at random once (locality-sensitive hashing: Indyk, Motwani:
Approximate Nearest Neighbors. STOC 1998), so nothing has to be trained and nothing depends on training
images. Each descriptor has several words from different bits: one changed bit changes only those it is in.
Keyframes are compared as bags of words (Gálvez-López, Tardós: Bags of Binary Words for Fast Place
Recognition in Image Sequences. IEEE Transactions on Robotics 28(5), 2012).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from adapters.mono_hydra.loops.options import LoopOptions

_DESCRIPTOR_BITS = 256
_BLOCK = 64


class AppearanceIndex:
    """Keyframes as rows of a sparse matrix of words.

    One product of that matrix with the weights of a new keyframe's words compares it with all; it takes a few
    nanoseconds a word. An inverted list reads fewer words, but each costs more.
    """

    def __init__(self, options: LoopOptions, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._bits = np.stack(
            [
                random.choice(_DESCRIPTOR_BITS, options.loop_word_bits, replace=False)
                for _ in range(options.loop_word_tables)
            ]
        )
        self._words = options.loop_word_tables << options.loop_word_bits
        self._keyframes_with = np.zeros(self._words, np.int64)
        self._full_blocks: list[csr_array] = []
        self._rows: list[NDArray[np.int32]] = []
        self._last_block: csr_array | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def words_of(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The words of a keyframe, int32 [W], each once, in order.

        Args:
            descriptors: uint8 [N, 32].
        """
        bits = np.unpackbits(descriptors, axis=1)
        tables, length = self._bits.shape
        codes = bits[:, self._bits].astype(np.int32) @ (1 << np.arange(length, dtype=np.int32))
        return np.unique(codes + (np.arange(tables, dtype=np.int32) << length))

    def add(self, words: NDArray[np.int32]) -> None:
        """Adds a keyframe; its number here is how many there were before."""
        self._keyframes_with[words] += 1
        self._count += 1
        self._rows.append(words)
        self._last_block = self._block(self._rows)
        if len(self._rows) == _BLOCK:
            self._full_blocks.append(self._last_block)
            self._rows, self._last_block = [], None

    def similarities(self, words: NDArray[np.int32]) -> NDArray[np.float32]:
        """How much of a keyframe's words is in each keyframe here, words weighted by how rare they are.

        Args:
            words: As from :meth:`words_of`.

        Returns:
            float32 [K], 0 to 1.
        """
        if not self._count:
            return np.zeros(0, np.float32)
        weights = np.zeros(self._words, np.float32)
        weights[words] = self._weights(words)
        blocks = self._full_blocks if self._last_block is None else [*self._full_blocks, self._last_block]
        return np.concatenate([block @ weights for block in blocks])

    def similarity(self, words: NDArray[np.int32], other: NDArray[np.int32]) -> float:
        """The same for one keyframe that need not be here, by its words."""
        return float(self._weights(words)[np.isin(words, other, assume_unique=True)].sum())

    def _weights(self, words: NDArray[np.int32]) -> NDArray[np.float64]:
        """Inverse document frequency, a little above 0 for words that are everywhere; the sum is 1."""
        rarity = np.log((self._count + 1) / (self._keyframes_with[words] + 0.5))
        return rarity / max(float(rarity.sum()), np.finfo(np.float32).tiny)

    def _block(self, rows: list[NDArray[np.int32]]) -> csr_array:
        indices = np.concatenate(rows)
        ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
        return csr_array(
            (np.ones(len(indices), np.float32), indices, ends), shape=(len(rows), self._words), copy=False
        )
