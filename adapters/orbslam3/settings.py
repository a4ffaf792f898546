"""The options of the ORB-SLAM3 backend and the settings file that they become."""

from dataclasses import dataclass

from adapters.backend import CameraIntrinsics

TRAINED = "trained"
DOWNLOAD = "download"

# ORB-SLAM3 ends the process when one of these is missing, although nothing is ever shown.
_VIEWER_ENTRIES = (
    ("Viewer.KeyFrameSize", 0.05),
    ("Viewer.KeyFrameLineWidth", 1.0),
    ("Viewer.GraphLineWidth", 1.0),
    ("Viewer.PointSize", 2.0),
    ("Viewer.CameraSize", 0.08),
    ("Viewer.CameraLineWidth", 3.0),
    ("Viewer.ViewpointX", 0.0),
    ("Viewer.ViewpointY", -1.0),
    ("Viewer.ViewpointZ", -2.0),
    ("Viewer.ViewpointF", 500.0),
)


@dataclass(frozen=True)
class OrbSlam3Options:
    """What a user may set; the defaults are those that ORB-SLAM3 ships for the TUM RGB-D recordings.

    Attributes:
        vocabulary: ``trained`` (a small vocabulary made on this machine), ``download`` (the official one) or
            the path of a vocabulary in DBoW2's text format. The server side takes a path alone.
        features: ORB features extracted per image.
        scale_factor: Ratio between two levels of the image pyramid.
        pyramid_levels: Levels of the image pyramid.
        fast_threshold: FAST threshold tried first in every cell of the image.
        low_fast_threshold: FAST threshold for cells where the first one finds nothing.
        baseline: Width in metres of the stereo pair that depth is turned into; ORB-SLAM3 derives the
            uncertainty of depth from it.
        close_depth: Points nearer than this many baselines are taken from one frame alone, in mode ``rgbd``.
        mono_wait_periods: Longest time, in periods of the sensor, to wait after a frame of mode ``mono``
            until the mapping threads have finished what the frame gave them. At 0, fed as fast as it takes
            frames, monocular ORB-SLAM3 gets no new keyframes in and is soon lost. Frames that come at the
            sensor's rate are never waited after.
        rgbd_wait_periods: The same for mode ``rgbd``. At 1 the mapping threads get the time they would have
            had at the sensor's rate, and no more. At 0, on 266 frames of TUM freiburg1_xyz at 10 Hz, frames
            go through at 36 instead of 15 a second, but in one of three runs two frames were lost, and the
            median ATE was 1.08 instead of 1.02 cm.
    """

    vocabulary: str = TRAINED
    features: int = 1000
    scale_factor: float = 1.2
    pyramid_levels: int = 8
    fast_threshold: int = 20
    low_fast_threshold: int = 7
    baseline: float = 0.08
    close_depth: float = 40.0
    mono_wait_periods: float = 5.0
    rgbd_wait_periods: float = 1.0

    def __post_init__(self) -> None:
        if self.features < 100:
            raise ValueError(f"features must be at least 100, got {self.features}")
        if self.scale_factor <= 1.0:
            raise ValueError(f"scale_factor must be above 1, got {self.scale_factor}")
        if self.pyramid_levels < 1:
            raise ValueError(f"pyramid_levels must be at least 1, got {self.pyramid_levels}")
        if not 0 < self.low_fast_threshold <= self.fast_threshold:
            raise ValueError(
                "low_fast_threshold must be above 0 and at most fast_threshold, got"
                f" {self.low_fast_threshold} and {self.fast_threshold}"
            )
        if min(self.mono_wait_periods, self.rgbd_wait_periods) < 0.0:
            raise ValueError(
                "mono_wait_periods and rgbd_wait_periods must not be below 0, got"
                f" {self.mono_wait_periods} and {self.rgbd_wait_periods}"
            )
        if self.baseline <= 0.0 or self.close_depth <= 0.0:
            raise ValueError(
                f"baseline and close_depth must be above 0, got {self.baseline} and {self.close_depth}"
            )


def settings_text(intrinsics: CameraIntrinsics, frame_rate_hz: float, options: OrbSlam3Options) -> str:
    """The settings file, in the ``File.version: "1.0"`` layout of ORB-SLAM3's ``Settings.cc``.

    The camera has no distortion and depth has the factor 1, because frames arrive undistorted and in metres.
    ``Camera.RGB`` is 1: the first channel of the image is red.
    """
    entries: list[tuple[str, str | int | float]] = [
        ("File.version", '"1.0"'),
        ("Camera.type", '"PinHole"'),
        ("Camera1.fx", float(intrinsics.fx)),
        ("Camera1.fy", float(intrinsics.fy)),
        ("Camera1.cx", float(intrinsics.cx)),
        ("Camera1.cy", float(intrinsics.cy)),
        ("Camera.width", intrinsics.width),
        ("Camera.height", intrinsics.height),
        # Also the longest time, in frames, before ORB-SLAM3 wants a new keyframe.
        ("Camera.fps", max(1, round(frame_rate_hz))),
        ("Camera.RGB", 1),
        ("Stereo.ThDepth", options.close_depth),
        ("Stereo.b", options.baseline),
        ("RGBD.DepthMapFactor", 1.0),
        ("ORBextractor.nFeatures", options.features),
        ("ORBextractor.scaleFactor", options.scale_factor),
        ("ORBextractor.nLevels", options.pyramid_levels),
        ("ORBextractor.iniThFAST", options.fast_threshold),
        ("ORBextractor.minThFAST", options.low_fast_threshold),
        *_VIEWER_ENTRIES,
    ]
    return "\n".join(["%YAML:1.0", *(f"{name}: {value}" for name, value in entries), ""])
