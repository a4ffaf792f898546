"""What sparse graphs of numbered nodes are asked: which nodes hang together, and along which ways."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree


def connected_pieces(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The connected piece that each of ``count`` nodes belongs to.

    Args:
        edges: int64 [E, 2].
        count: Number of nodes.

    Returns:
        int64 [count], from 0.
    """
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def preferred_spanning_tree(
    edges: NDArray[np.int64], order: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """The edges that join all of ``count`` nodes which can be joined, those that come first preferred.

    Args:
        edges: int64 [E, 2], each pair once.
        order: int64 [E], all indices into ``edges``, the most welcome first.
        count: Number of nodes.

    Returns:
        int64, indices into ``edges``, in that order.
    """
    if len(edges) == 0:
        return np.zeros(0, np.int64)
    # Distinct whole numbers above 0: the weight of an edge of the tree tells which edge it is.
    weights = np.empty(len(edges))
    weights[order] = np.arange(1, len(edges) + 1)
    tree = minimum_spanning_tree(coo_array((weights, edges.T), shape=(count, count)).tocsr())
    return order[np.sort(tree.data.astype(np.int64)) - 1]
