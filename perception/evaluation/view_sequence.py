"""Single views with ground truth as a sequence, so that modules are evaluated on data sets of images."""

import numpy as np

from perception.training.views import View, ViewSource
from sequences.model import NANOSECONDS_PER_SECOND, Frame, GroundTruth, Intrinsics, Sequence, SequenceInfo


class ViewSequence(Sequence):
    """The views of a source, one after the other; each has a camera of its own, and none a pose.

    Args:
        source: At least one view.

    Raises:
        SequenceError: The source has no views, or the first cannot be read.
    """

    def __init__(self, source: ViewSource):
        self._source = source
        first = source.view(0)
        self._info = SequenceInfo(
            name=source.name,
            intrinsics=first.intrinsics,
            # Nothing moves from one view to the next, and no figure of time is made of these.
            timestamps_ns=np.arange(len(source), dtype=np.int64) * NANOSECONDS_PER_SECOND,
            has_depth=first.depth is not None,
            label_space=source.label_space if first.labels is not None else None,
            source=source.identity(),
        )

    @property
    def info(self) -> SequenceInfo:
        """With the camera of the first view."""
        return self._info

    def frame(self, index: int) -> Frame:
        """A view as a frame."""
        return self.frame_and_camera(index)[0]

    def frame_and_camera(self, index: int) -> tuple[Frame, Intrinsics]:
        """A view as a frame, and the camera that took it."""
        view: View = self._source.view(index)
        time = int(self._info.timestamps_ns[index])
        return Frame(index, time, view.rgb, view.depth, view.labels), view.intrinsics

    def ground_truth(self) -> GroundTruth | None:
        """None: views have no poses."""
        return None
