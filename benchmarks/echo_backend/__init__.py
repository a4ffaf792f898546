"""A backend that does nothing with its frames, so that what remains is the way to it and back."""

from pathlib import Path

from adapters.adapter import Adapter, ResourceNeeds
from adapters.backend import Capabilities, Mode

CAPABILITIES = Capabilities("echo", "1", (Mode.RGBD,), deterministic=True)


class EchoAdapter(Adapter):
    """Starts the backend that does nothing."""

    server = "echo_backend.backend:EchoBackend"
    image_folder = Path(__file__).parent / "image"
    needs = ResourceNeeds(cores=1, memory_bytes=1024**3)

    def capabilities(self) -> Capabilities:
        """What it says of itself."""
        return CAPABILITIES

    def missing(self) -> str | None:
        """Nothing."""
        return None
