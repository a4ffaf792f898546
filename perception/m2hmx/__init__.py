"""M2H-MX: depth, semantics, normals and edges from one image (arXiv 2603.29236).

Configurations and presets need no torch; it is imported when a network is first asked for.
"""

from typing import TYPE_CHECKING, Any

from perception.m2hmx.configuration import NetworkConfig, load_preset, preset_names

if TYPE_CHECKING:
    from perception.m2hmx.loading import load_upstream
    from perception.m2hmx.network import M2HMX

__all__ = ["M2HMX", "NetworkConfig", "load_preset", "load_upstream", "preset_names"]


def __getattr__(name: str) -> Any:
    if name == "load_upstream":
        from perception.m2hmx.loading import load_upstream

        return load_upstream
    if name == "M2HMX":
        from perception.m2hmx.network import M2HMX

        return M2HMX
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
