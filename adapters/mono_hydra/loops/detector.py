"""Finds the keyframes that show what a new one shows."""

import numpy as np
from numpy.typing import NDArray

from adapters.backend import CameraIntrinsics
from adapters.mono_hydra.loops.appearance import AppearanceIndex
from adapters.mono_hydra.loops.features import KeyframeFeatures
from adapters.mono_hydra.loops.options import LoopOptions
from adapters.mono_hydra.loops.verification import RelativePose, project, verify

# Every so many cells of the surface, along rows and columns, a point is taken to see how far views overlap.
_SAMPLE = 4
# Views whose axes differ by more do not match; cosine of 60 degrees.
_LEAST_COMMON_DIRECTION = 0.5
# Keyframes that a lost camera is compared with, at most, and how many times the least inliers end the search.
_MOST_TO_LOCATE = 12
_ENOUGH_TO_LOCATE = 2.5
_TINY = 1e-30


class LoopDetector:
    """Keeps the keyframes of everything seen so far.

    A keyframe that sees little else than one that is kept already is compared but not kept, so that memory
    grows with the space explored and not with time.
    """

    def __init__(self, options: LoopOptions, intrinsics: CameraIntrinsics, seed: int) -> None:
        """Starts with nothing seen.

        Args:
            options: What is asked of a loop.
            intrinsics: Of all keyframes.
            seed: Of the choice of bits that make words.
        """
        self._options = options
        self._intrinsics = intrinsics
        self._appearance = AppearanceIndex(options, seed)
        self._kept: list[KeyframeFeatures] = []
        self._samples: list[NDArray[np.float32]] = []
        self._poses: list[NDArray[np.float64]] = []
        self._last_words: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        """How many keyframes are kept."""
        return len(self._kept)

    def add(
        self, features: KeyframeFeatures, camera_to_world: NDArray[np.float64] | None = None
    ) -> list[RelativePose]:
        """Looks for loops between a new keyframe and those before, then keeps it for those to come.

        Args:
            features: Of the keyframe; numbers must increase.
            camera_to_world: float64 [4, 4], where it is thought to be; None when nothing is known.

        Returns:
            Loops with the new keyframe as source, those with most inliers first.
        """
        words = self._appearance.words_of(features.descriptors)
        likely = self._looks_alike(words, self._options.loop_least_similarity * self._expected(words))
        likely += self._views_overlap(features, camera_to_world)
        loops, redundant = self._verified(features, self._spread_in_time(likely, features.keyframe))
        if len(features) and not redundant:
            self._appearance.add(words)
            self._kept.append(features)
            self._samples.append(_sample(features))
            self._poses.append(np.full((4, 4), np.nan) if camera_to_world is None else camera_to_world)
        self._last_words = words
        return sorted(loops, key=lambda loop: -loop.inliers)

    def locate(
        self, features: KeyframeFeatures, hint: NDArray[np.float64] | None = None
    ) -> RelativePose | None:
        """Finds a camera that is lost among all keyframes, the latest too.

        Args:
            features: Of an image that need not become a keyframe.
            hint: float64 [4, 4], camera to world, where it may be.

        Returns:
            The motion from it to the keyframe that shows most of the same; None when there is none.
        """
        words = self._appearance.words_of(features.descriptors)
        likely = self._looks_alike(words, 0.0) + self._views_overlap(features, hint)
        best: RelativePose | None = None
        for candidate in np.argsort(-likely, kind="stable")[:_MOST_TO_LOCATE]:
            found = self._verify(features, int(candidate))
            if found is None or (best is not None and found.inliers <= best.inliers):
                continue
            best = found
            if best.inliers >= _ENOUGH_TO_LOCATE * self._options.loop_least_inliers:
                break
        return best

    def update_poses(self, camera_to_world: NDArray[np.float64]) -> None:
        """Takes better poses.

        Args:
            camera_to_world: float64 [K, 4, 4], of keyframes 0 to K - 1; those of later ones stay as they are.
        """
        for place, features in enumerate(self._kept):
            if features.keyframe < len(camera_to_world):
                self._poses[place] = camera_to_world[features.keyframe]

    def _verified(self, features: KeyframeFeatures, candidates: list[int]) -> tuple[list[RelativePose], bool]:
        """The loops among some candidates, and whether one shows nearly all that the new keyframe does.

        That one says where the camera is as well as more would: the candidates after it are left alone.
        """
        loops = []
        for candidate in candidates:
            loop = self._verify(features, candidate)
            if loop is None:
                continue
            loops.append(loop)
            if loop.overlap >= self._options.loop_redundant_overlap:
                return loops, True
        return loops, False

    def _verify(self, features: KeyframeFeatures, kept: int) -> RelativePose | None:
        return verify(features, self._kept[kept], self._intrinsics, self._options)

    def _expected(self, words: NDArray[np.int32]) -> float:
        """Similarity with the keyframe just before: about what the same place gives."""
        return 1.0 if self._last_words is None else self._appearance.similarity(words, self._last_words)

    def _looks_alike(self, words: NDArray[np.int32], least: float) -> NDArray[np.float64]:
        """float64 [K], 0 to 1, how alike relative to the most alike; 0 below the least similarity."""
        similar = self._appearance.similarities(words).astype(np.float64)
        most = max(float(similar.max(initial=0.0)), _TINY)
        return np.where(similar >= least, similar / most, 0.0)

    def _views_overlap(
        self, features: KeyframeFeatures, camera_to_world: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """float64 [K], the part of the view shared by the estimated poses, 0 where it is too small."""
        if camera_to_world is None or not self._kept:
            return np.zeros(len(self._kept))
        poses, samples = np.stack(self._poses), np.stack(self._samples)
        kept_to_new = np.linalg.inv(camera_to_world) @ poses
        new_to_kept = np.asarray(np.linalg.inv(kept_to_new), dtype=np.float64)
        shared = np.minimum(
            self._part_seen(_sample(features)[None], new_to_kept), self._part_seen(samples, kept_to_new)
        )
        enough = (shared >= self._options.loop_least_overlap) & (
            kept_to_new[:, 2, 2] >= _LEAST_COMMON_DIRECTION
        )
        return np.where(enough, shared, 0.0)

    def _part_seen(self, points: NDArray[np.float32], motions: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [K], how much of the known points [K or 1, S, 3] is seen after motions [K, 4, 4]."""
        moved = points @ motions[:, :3, :3].transpose(0, 2, 1) + motions[:, None, :3, 3]
        seen = project(moved, self._intrinsics)[1].sum(axis=1)
        return np.asarray(seen / np.maximum(np.isfinite(points[..., 2]).sum(axis=1), 1))

    def _spread_in_time(self, likely: NDArray[np.float64], keyframe: int) -> list[int]:
        """Places of the candidates: the likeliest and oldest first, none just beside another."""
        gap = self._options.loop_least_gap
        numbers = np.array([features.keyframe for features in self._kept], dtype=np.int64)
        age = (keyframe - numbers) / max(keyframe, 1)
        merit = np.where(keyframe - numbers > gap, likely * (1.0 + age), 0.0)
        chosen: list[int] = []
        while len(chosen) < self._options.loop_most_candidates and merit.any():
            best = int(merit.argmax())
            chosen.append(best)
            merit[np.abs(numbers - numbers[best]) <= gap // 2] = 0.0
        return chosen


def _sample(features: KeyframeFeatures) -> NDArray[np.float32]:
    """float32 [S, 3], some points of the surface, NaN where unknown."""
    half = _SAMPLE // 2
    return features.surface[half::_SAMPLE, half::_SAMPLE].reshape(-1, 3)
