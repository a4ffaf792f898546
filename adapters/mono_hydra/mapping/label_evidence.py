"""What was seen of the classes of places, and the most probable class of each.

One observation of class c has the likelihood p where the true class is c, and (1 - p) / (K - 1) for each of
the other K - 1 classes. Up to what all classes share, it adds log(p (K - 1) / (1 - p)) to the log-likelihood
of c and nothing to that of the others. How often each class was seen is therefore all that needs to be kept
for the exact posterior.
"""

import numpy as np
from numpy.typing import NDArray

from adapters.label_space import LabelRole, LabelSpace
from adapters.labelled_mesh import LABEL_UNKNOWN

#: The row of places of which nothing was seen.
NO_ROW = 0

_FIRST_ROWS = 4096
_CLASSES_AT_ONCE = 8
_MOST_SIGHTS = np.iinfo(np.uint16).max


class LabelEvidence:
    """Counts of sights: a row per place, a column per class that was ever seen.

    Rows are handed out on demand, as most voxels are nowhere near a surface.

    Args:
        label_space: The classes there are. Dynamic ones are no class of a place.
        match_probability: Probability that an observation is right, above 0.5.
    """

    def __init__(self, label_space: LabelSpace, match_probability: float) -> None:
        ids = label_space.ids(LabelRole.STRUCTURE, LabelRole.OBJECT)
        self._is_class = np.zeros(256, dtype=bool)
        self._is_class[list(ids)] = True
        self._class_count = len(ids)
        odds = match_probability / (1.0 - match_probability)
        self._gain = np.float32(np.log(odds * max(self._class_count - 1, 1)))
        self._column_of = np.full(256, -1, dtype=np.int64)
        self._seen = np.zeros(0, dtype=np.uint8)
        self._sights = np.zeros((_FIRST_ROWS, _CLASSES_AT_ONCE), dtype=np.uint16)
        self._rows = NO_ROW + 1

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self._sights.nbytes

    def is_class(self, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which labels are classes that places can have."""
        return self._is_class[labels]

    def new_rows(self, count: int) -> NDArray[np.int32]:
        """Rows for ``count`` new places, int32 [count]."""
        first = self._rows
        self._rows += count
        if self._rows > len(self._sights):
            self._grow(max(self._rows, 3 * len(self._sights) // 2), self._sights.shape[1])
        return np.arange(first, self._rows, dtype=np.int32)

    def observe(self, rows: NDArray[np.int32], labels: NDArray[np.uint8]) -> None:
        """Adds one observation per place.

        Args:
            rows: int32 [N], of places, each once.
            labels: uint8 [N], classes.
        """
        new = np.setdiff1d(labels, self._seen)
        if len(new):
            self._column_of[new] = len(self._seen) + np.arange(len(new))
            self._seen = np.concatenate([self._seen, new])
            columns = -(-len(self._seen) // _CLASSES_AT_ONCE) * _CLASSES_AT_ONCE
            if columns > self._sights.shape[1]:
                self._grow(len(self._sights), columns)
        places = rows, self._column_of[labels]
        sights = self._sights[places]
        self._sights[places] = sights + (sights < _MOST_SIGHTS)

    def most_probable(
        self, rows: NDArray[np.int32], shares: NDArray[np.float32], least_probability: float
    ) -> NDArray[np.uint8]:
        """The classes of points between places.

        Args:
            rows: int32 [N, P], the places around each point.
            shares: float32 [N, P], how much the log-likelihoods of each of them count.
            least_probability: A class less probable than this is unknown.

        Returns:
            uint8 [N], 255 where unknown.
        """
        if len(self._seen) == 0:
            return np.full(len(rows), LABEL_UNKNOWN, dtype=np.uint8)
        evidence = np.zeros((len(rows), len(self._seen)), dtype=np.float32)
        for place_rows, share in zip(rows.T, shares.T, strict=True):
            evidence += self._sights[place_rows, : len(self._seen)] * (self._gain * share)[:, None]
        best = evidence.argmax(axis=1)
        most = evidence[np.arange(len(rows)), best]
        # Classes that were never seen have no column; their evidence is 0.
        unseen = (self._class_count - len(self._seen)) * np.exp(-most)
        probability = 1.0 / (np.exp(evidence - most[:, None]).sum(axis=1) + unseen)
        is_known = (most > 0.0) & (probability >= least_probability)
        return np.where(is_known, self._seen[best], np.uint8(LABEL_UNKNOWN))

    def _grow(self, rows: int, columns: int) -> None:
        grown = np.zeros((rows, columns), dtype=np.uint16)
        grown[: self._sights.shape[0], : self._sights.shape[1]] = self._sights
        self._sights = grown
