"""Reader of ScanNet scenes in either of their forms."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np

from sequences.errors import DataFileError, SequenceError
from sequences.model import LeftOut, SceneTruth
from sequences.numbered_frames import NumberedParameters
from sequences.pose_matrices import ground_truth_from_poses
from sequences.reader import ReaderContext
from sequences.recording import FrameImages, RecordedSequence, Recording, RecordingParameters
from sequences.scannet.colour_grid import ColourGrid
from sequences.scannet.exported import read_exported_scene
from sequences.scannet.frame_times import frame_times
from sequences.scannet.label_table import TABLE_FILE, find_label_table, nyu40_table, read_label_table
from sequences.scannet.labels import FoundLabels, SceneLabels, find_label_images
from sequences.scannet.place import MESH_ENDING, SENS_SUFFIX, ScenePlace, find_scene, is_scene
from sequences.scannet.scene import Scene, SceneImages
from sequences.scannet.sens_scene import read_sens_scene

_NO_POSES = "No frame has a usable pose; trajectories cannot be scored."


class ScanNetParameters(NumberedParameters):
    """What the reader of ScanNet is told; ``rate_hz`` counts where time stamps cannot be believed.

    Attributes:
        source: Which form is read where a scene has both; by default the .sens file.
        label_space: What labels are brought to.
        label_table: The table from ids of label images to NYU-40; a relative path lies below
            ``HARNESS_DATA``. By default it is looked for in the scene's folder and above it.
    """

    source: Literal["sens", "exported"] | None = None
    label_space: Literal["scannet20", "nyu40"] = "scannet20"
    label_table: str | None = None


@dataclass(frozen=True)
class _SceneFrames:
    """Frames on the pixels of the depth camera; a :class:`~sequences.recording.FrameSource`."""

    images: SceneImages
    grid: ColourGrid
    labels: SceneLabels | None

    def read(self, index: int) -> FrameImages:
        """Read the images of one frame."""
        colour = self.grid.colour(self.images.colour(index))
        return FrameImages(
            cv2.cvtColor(colour, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False),
            self.images.depth(index),
            self.labels.read(index) if self.labels else None,
        )


class ScanNetSequence(RecordedSequence):
    """A scene of ScanNet (Dai et al., CVPR 2017), as a .sens file or as what was exported from one.

    Frames are those of the depth camera, with its intrinsics; colour and labels are brought there. Poses are
    camera to world with x right, y down, z forward, as they are in the scene. They were made by
    BundleFusion from these very images, and are as accurate as that.
    """

    reader_name: ClassVar[str] = "scannet"
    parameters_model: ClassVar[type[RecordingParameters]] = ScanNetParameters
    file_suffixes: ClassVar[tuple[str, ...]] = (SENS_SUFFIX,)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A .sens file, a folder with a .sens file of its name, or one with the exported layout."""
        return is_scene(path)

    @classmethod
    def read_recording(
        cls, path: Path, parameters: RecordingParameters, context: ReaderContext | None
    ) -> Recording:
        """Read matrices, poses, time stamps, and where images and labels are.

        Raises:
            SequenceError: A file is missing, malformed or contradicts another.
        """
        assert isinstance(parameters, ScanNetParameters)
        place = find_scene(path)
        scene = _read_scene(place, parameters.source)
        timestamps_ns, times_note = frame_times(scene.stamps_us, scene.numbers, parameters.rate_hz)
        poses = scene.poses
        grid = ColourGrid(scene.colour, scene.depth)
        labels, label_notes = _labels(place, scene, grid, parameters, context)
        mesh = place.beside(MESH_ENDING)
        return Recording(
            intrinsics=grid.intrinsics,
            timestamps_ns=timestamps_ns,
            frames=_SceneFrames(scene.images, grid, labels),
            has_depth=True,
            calibration=scene.calibration,
            ground_truth=ground_truth_from_poses(path, timestamps_ns[poses.frames], poses.matrices)
            if poses.usable
            else None,
            label_space=parameters.label_space if labels else None,
            scene_truth=SceneTruth(mesh, "nyu40", objects=(), rooms=()) if mesh else None,
            notes=(
                *scene.notes,
                times_note,
                *(() if poses.usable else (_NO_POSES,)),
                *grid.notes(),
                *label_notes,
            ),
            left_out=(
                *scene.left_out,
                LeftOut(
                    "poses", "NaN or infinite entries", len(poses.frames) - poses.usable, len(poses.frames)
                ),
            ),
        )


def _read_scene(place: ScenePlace, source: Literal["sens", "exported"] | None) -> Scene:
    if place.sens is not None and source != "exported":
        return read_sens_scene(place.sens)
    if place.exported is not None and source != "sens":
        return read_exported_scene(place.exported)
    raise DataFileError(
        place.folder,
        f"has not the form that 'source: {source}' asks for; leave the parameter out or change it",
    )


def _labels(
    place: ScenePlace,
    scene: Scene,
    grid: ColourGrid,
    told: ScanNetParameters,
    context: ReaderContext | None,
) -> tuple[SceneLabels | None, tuple[str, ...]]:
    """The labels of frames, and what there is to say about them."""
    found = find_label_images(place, scene.label_ids)
    if found is None:
        return None, ()
    if found.ids == "nyu40":
        table = nyu40_table(told.label_space)
    else:
        path = _label_table_path(place, told, context)
        if path is None:
            return None, (
                f"There are label images in {found.path.name}, and no table to read them by: put {TABLE_FILE}"
                " of the ScanNet release into the scene's folder or one above it, or give its path as "
                "label_table.",
            )
        table = read_label_table(path, told.label_space)
    labels = SceneLabels(found.images, scene.numbers, table, grid, scene.colour.size)
    return labels, _label_notes(found, scene, table.origin)


def _label_table_path(
    place: ScenePlace, told: ScanNetParameters, context: ReaderContext | None
) -> Path | None:
    if told.label_table is None:
        return find_label_table(place.folder, context.data_directory if context else None)
    path = Path(told.label_table)
    if not path.is_absolute() and context is not None:
        path = context.require_data_directory() / path
    if not path.is_file():
        raise SequenceError(f"{path}: the label table is missing; correct label_table, or leave it out")
    return path


def _label_notes(found: FoundLabels, scene: Scene, table: str) -> tuple[str, ...]:
    missing = len(set(scene.numbers.tolist()) - found.images.numbers)
    notes = [f"Labels are those of {found.path.name}, by {table}."]
    if missing:
        notes.append(f"{missing} of {len(scene.numbers)} frames have no label image; all of them is unknown.")
    return tuple(notes)
