"""Camera paths and IMU samples: smooth, clear of walls, and consistent with each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sequences.errors import SequenceError
from sequences.synthetic import imu
from sequences.synthetic.camera_path import (
    MAXIMUM_SPEED,
    MAXIMUM_TURN_RATE_DEG,
    build_camera_path,
    plan_route,
)
from sequences.synthetic.floor_plan import OpeningKind, build_floor_plan
from sequences.synthetic.parameters import parameters_from_mapping


def walk(seed, **mapping):
    """The floor plan and the camera path of a sequence, without building its scene."""
    parameters = parameters_from_mapping("walk", {"seed": seed, "frames": 900, **mapping})
    plan = build_floor_plan(np.random.default_rng(seed), parameters.rooms)
    path = build_camera_path(np.random.default_rng(seed), plan, plan_route(plan, parameters), parameters)
    return plan, path


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rooms=st.integers(1, 4),
    kind=st.sampled_from(["tour", "orbit", "sweep"]),
    reach=st.floats(0.4, 1.0),
)
def test_a_path_stays_in_its_rooms_and_passes_walls_through_doorways_alone(seed, rooms, kind, reach):
    plan, path = walk(seed, rooms=rooms, path=kind, reach=reach)
    positions = path.motion(np.linspace(0, path.duration, 2000)).positions
    clearance = 0.25
    inside = np.zeros(len(positions), bool)
    for room in plan.rooms:
        within = (positions[:, :2] > room.minimum + clearance) & (positions[:, :2] < room.maximum - clearance)
        inside |= within.all(axis=1)
    for doorway in plan.doorways:
        wall, opening = next(
            (wall, opening)
            for wall in plan.rooms[doorway.rooms[0]].walls
            for opening in wall.openings
            if opening.kind is OpeningKind.DOORWAY
            and np.linalg.norm(wall.point(opening.centre) - doorway.centre) < 0.1
        )
        offset = positions[:, :2] - doorway.centre
        inside |= (np.abs(offset @ wall.inward) < 0.4) & (
            np.abs(offset @ wall.right) < (opening.right - opening.left) / 2 - clearance
        )
    assert inside.all()
    assert positions[:, 2].min() > 1.1
    assert positions[:, 2].max() < 1.7


def test_a_tour_visits_every_room_and_comes_back_to_its_start():
    plan, path = walk(3, rooms=4, hand_jitter=0)
    motion = path.motion(np.linspace(0, path.duration, 500))
    for room in plan.rooms:
        inside = (motion.positions[:, :2] > room.minimum) & (motion.positions[:, :2] < room.maximum)
        assert inside.all(axis=1).any()
    np.testing.assert_allclose(motion.positions[-1], motion.positions[0], atol=1e-3)
    np.testing.assert_allclose(motion.rotations[-1], motion.rotations[0], atol=1e-3)


def test_speed_and_turn_rate_stay_within_their_limits():
    _, path = walk(5, rooms=2)
    motion = path.motion(np.linspace(0, path.duration, 3000))
    assert np.linalg.norm(motion.velocities, axis=1).max() < MAXIMUM_SPEED
    assert np.degrees(np.linalg.norm(motion.angular_velocities, axis=1)).max() < MAXIMUM_TURN_RATE_DEG


def test_a_swaying_hand_accelerates_in_all_directions_about_the_same_path():
    (_, still), (_, swaying) = (walk(5, rooms=2, hand_sway_m=sway) for sway in (0.0, 0.08))
    times = np.linspace(0, still.duration, 3000)
    motion, reference = swaying.motion(times), still.motion(times)
    offset = motion.positions - reference.positions
    np.testing.assert_allclose(np.abs(offset).max(axis=0), 0.08, rtol=0.01)
    np.testing.assert_allclose(motion.rotations, reference.rotations)
    assert (np.sqrt((motion.accelerations**2).mean(axis=0)) > 0.4).all()
    # No two directions sway alike, or there would be one in which nothing moves.
    assert np.linalg.svd(offset / np.sqrt(len(offset)), compute_uv=False).min() > 0.04


def test_a_path_too_long_for_its_time_says_how_many_frames_it_needs():
    with pytest.raises(SequenceError, match=r"raise 'frames' to about (\d+)") as error:
        walk(3, rooms=4, frames=60)
    needed = int(str(error.value).split("about ")[1].split(",")[0])
    walk(3, rooms=4, frames=2 * needed)


def test_velocities_and_angular_rates_are_the_derivatives_of_the_poses():
    _, path = walk(8, rooms=2)
    times, step = np.linspace(1, path.duration - 1, 200), 1e-4
    now, before, after = (path.motion(times + shift) for shift in (0, -step, step))
    np.testing.assert_allclose(now.velocities, (after.positions - before.positions) / (2 * step), atol=1e-5)
    np.testing.assert_allclose(
        now.accelerations, (after.velocities - before.velocities) / (2 * step), atol=1e-4
    )
    turn = Rotation.from_matrix(np.swapaxes(before.rotations, 1, 2) @ after.rotations).as_rotvec()
    np.testing.assert_allclose(now.angular_velocities, turn / (2 * step), atol=1e-5)
    change = (after.angular_velocities - before.angular_velocities) / (2 * step)
    np.testing.assert_allclose(now.angular_accelerations, change, atol=1e-4)


NOISELESS = {
    "rate_hz": 1000,
    "gyroscope_noise": 0,
    "gyroscope_walk": 0,
    "accelerometer_noise": 0,
    "accelerometer_walk": 0,
}


def test_integrating_noise_free_imu_samples_lands_on_the_path():
    parameters = parameters_from_mapping("walk", {"seed": 2, "imu": NOISELESS}).imu
    _, path = walk(2, rooms=2)
    samples = imu.simulate(path, parameters, 0, np.random.default_rng(0))
    imu_to_camera = imu.calibration(parameters).imu_to_camera
    steps, period = 5000, 1 / parameters.rate_hz
    start, end = (path.motion(np.array([time])) for time in (0.0, steps * period))

    rotation = Rotation.from_matrix(start.rotations[0] @ imu_to_camera[:3, :3])
    lever = start.rotations[0] @ imu_to_camera[:3, 3]
    position = start.positions[0] + lever
    velocity = start.velocities[0] + np.cross(start.rotations[0] @ start.angular_velocities[0], lever)
    for index in range(steps):
        rate = (samples.gyroscope[index] + samples.gyroscope[index + 1]) / 2
        turned = rotation * Rotation.from_rotvec(rate * period)
        force = rotation.apply(samples.accelerometer[index]) + turned.apply(samples.accelerometer[index + 1])
        acceleration = force / 2 - imu.GRAVITY
        position = position + velocity * period + acceleration * period**2 / 2
        velocity = velocity + acceleration * period
        rotation = turned

    expected = end.positions[0] + end.rotations[0] @ imu_to_camera[:3, 3]
    np.testing.assert_allclose(position, expected, atol=2e-3)
    difference = Rotation.from_matrix(end.rotations[0] @ imu_to_camera[:3, :3]).inv() * rotation
    assert difference.magnitude() < 1e-4


def test_imu_noise_has_the_density_of_the_calibration_and_biases_wander():
    mapping = {"seed": 2, "imu": {"gyroscope_noise": 1e-3, "gyroscope_walk": 0, "accelerometer_walk": 0.05}}
    noisy = parameters_from_mapping("walk", mapping).imu
    clean = parameters_from_mapping("walk", {"seed": 2, "imu": {**NOISELESS, "rate_hz": 200}}).imu
    _, path = walk(2, rooms=2)
    errors = [
        (a.gyroscope - b.gyroscope, a.accelerometer - b.accelerometer)
        for a, b in [[imu.simulate(path, p, 0, np.random.default_rng(1)) for p in (noisy, clean)]]
    ]
    gyroscope, accelerometer = errors[0]
    assert gyroscope.std() == pytest.approx(1e-3 * np.sqrt(200), rel=0.03)
    # After a minute a walk of 0.05 m/s³/√Hz has gone about 0.05 · √60 m/s².
    assert 0.02 < np.abs(accelerometer[-100:].mean(axis=0) - accelerometer[:100].mean(axis=0)).max() < 1.6
