"""Mamba on any machine: the selective scan in plain PyTorch, and the layer around it."""

from perception.mamba.block import Mamba
from perception.mamba.selective_scan import selective_scan

__all__ = ["Mamba", "selective_scan"]
