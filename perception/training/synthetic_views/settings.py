"""Which synthetic views there are: ranges that chance draws from, and seeds that are kept apart."""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from perception.settings import Settings
from sequences.synthetic.parameters import GENERATOR_VERSION

#: Raised whenever the same settings would give other views than before.
VIEWS_VERSION = 1

#: Seeds of the scenes that networks are trained on. No sequence of the catalogue has one of these,
TRAINING_SEEDS = range(1_000_000, 2_000_000)
#: nor of these: scenes that no network has seen in training.
HELD_OUT_SEEDS = range(2_000_000, 2_001_000)

_SEEDS = {"training": TRAINING_SEEDS, "held_out": HELD_OUT_SEEDS}

Number = FiniteFloat
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Height = Annotated[FiniteFloat, Field(gt=0, le=2.4)]
FieldOfView = Annotated[FiniteFloat, Field(ge=20, le=120)]
RoomCount = Annotated[int, Field(ge=1, le=4)]


class SyntheticViewSettings(Settings):
    """What decides the views. Pairs are the least and the greatest value; chance is even between them.

    Attributes:
        scenes: How many flats.
        part: ``training``, or ``held_out`` for flats that are never trained on.
        first_scene: Number of the first flat in its part.
        views_per_scene: Images of each flat.
        height: Of the images, pixels.
        width: Of the images, pixels.
        rooms: Of a flat.
        reach: How far the path that is kept free of furniture goes into the rooms; see
            `sequences.synthetic.parameters.SyntheticParameters`.
        walkers: Share of the flats in which one to three people walk about.
        lenses: How many fields of view there are in a flat; each has as many views as the others.
        field_of_view_deg: Horizontal, degrees.
        camera_height_m: Above the floor, metres.
        pitch_deg: Up is positive, degrees.
        roll_deg: Greatest roll to either side, degrees.
        clearance_m: From the camera to the nearest surface of flat and furniture, metres. It is more than
            half of the depth of any closed piece of furniture, so that no camera is inside of one.
        exposure_stops: Change of exposure, stops; without any, the middle of a flat is rather bright.
        white_balance: Greatest change of the ratio of red to green, and of blue to green, part of it.
        least_median_depth_m: Views nearer than this to what they show are not taken, metres.
        least_classes: Nor are views of fewer classes; a class counts from half a percent of the image on.
    """

    scenes: int = Field(ge=1)
    part: Literal["training", "held_out"] = "training"
    first_scene: int = Field(default=0, ge=0)
    views_per_scene: int = Field(default=40, ge=1, le=1000)
    height: int = Field(default=240, ge=16, le=4096)
    width: int = Field(default=320, ge=16, le=4096)
    rooms: tuple[RoomCount, RoomCount] = (1, 4)
    reach: tuple[Annotated[FiniteFloat, Field(ge=0.3, le=1)], Annotated[FiniteFloat, Field(ge=0.3, le=1)]] = (
        0.35,
        0.7,
    )
    walkers: Share = 0.3
    lenses: int = Field(default=4, ge=1)
    field_of_view_deg: tuple[FieldOfView, FieldOfView] = (50.0, 80.0)
    camera_height_m: tuple[Height, Height] = (0.4, 2.0)
    pitch_deg: tuple[Number, Number] = (-35.0, 25.0)
    roll_deg: NotNegative = 12.0
    clearance_m: Annotated[FiniteFloat, Field(ge=0.2, le=0.45)] = 0.38
    exposure_stops: tuple[Number, Number] = (-1.0, 0.5)
    white_balance: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.12
    least_median_depth_m: NotNegative = 0.6
    least_classes: int = Field(default=3, ge=1, le=5)

    @model_validator(mode="after")
    def _ranges_are_possible(self) -> Self:
        for name in (
            "rooms",
            "reach",
            "field_of_view_deg",
            "camera_height_m",
            "pitch_deg",
            "exposure_stops",
        ):
            least, greatest = getattr(self, name)
            if least > greatest:
                raise ValueError(f"{name}: {least} is more than {greatest}")
        most = len(_SEEDS[self.part])
        if self.first_scene + self.scenes > most:
            raise ValueError(f"first_scene and scenes: part '{self.part}' has {most} scenes")
        return self

    @property
    def seeds(self) -> range:
        """Seeds of the flats, in order."""
        return _SEEDS[self.part][self.first_scene : self.first_scene + self.scenes]

    def digest(self) -> str:
        """Over all that decides the views of one flat, whichever flats there are; 16 hexadecimal digits."""
        of_one_flat = self.model_dump(mode="json", exclude={"scenes", "part", "first_scene"})
        text = json.dumps([GENERATOR_VERSION, VIEWS_VERSION, of_one_flat], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
