"""Position, speed, acceleration and limits out of synthetic step edges of motion that is known exactly."""

from itertools import pairwise

import numpy as np
import pytest

from tools.twin.expected import Machine, read_file
from tools.twin.step_record import Steps
from tools.twin.trajectory import Track, corner_distances, largest_edge_error, path_deviation

STEPS_PER_MM = 80.0
GRID_NS = 1000


def steps_of(position_mm, seconds, steps_per_mm=STEPS_PER_MM, resolution_ns=GRID_NS):
    """Ideal edges of a motion: one where the position passes the middle between two steps."""
    times = np.arange(0, int(seconds * 1e9), resolution_ns, dtype=np.int64)
    whole = np.floor(position_mm(times / 1e9) * steps_per_mm + 0.5).astype(np.int64)
    change = np.diff(whole)
    assert np.abs(change).max() <= 1, "the grid is too coarse for this speed"
    where = np.flatnonzero(change)
    return Steps(times[where + 1], change[where].astype(np.int8), np.ones(len(where), dtype=bool))


def trapezoid(speed, acceleration, distance):
    """Position over time of a move from rest to rest, and how long it takes."""
    ramp = speed / acceleration
    flat = distance / speed - ramp
    assert flat >= 0

    def position(t):
        t = np.clip(t, 0, 2 * ramp + flat)
        up = 0.5 * acceleration * np.minimum(t, ramp) ** 2
        cruise = speed * np.clip(t - ramp, 0, flat)
        late = np.clip(t - ramp - flat, 0, ramp)
        return up + cruise + speed * late - 0.5 * acceleration * late**2

    return position, 2 * ramp + flat


def track_of(position, seconds, **more):
    steps = {"x": steps_of(position, seconds)}
    return Track(steps, {"x": STEPS_PER_MM}, **more)


def test_position_is_right_within_a_step():
    position, seconds = trapezoid(100, 1000, 40)
    track = track_of(position, seconds, origin_mm={"x": 0.0})
    times = np.linspace(0.02, seconds - 0.02, 500)
    error = track.at("x", times * 1e9) - position(times)
    assert np.max(np.abs(error)) < 0.5 / STEPS_PER_MM
    assert track.motors["x"].net == 40 * STEPS_PER_MM


def test_speed_and_acceleration_of_a_trapezoid():
    position, seconds = trapezoid(100, 1000, 40)
    track = track_of(position, seconds)
    speed, when = track.peak_speed("x", 10)
    assert speed == pytest.approx(100, rel=0.01)
    assert 0.09 < when < 0.42
    acceleration, _ = track.peak_acceleration("x", 40)
    assert acceleration == pytest.approx(1000, rel=0.03)


def test_limits_that_are_kept_pass():
    position, seconds = trapezoid(100, 1000, 40)
    assert track_of(position, seconds).check_limits({"x": 100}, {"x": 1000}) == []


@pytest.mark.parametrize(
    ("max_speed", "max_acceleration", "what"),
    [(95, 1000, "speed"), (100, 930, "acceleration")],
)
def test_limits_that_are_not_kept_are_found(max_speed, max_acceleration, what):
    position, seconds = trapezoid(100, 1000, 40)
    found = track_of(position, seconds).check_limits({"x": max_speed}, {"x": max_acceleration})
    assert {excess.what for excess in found} == {what}
    assert "of X at" in str(found[0])


def test_a_jump_in_speed_needs_jerk():
    def position(t):
        return np.where(t < 0.2, 20 * t, 4 + 30 * (t - 0.2))

    track = track_of(position, 0.4)
    assert track.check_limits({}, {"x": 500})
    assert not track.check_limits({}, {"x": 500}, jerk={"x": 30})


def test_a_turn_at_a_step_is_no_jump():
    def position(t):
        return 10 * t - 50 * t**2  # turns at 0.1 s

    track = track_of(position, 0.2)
    assert not track.check_limits({"x": 10}, {"x": 100}, jerk={"x": 10})
    assert track.peak_acceleration("x", 40)[0] < 100 + 10 / 0.04 + 1


def test_standing_still_is_no_creeping():
    def position(t):
        return np.where(t < 0.1, 10 * t, np.where(t < 1.1, 1.0, 1 + 10 * (t - 1.1)))

    track = track_of(position, 1.2)
    times = np.array([0.2, 0.6, 1.0]) * 1e9
    assert track.at("x", times) - track.at("x", 0.6e9) == pytest.approx(0, abs=1e-9)
    seconds, speed = track.speed(axes=("x",))
    assert speed[np.abs(seconds - 0.6).argmin()] == 0
    assert np.median(speed[seconds < 0.09]) == pytest.approx(10, rel=0.02)


def test_steps_while_the_driver_is_off_move_nothing():
    steps = steps_of(lambda t: 10 * t, 0.1)
    steps.enabled[: len(steps.enabled) // 2] = False
    track = Track({"x": steps}, {"x": STEPS_PER_MM})
    assert track.motors["x"].net == len(steps.times) - len(steps.times) // 2
    assert steps.ignored == len(steps.times) // 2


def test_corexy_axes_out_of_motors():
    a = steps_of(lambda t: 30 * t + 20 * t, 0.5)
    b = steps_of(lambda t: 30 * t - 20 * t, 0.5)
    spm = {"x": STEPS_PER_MM, "y": STEPS_PER_MM}
    track = Track({"x": a, "y": b}, spm, "corexy", origin_mm={"x": 5.0, "y": 7.0})
    assert track.at("x", np.array([0.4e9])) == pytest.approx([5 + 12], abs=0.02)
    assert track.at("y", np.array([0.4e9])) == pytest.approx([7 + 8], abs=0.02)
    assert track.peak_speed("x")[0] == pytest.approx(30, rel=0.02)


def test_no_motion_at_all():
    empty = Steps(np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, bool))
    track = Track({"x": empty}, {"x": STEPS_PER_MM})
    assert track.check_limits({"x": 1}, {"x": 1}) == []
    assert track.path()["x"].tolist() == [0.0, 0.0]


def test_edge_error_of_ideal_and_of_late_edges():
    position, seconds = trapezoid(50, 1000, 10)
    steps = steps_of(position, seconds)

    def exact(times):
        return position(times / 1e9) * STEPS_PER_MM

    assert largest_edge_error(steps, 0, exact) < 0.01
    steps.times += 500_000  # half a millisecond late at 4000 steps/s: two steps
    assert largest_edge_error(steps, 0, exact) == pytest.approx(2.0, abs=0.1)


def square_path(skip_corner=False):
    corners = [(0, 0), (10, 0), (10, 10), (0, 10)]
    if skip_corner:
        corners.pop(2)
    points = []
    for start, end in pairwise(corners):
        share = np.linspace(0, 1, 100)[:, None]
        points.append(np.array(start) * (1 - share) + np.array(end) * share)
    xy = np.concatenate(points)
    return {"x": xy[:, 0], "y": xy[:, 1]}


def test_path_deviation_finds_a_corner_that_was_left_out():
    machine = Machine({"x": 80, "y": 80, "z": 400, "e": 90})
    segments = read_file(["G1 X10", "G1 Y10", "G1 X0"], machine).path
    right = path_deviation(square_path(), segments, axes=("x", "y"))
    wrong = path_deviation(square_path(skip_corner=True), segments, axes=("x", "y"))
    assert right.max() < 1e-9
    assert wrong.max() == pytest.approx(5, abs=0.1)


def test_corners_must_be_reached_in_their_order():
    machine = Machine({"x": 80, "y": 80, "z": 400, "e": 90})
    square = read_file(["G1 X10", "G1 Y10", "G1 X0"], machine).path
    there_and_back = read_file(["G1 X10", "G1 Y10", "G1 X0", "G1 Y0", "G1 X10", "G1 X0"], machine).path
    path = square_path()
    assert corner_distances(path, square, 0.1, axes=("x", "y")).max() <= 0.1
    missed = corner_distances(square_path(skip_corner=True), square, 0.1, axes=("x", "y"))
    assert missed.tolist() == pytest.approx([0, 50**0.5, 0], abs=0.1)
    assert corner_distances(path, there_and_back, 0.1, axes=("x", "y"))[3] == pytest.approx(10, abs=0.1)
