"""What stands beside an exported bag: what it was made of, and what is in it."""

from typing import Any

from pydantic import Field

from harness.record import FrozenModel

SCHEMA_VERSION = 1


class ExportedLabelSpace(FrozenModel):
    """What labels in the bag mean.

    Attributes:
        name: Of the label space.
        classes: Each with id, name, colour and role.
        unknown: The value of pixels without a label.
    """

    name: str
    classes: tuple[dict[str, Any], ...]
    unknown: int


class ExportRecord(FrozenModel):
    """The content of ``export.json``.

    Attributes:
        schema_version: Of this record.
        exported_at: ISO 8601, UTC.
        sequence: ``name``, how it is opened, frames in it, calibration of camera and IMU.
        perception: ``name``, how it was chosen, what it gave, and its own description.
        frames: How many frames of the sequence were exported, from the first.
        topics: Every topic of the bag with ``type`` and ``messages``.
        frame_ids: Names of the frames of reference.
        depth_unknown: How pixels of unknown depth are written; None without depth.
        label_space: What labels mean; None without labels.
        ground_truth_is_input: Whether ground truth is in the bag.
        notes: What a reader should know, a sentence each.
        environment: Versions, git commit and machine.
    """

    schema_version: int = SCHEMA_VERSION
    exported_at: str
    sequence: dict[str, Any]
    perception: dict[str, Any]
    frames: int
    topics: dict[str, dict[str, Any]]
    frame_ids: dict[str, str]
    depth_unknown: str | None = None
    label_space: ExportedLabelSpace | None = None
    ground_truth_is_input: bool
    notes: tuple[str, ...] = Field(default=())
    environment: dict[str, Any]
