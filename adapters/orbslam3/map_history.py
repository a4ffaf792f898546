"""Follows from the tracking states alone when ORB-SLAM3 started, kept and discarded maps."""

from enum import Enum


class OrbState(Enum):
    """ORB-SLAM3's tracking states, as far as they differ in what they mean for its maps."""

    NO_MAP = "no map"
    OK = "ok"
    RECENTLY_LOST = "recently lost"
    LOST = "lost"


class MapHistory:
    """What became of the maps so far.

    ORB-SLAM3 does not say when it leaves a map. Lost with more than ten keyframes, it searches the map for
    three seconds (recently lost), then keeps it and waits for a new first frame: the state goes straight to
    no map. Lost with fewer, it says so in one frame (lost) and throws the map away.

    Attributes:
        started: Maps begun.
        kept: Maps that were left with keyframes in them; a later loop may still merge them.
        discarded: Maps thrown away.
    """

    def __init__(self) -> None:
        self.started = 0
        self.kept = 0
        self.discarded = 0
        self._inside_map = False

    def observe(self, state: OrbState) -> None:
        """Takes the state after the next frame."""
        if state is OrbState.OK and not self._inside_map:
            self.started += 1
            self._inside_map = True
        elif state is OrbState.NO_MAP and self._inside_map:
            self.kept += 1
            self._inside_map = False
        elif state is OrbState.LOST and self._inside_map:
            self.discarded += 1
            self._inside_map = False

    @property
    def origin_is_the_first(self) -> bool:
        """Whether poses of this moment have the origin that the very first pose had.

        When two maps merge it could be so again, but ORB-SLAM3 does not say when they do.
        """
        return self.started <= 1
