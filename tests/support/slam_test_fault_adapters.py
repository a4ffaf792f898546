"""The adapter of the backend that misbehaves in a container."""

from pathlib import Path
from typing import Any

from slam_test_backends import CurveAdapter
from slam_test_faults import FaultBackend

from adapters.adapter import Adapter, ResourceNeeds, TrialNames
from adapters.backend import Capabilities


class FaultAdapter(Adapter):
    """Its first run does what the option ``fault`` says; all other runs behave."""

    server = "slam_test_faults:FaultBackend"
    image_folder = Path(__file__).parent / "faulty_image"
    input_options = ("given",)
    needs = ResourceNeeds(memory_bytes=400 * 1024**2)
    default_options = CurveAdapter.default_options | {
        "fault": "none",
        "at_frame": 5,
        "given": "",
        "addresses": [],
        "paths": [],
    }

    def capabilities(self) -> Capabilities:
        return FaultBackend().capabilities()

    def missing(self) -> str | None:
        return "it misbehaves and is started in containers alone"

    def options_for_trial(self, options: dict[str, Any], trial: TrialNames) -> dict[str, Any]:
        return options if trial.run == 0 else options | {"fault": "none"}
