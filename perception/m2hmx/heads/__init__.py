"""The heads: from a task's maps to what it predicts."""
