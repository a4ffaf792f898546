"""Trains a small vocabulary of ORB words, the same bit for bit whenever images, parameters and seed are.

The tree is made by clustering binary descriptors level by level. Centres are the majority of each bit,
distances are Hamming distances, and words are weighted by inverse document frequency, as in Gálvez-López,
Tardós: Bags of Binary Words for Fast Place Recognition in Image Sequences. IEEE Transactions on Robotics
28(5), 2012.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.orbslam3.vocabulary_file import Vocabulary, VocabularyError

_CLUSTERING_ROUNDS = 11


@dataclass(frozen=True)
class TrainingParameters:
    """What a trained vocabulary depends on beside its images.

    Attributes:
        branching: Most children of a node.
        depth: Levels below the root. At four levels ORB-SLAM3, which groups features four levels above the
            words, compares all features of two keyframes: slower than with the official six, never blinder.
        views_per_image: Each image is seen from this many random viewpoints; every view counts as a document.
        features_per_view: ORB features taken from a view.
        seed: Of viewpoints and of the first centres.
    """

    branching: int = 10
    depth: int = 4
    views_per_image: int = 8
    features_per_view: int = 1500
    seed: int = 0


def train_vocabulary(images: Iterable[NDArray[np.uint8]], parameters: TrainingParameters) -> Vocabulary:
    """Trains from grey images.

    Args:
        images: uint8 [H, W] each; order matters for the bits of the result.
        parameters: See :class:`TrainingParameters`.

    Raises:
        VocabularyError: The images have too few ORB features for one level of the tree, or are so few that
            most words are in all of them.
    """
    random = np.random.default_rng(parameters.seed)
    detector = cv2.ORB.create(nfeatures=parameters.features_per_view)
    documents = []
    for image in images:
        for view in _views(image, parameters.views_per_image, random):
            descriptors = detector.detectAndCompute(view, None)[1]
            if descriptors is not None:
                documents.append(descriptors)
    if sum(map(len, documents)) <= parameters.branching:
        raise VocabularyError(
            "the training images have too few ORB features for a vocabulary; add textured ones"
        )
    vocabulary = _build_tree(documents, parameters, random)
    # ORB-SLAM3 ignores a feature whose word has no weight, so such a vocabulary loses track at once.
    if np.count_nonzero(vocabulary.weights) < 0.5 * np.count_nonzero(vocabulary.is_leaf):
        raise VocabularyError(
            "most words are found in every view of the training images and tell nothing apart;"
            " add more images"
        )
    return vocabulary


def _views(image: NDArray[np.uint8], count: int, random: np.random.Generator) -> Iterable[NDArray[np.uint8]]:
    """The image itself, then warped by random homographies as if seen obliquely, turned or from afar."""
    yield image
    height, width = image.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    centre = corners.mean(axis=0)
    for _ in range(count - 1):
        angle = random.uniform(-np.pi / 6, np.pi / 6)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        moved = (corners - centre) @ turn.T * random.uniform(0.6, 1.2) + centre
        moved += random.uniform(-0.12, 0.12, (4, 2)) * [width, height]
        homography = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
        yield cv2.warpPerspective(image, homography, (width, height), flags=cv2.INTER_AREA)


def _build_tree(
    documents: Sequence[NDArray[np.uint8]], parameters: TrainingParameters, random: np.random.Generator
) -> Vocabulary:
    """Splits level by level, so that nodes are numbered after their parents."""
    descriptors = np.concatenate(documents)
    document_of = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    parents: list[int] = []
    centres: list[NDArray[np.uint8]] = []
    weights: list[float] = []
    level = [(0, np.arange(len(descriptors)))]
    for depth in range(parameters.depth):
        next_level = []
        for parent, members in level:
            labels, node_centres = _cluster(descriptors[members], parameters.branching, random)
            if len(node_centres) == 1 and depth > 0:
                continue
            for label, centre in enumerate(node_centres):
                parents.append(parent)
                centres.append(centre)
                children = members[labels == label]
                weights.append(np.log(len(documents) / len(np.unique(document_of[children]))))
                next_level.append((len(parents), children))
        level = next_level
    is_leaf = ~np.isin(np.arange(1, len(parents) + 1), parents)
    return Vocabulary(
        branching=parameters.branching,
        depth=parameters.depth,
        parents=np.array(parents, dtype=np.int64),
        is_leaf=is_leaf,
        descriptors=np.array(centres, dtype=np.uint8),
        weights=np.where(is_leaf, weights, 0.0),
    )


def _cluster(
    descriptors: NDArray[np.uint8], most_clusters: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Clusters descriptors by Hamming distance; a centre has the majority of each bit, ties count as set.

    Returns:
        Cluster of every descriptor, and centres uint8 [K, 32], K at most ``most_clusters``; none is empty.
    """
    bits = np.unpackbits(descriptors, axis=1)
    labels = _nearest(descriptors, _first_centres(descriptors, most_clusters, random))
    for _ in range(_CLUSTERING_ROUNDS):
        sizes = np.bincount(labels)
        used = np.flatnonzero(sizes)
        counts = np.stack([bits[labels == label].sum(axis=0, dtype=np.uint32) for label in used])
        centres = np.packbits(2 * counts >= sizes[used, None], axis=1)
        moved = _nearest(descriptors, centres)
        if np.array_equal(moved, np.searchsorted(used, labels)):
            break
        labels = moved
    used, labels = np.unique(moved, return_inverse=True)
    return labels, centres[used]


def _nearest(descriptors: NDArray[np.uint8], centres: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Index of the centre nearest to each descriptor, the first of several, int64 [N]."""
    return np.argmin(np.stack([_distances(descriptors, centre) for centre in centres]), axis=0)


def _distances(descriptors: NDArray[np.uint8], centre: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Hamming distance of each descriptor from one, uint16 [N]."""
    differing = descriptors.view(np.uint64) ^ centre.view(np.uint64)
    return np.bitwise_count(differing).sum(axis=1, dtype=np.uint16)


def _first_centres(
    descriptors: NDArray[np.uint8], most_clusters: int, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Descriptors far from one another, drawn as k-means++ does (Arthur, Vassilvitskii 2007)."""
    chosen = [int(random.integers(len(descriptors)))]
    nearest = _distances(descriptors, descriptors[chosen[0]])
    while len(chosen) < most_clusters and nearest.any():
        squares = nearest.astype(np.float64) ** 2
        chosen.append(int(random.choice(len(descriptors), p=squares / squares.sum())))
        nearest = np.minimum(nearest, _distances(descriptors, descriptors[chosen[-1]]))
    return descriptors[chosen]
