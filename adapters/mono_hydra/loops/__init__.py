"""Loops: places that are seen again, the motion between the views, and what that means for all poses."""
