"""The path of a hand-held camera through a flat: a smooth function of time with its derivatives."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import gaussian_filter1d

from sequences.errors import SequenceError
from sequences.synthetic.floor_plan import WALL_THICKNESS, Doorway, FloorPlan
from sequences.synthetic.parameters import PathKind, SyntheticParameters

# Faster than this, neither people with a camera in hand nor frame-to-frame odometry keep up.
MAXIMUM_SPEED = 1.0
MAXIMUM_TURN_RATE_DEG = 70.0

#: Camera axes (x right, y down, z forward) in the body frame (x forward, y left, z up).
CAMERA_IN_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_STEP = 0.01
_CORNER_RADIUS = 0.28
_KNOTS_PER_SECOND = 10.0
# Seconds of path before the first and after the last image, so that the spline's ends stay outside.
_MARGIN = 1.0
_JITTER_POSITION = 0.004
_JITTER_ANGLE = math.radians(0.35)
_JITTER_BAND_HZ = (0.3, 1.6)
# Sway per axis: no two rates are alike, so that the movement fills all three directions.
_SWAY_HZ = np.array([0.62, 0.47, 0.54])


@dataclass(frozen=True)
class Motion:
    """The camera's motion at some times.

    Attributes:
        positions: float64 [N, 3], camera centre in the world, metres.
        rotations: float64 [N, 3, 3], camera to world.
        velocities: float64 [N, 3], of the camera centre in the world, m/s.
        accelerations: float64 [N, 3], of the camera centre in the world, m/s².
        angular_velocities: float64 [N, 3], in the camera frame, rad/s.
        angular_accelerations: float64 [N, 3], in the camera frame, rad/s².
    """

    positions: NDArray[np.float64]
    rotations: NDArray[np.float64]
    velocities: NDArray[np.float64]
    accelerations: NDArray[np.float64]
    angular_velocities: NDArray[np.float64]
    angular_accelerations: NDArray[np.float64]

    def camera_to_world(self) -> NDArray[np.float64]:
        """The poses, float64 [N, 4, 4]."""
        poses = np.tile(np.eye(4), (len(self.positions), 1, 1))
        poses[:, :3, :3] = self.rotations
        poses[:, :3, 3] = self.positions
        return poses


class CameraPath:
    """A quintic spline of position and of the angles yaw, pitch and roll: four times differentiable.

    Args:
        spline: Maps time in seconds to x, y, z in metres and yaw, pitch, roll in radians.
        duration: Seconds from the first image, at time 0, to the last.
    """

    def __init__(self, spline: BSpline, duration: float):
        self._spline = spline
        self._rates = spline.derivative(1)
        self._rate_changes = spline.derivative(2)
        self.duration = duration

    def motion(self, times: NDArray[np.floating]) -> Motion:
        """Position, attitude and their derivatives, all analytic.

        Args:
            times: float64 [N], seconds after the first image.
        """
        state, rates, changes = self._spline(times), self._rates(times), self._rate_changes(times)
        body_rotation = _rotation(*state[:, 3:].T)
        omega, alpha = _body_rates(state[:, 3:], rates[:, 3:], changes[:, 3:])
        return Motion(
            positions=state[:, :3],
            rotations=body_rotation @ CAMERA_IN_BODY,
            velocities=rates[:, :3],
            accelerations=changes[:, :3],
            angular_velocities=omega @ CAMERA_IN_BODY,
            angular_accelerations=alpha @ CAMERA_IN_BODY,
        )


def _rotation(
    yaw: NDArray[np.float64], pitch: NDArray[np.float64], roll: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rz(yaw) · Ry(pitch) · Rx(roll), body to world, float64 [N, 3, 3]; positive pitch looks down."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _body_rates(
    angles: NDArray[np.float64], rates: NDArray[np.float64], changes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angular velocity and acceleration in the body frame from yaw, pitch, roll and their derivatives."""
    _, pitch, roll = angles.T
    yaw_1, pitch_1, roll_1 = rates.T
    yaw_2, pitch_2, roll_2 = changes.T
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    omega = np.stack(
        [roll_1 - yaw_1 * sp, pitch_1 * cr + yaw_1 * sr * cp, -pitch_1 * sr + yaw_1 * cr * cp], axis=-1
    )
    alpha = np.stack(
        [
            roll_2 - yaw_2 * sp - yaw_1 * cp * pitch_1,
            pitch_2 * cr
            - pitch_1 * sr * roll_1
            + yaw_2 * sr * cp
            + yaw_1 * (cr * cp * roll_1 - sr * sp * pitch_1),
            -pitch_2 * sr
            - pitch_1 * cr * roll_1
            + yaw_2 * cr * cp
            - yaw_1 * (sr * cp * roll_1 + cr * sp * pitch_1),
        ],
        axis=-1,
    )
    return omega, alpha


def plan_route(plan: FloorPlan, parameters: SyntheticParameters) -> NDArray[np.float64]:
    """The closed line on the floor that the camera follows, before the hand's unsteadiness.

    Returns:
        float64 [N, 2], metres, about a centimetre apart; the last point is one step before the first.
    """
    if parameters.path is PathKind.TOUR and len(plan.rooms) > 1:
        corners = _tour_corners(plan, parameters.reach)
    else:
        room = plan.rooms[0]
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        if parameters.path is PathKind.SWEEP:
            size = np.array([0.55, 0.4])
            corners = room.centre + size * np.stack([np.sin(angle), np.sin(2 * angle)], -1)
        else:
            size = np.minimum(room.size / 2 - 1.4, 1.35) * parameters.reach
            corners = room.centre + size * np.stack([np.cos(angle), np.sin(angle)], -1)
    return _rounded(corners)


def _tour_corners(plan: FloorPlan, reach: float) -> NDArray[np.float64]:
    """Corners of a round trip: into each room as far as ``reach`` says, through every doorway once."""
    corners: list[NDArray[np.float64]] = []
    stops = _visits(plan)
    for (room_index, entry), (_, leaving) in zip(stops, stops[1:] + stops[:1], strict=True):
        room = plan.rooms[room_index]
        for doorway, order in ((entry, 1), (leaving, -1)):
            outside = np.maximum(room.minimum - doorway.centre, 0) - np.maximum(
                doorway.centre - room.maximum, 0
            )
            inward = np.sign(outside)
            depth = reach * float(np.abs(inward) @ room.size) / 2
            points = [doorway.centre + inward * WALL_THICKNESS / 2, doorway.centre + inward * depth]
            corners += points[::order]
    return np.array(corners)


def _visits(plan: FloorPlan) -> list[tuple[int, Doorway]]:
    """The rooms of a round trip, each with the doorway it is entered by."""
    count = len(plan.rooms)
    if count == 4:
        between = {frozenset(doorway.rooms): doorway for doorway in plan.doorways}
        return [(room, between[frozenset((room, (room - 1) % count))]) for room in range(count)]
    # A row of rooms with two doorways between neighbours: out through the first, back through the second.
    there = [(index + 1, plan.doorways[2 * index]) for index in range(count - 1)]
    back = [(index, plan.doorways[2 * index + 1]) for index in reversed(range(count - 1))]
    return there + back


def _rounded(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """A closed polygon sampled evenly every centimetre with its corners rounded."""
    line = gaussian_filter1d(evenly_spaced(corners), _CORNER_RADIUS / _STEP, axis=0, mode="wrap")
    return evenly_spaced(line)


def evenly_spaced(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points about a centimetre apart along a closed polygon."""
    closed = np.vstack([corners, corners[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    samples = np.linspace(0, length[-1], max(int(length[-1] / _STEP), 32), endpoint=False)
    return np.stack([np.interp(samples, length, closed[:, axis]) for axis in (0, 1)], -1)


def build_camera_path(
    rng: np.random.Generator, plan: FloorPlan, route: NDArray[np.float64], parameters: SyntheticParameters
) -> CameraPath:
    """Walk a route in the time that the sequence has.

    Args:
        rng: Decides heights, glances, jitter and sway.
        plan: The rooms, for where to look.
        route: From ``plan_route``.
        parameters: Frames, rate, kind of path, laps, unsteadiness.

    Raises:
        SequenceError: The path is too long for the time, so that the camera would move or turn too fast.
    """
    duration = parameters.duration_s
    times = np.arange(-_MARGIN, duration + _MARGIN + 1 / _KNOTS_PER_SECOND, 1 / _KNOTS_PER_SECOND)
    # Phase 0 to 1 is one lap; nobody walks at an even pace.
    lap = parameters.laps * times / duration
    pace = 0.012 * np.sin(2 * np.pi * (2 * lap + rng.uniform()))
    phase = lap + pace - 0.012 * np.sin(2 * np.pi * rng.uniform())
    ring = np.vstack([route, route[:1]])
    grid = np.linspace(0, 1, len(ring))
    position = np.stack([np.interp(phase % 1.0, grid, ring[:, axis]) for axis in (0, 1)], -1)
    yaw = _looking(rng, plan, route, parameters.path, phase)
    wave = 2 * np.pi * (phase + rng.uniform(size=(3, 1)))
    height = 1.38 + 0.1 * np.sin(wave[0]) + 0.04 * np.sin(3 * wave[1])
    pitch = math.radians(9) + math.radians(4) * np.sin(2 * wave[2])
    state = np.column_stack([position, height, yaw, pitch, np.zeros_like(yaw)])
    state += parameters.hand_jitter * _jitter(rng, times)
    if parameters.hand_sway_m > 0:
        shift = rng.uniform(0, 2 * np.pi, size=3)
        state[:, :3] += parameters.hand_sway_m * np.sin(2 * np.pi * _SWAY_HZ * times[:, None] + shift)
    path = CameraPath(make_interp_spline(times, state, k=5), duration)
    _check_pace(path, parameters)
    return path


def _looking(
    rng: np.random.Generator,
    plan: FloorPlan,
    route: NDArray[np.float64],
    kind: PathKind,
    phase: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The yaw at each phase, continuous over laps, radians."""
    centre = plan.rooms[0].centre
    sway = 2 * np.pi * (phase[:, None] * [1, 2, 3] + rng.uniform(size=3))
    if kind is PathKind.SWEEP:
        towards = rng.uniform(0, 2 * np.pi)
        return towards + np.radians([30.0, 14.0, 5.0]) @ np.sin(sway).T
    if kind is PathKind.ORBIT or len(plan.rooms) == 1:
        ahead = np.arctan2(*(centre - route).T[::-1])
        glances = np.radians([14.0, 8.0, 3.0])
    else:
        # Look where one will be half a metre on.
        ahead = np.arctan2(*(np.roll(route, -int(0.5 / _STEP), axis=0) - route).T[::-1])
        glances = np.radians([10.0, 6.0, 3.0])
    ahead = np.unwrap(np.append(ahead, ahead[0]))
    turns = ahead[-1] - ahead[0]
    grid = np.linspace(0, 1, len(ahead))
    drift = ahead - turns * grid
    width = 0.08 * len(route)
    smooth = gaussian_filter1d(drift[:-1], width, mode="wrap")
    smooth = np.append(smooth, smooth[0])
    return np.interp(phase % 1.0, grid, smooth) + turns * phase + glances @ np.sin(sway).T


def _jitter(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unsteadiness of a hand: a few sine waves of limited frequency per degree of freedom."""
    waves = 5
    frequency = rng.uniform(*_JITTER_BAND_HZ, size=(6, waves, 1))
    # Slow movements are larger, as they are for a hand.
    amplitude = rng.uniform(0.4, 1.0, size=(6, waves, 1)) * (_JITTER_BAND_HZ[0] / frequency) ** 0.7
    shift = rng.uniform(0, 2 * np.pi, size=(6, waves, 1))
    jitter = (amplitude * np.sin(2 * np.pi * frequency * times + shift)).sum(axis=1)
    return jitter.T * ([_JITTER_POSITION] * 3 + [_JITTER_ANGLE] * 3)


def _check_pace(path: CameraPath, parameters: SyntheticParameters) -> None:
    motion = path.motion(np.linspace(0, path.duration, max(200, parameters.frames)))
    speed = float(np.linalg.norm(motion.velocities, axis=1).max())
    turn_rate = math.degrees(float(np.linalg.norm(motion.angular_velocities, axis=1).max()))
    excess = max(speed / MAXIMUM_SPEED, turn_rate / MAXIMUM_TURN_RATE_DEG)
    if excess > 1:
        raise SequenceError(
            f"the camera would move at {speed:.1f} m/s and turn at {turn_rate:.0f}°/s, faster than "
            f"{MAXIMUM_SPEED} m/s or {MAXIMUM_TURN_RATE_DEG:.0f}°/s: raise 'frames' to about "
            f"{math.ceil(parameters.frames * excess * 1.05)}, or lower 'laps', 'reach', 'rooms', "
            "'hand_sway_m' or 'rate_hz'"
        )
