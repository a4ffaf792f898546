"""Imports Open3D so that its threads sleep while they wait for one another.

By default they spin. On two cores with anything else at work, alignment then takes seven times as long.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import open3d as o3d

__all__ = ["o3d"]
