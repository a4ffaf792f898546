"""Predictions kept on disk, so that many backends and runs cost one inference."""

from perception.cache.prediction_cache import PredictionCache

__all__ = ["PredictionCache"]
