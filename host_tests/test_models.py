"""The models that the firmware is compared with, against what is known of them from books."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.kinematics_model import DELTA, DeltaModel, ScaraModel
from host_tests.models import kinematics, shaping
from host_tests.models.planner import Limits, Move, plan
from host_tests.models.spring_mass import SpringMass, residual_swing
from host_tests.models.trajectory import Trajectory

WIDE = Limits((500, 500, 50, 100), (9000,) * 4)


# Planner and trajectory


def test_a_long_move_is_a_trapezoid_and_a_short_one_a_triangle():
    long, short = plan([Move((100, 0, 0, 0), 50, 1000)], WIDE)[0], plan([Move((0, 0.9, 0, 0), 50, 1000)], WIDE)[0]
    assert long.duration == pytest.approx(100 / 50 + 50 / 1000)
    assert [duration for duration, _, _ in long.phases] == pytest.approx([0.05, 1.95, 0.05])
    assert short.peak == pytest.approx(30)
    assert short.duration == pytest.approx(2 * math.sqrt(0.9 / 1000))


def test_a_square_corner_has_its_published_speed():
    """Klipper's square corner velocity v is a junction deviation of v^2 (sqrt 2 - 1) / a."""
    limits = Limits((500,) * 4, (9000,) * 4, deviation=5**2 * (math.sqrt(2) - 1) / 3000)
    blocks = plan([Move((10, 0, 0, 0), 100, 3000), Move((0, 10, 0, 0), 100, 3000)], limits)
    assert blocks[0].exit == blocks[1].entry == pytest.approx(5)


def test_a_small_turn_is_a_circle_that_touches_both_lines():
    """By the circle itself: through a point at the distance d from the corner, r = d cos(t/2) / (1 - cos(t/2))."""
    for turn in (0.001, 0.03, 1.0, 3.0):
        way = (10 * math.cos(turn), 10 * math.sin(turn), 0, 0)
        limits = Limits((1e9,) * 4, (1e9,) * 4, deviation=0.02)
        after = plan([Move((10, 0, 0, 0), 1e9, 700), Move(way, 1e9, 700)], limits)[1]
        radius = 0.02 * math.cos(turn / 2) / (1 - math.cos(turn / 2))
        assert after.corner**2 / radius == pytest.approx(700, rel=1e-7)


def test_jerk_limits_the_jump_of_every_axis():
    limits = Limits((500,) * 4, (9000,) * 4, jerk=(10, 3, 1, 1), classic=True)
    blocks = plan([Move((10, 0, 0, 0), 100, 3000), Move((10, 10, 0, 0), 100, 3000)], limits)
    jump = blocks[1].entry * (np.array(blocks[1].unit) - blocks[0].unit)
    assert np.abs(jump) == pytest.approx([3 * (math.sqrt(2) - 1), 3, 0, 0])


def test_axes_kinds_and_drivers_limit_a_move():
    limits = Limits((100, 50, 5, 20), (1000, 400, 30, 500), kinds={"print": 700, "retract": 90, "travel": 800})

    def only(*way, feedrate=1e6):
        block = plan([Move(way, feedrate)], limits)[0]
        return block.length, block.nominal, block.acceleration

    assert only(3, 4, 0, 0) == pytest.approx((5, 62.5, 500))
    assert only(8, 0, 0, 0.1) == pytest.approx((8, 100, 700))
    assert only(8, 0, 0, 0) == pytest.approx((8, 100, 800))
    assert only(0, 0, 0, -3) == pytest.approx((3, 20, 90))
    assert only(0, 0, 2, 0, feedrate=3) == pytest.approx((2, 3, 30))
    # The filament goes twice as far: it is at 20 mm/s of 20 while the tool has 10, or at 8 while the tool has 4
    assert only(0, 2, 0, 4) == pytest.approx((4, 20, 500))
    assert only(0, 2, 0, 4, feedrate=4) == pytest.approx((4, 8, 500))
    limits.step_rate = 4000
    assert only(8, 0, 0, 0)[1] == pytest.approx(50)
    limits.corexy = True
    assert only(8, 8, 0, 0)[1] == pytest.approx(50 / math.sqrt(2))


moves = st.lists(
    st.builds(
        lambda length, angle, z, e, feedrate, acceleration: Move(
            (length * math.cos(angle), length * math.sin(angle), z, e), feedrate, acceleration
        ),
        st.floats(0.01, 30),
        st.floats(0, 6.3),
        st.sampled_from([0.0, 0.1]),
        st.floats(-0.5, 0.5),
        st.floats(1, 300),
        st.floats(50, 5000),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(moves, st.booleans())
def test_plans_keep_every_rule_and_could_not_be_faster(drawn, classic):
    limits = Limits((300, 200, 10, 60), (3000, 2000, 200, 900), classic=classic)
    blocks = plan(drawn, limits)
    assert blocks[0].entry == blocks[-1].exit == 0
    for block in blocks:
        assert max(block.entry, block.exit) <= block.peak * (1 + 1e-9)
        assert block.peak <= block.nominal
        assert abs(block.exit**2 - block.entry**2) <= 2 * block.acceleration * block.length * (1 + 1e-9)
        assert sum(t * (v + a * t / 2) for t, v, a in block.phases) == pytest.approx(block.length, rel=1e-6)
        assert all(abs(s) * block.peak <= v * (1 + 1e-9) for s, v in zip(block.unit, limits.speed, strict=True))
    for before, after in pairwise(blocks):
        assert after.entry <= after.corner
        held = [after.corner, before.nominal, after.nominal]
        held.append(math.sqrt(before.entry**2 + 2 * before.acceleration * before.length))
        held.append(math.sqrt(after.exit**2 + 2 * after.acceleration * after.length))
        assert after.entry == pytest.approx(min(held), rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(moves)
def test_trajectory_is_one_motion(drawn):
    """Ends where the moves do; position, velocity and acceleration are each other's derivatives; times invert it."""
    blocks = plan(drawn, Limits((300, 200, 10, 60), (3000, 2000, 200, 900)))
    path = Trajectory(blocks, origin=(1, 2, 3, 4))
    total = np.sum([block.way for block in blocks], axis=0)
    assert path.position(path.duration + 1) == pytest.approx(total + (1, 2, 3, 4), abs=1e-9)
    times = np.linspace(0, path.duration, 4001)
    places = path.position(times)
    within = np.searchsorted(path.times, times[:-1], side="right") == np.searchsorted(path.times, times[1:], "right")
    middle = (times[1:] + times[:-1]) / 2
    speed = np.diff(places, axis=0) / np.diff(times)[:, None]
    step = times[1] * 5000
    assert np.abs(speed - path.velocity(middle))[within].max() <= step
    back = path.time_at(np.arange(len(blocks)).repeat(3), np.tile([0.1, 0.5, 0.9], len(blocks)))
    shares = np.tile([0.1, 0.5, 0.9], len(blocks))[:, None]
    wanted = path.corners[:-1].repeat(3, axis=0) + shares * (path.units * path.lengths[:, None]).repeat(3, axis=0)
    assert path.position(back) == pytest.approx(wanted, abs=1e-7)


# Shaping


def line(way=20.0, speed=150.0, acceleration=3000.0):
    """A move of one axis from rest to rest: position over time, and how long it takes."""
    path = Trajectory(plan([Move((way, 0, 0, 0), speed, acceleration)], Limits((1e3,) * 4, (1e5,) * 4)))
    return lambda times: path.position(times)[..., 0], path.duration


@pytest.mark.parametrize("damping", [0.0, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("frequency", [8.0, 43.0])
def test_impulses_leave_what_the_theory_says(frequency, damping):
    for make, left in ((shaping.zv, 0.0), (shaping.ei, shaping.TOLERANCE)):
        impulses = make(frequency, damping)
        assert impulses.amplitudes.sum() == pytest.approx(1)
        assert impulses.times[0] == 0
        assert shaping.residual(impulses, frequency, damping) <= left + 1e-9
    assert shaping.residual(shaping.ei(frequency), frequency, 0.1) > 0.02  # that is how it buys its band


def test_sequences_have_their_published_figures():
    """Without damping; MZV's figures are those of Klipper's documentation."""
    period = 1 / 40
    zv, mzv, ei = (make(40, 0.0) for make in shaping.SHAPERS.values())
    assert zv.times.tolist() == pytest.approx([0, period / 2])
    assert zv.amplitudes.tolist() == pytest.approx([0.5, 0.5])
    assert mzv.times.tolist() == pytest.approx([0, 0.375 * period, 0.75 * period])
    assert mzv.amplitudes[1] / mzv.amplitudes[0] == pytest.approx(math.sqrt(2))
    assert ei.times.tolist() == pytest.approx([0, period / 2, period])
    assert ei.amplitudes.tolist() == pytest.approx([0.2625, 0.475, 0.2625])
    # ZV with damping: the second impulse is weaker by what the swing loses in half a period
    weaker = math.exp(-0.1 * math.pi / math.sqrt(1 - 0.01))
    damped = shaping.zv(40, 0.1)
    assert damped.amplitudes[1] / damped.amplitudes[0] == pytest.approx(weaker)
    assert damped.times[1] == pytest.approx(period / 2 / math.sqrt(1 - 0.01))


@pytest.mark.parametrize("damped_by_motor", [False, True])
def test_a_mass_on_a_spring_answers_a_step_as_in_the_book(damped_by_motor):
    frequency, damping, interval = 30.0, 0.1, 1e-5
    motor = np.ones(20_000)
    motor[0] = 0.0  # a step within one interval
    mass = SpringMass(frequency, damping, damped_by_motor).follow(motor, interval)
    t = np.arange(20_000) * interval
    w = 2 * math.pi * frequency
    root = math.sqrt(1 - damping**2)
    kick = damping / root * (-1 if damped_by_motor else 1)
    wanted = 1 - np.exp(-damping * w * t) * (np.cos(w * root * t) + kick * np.sin(w * root * t))
    assert mass[10:] == pytest.approx(wanted[10:], abs=4e-3)


@pytest.mark.parametrize("interval", [1e-3, 1e-4])
def test_a_constant_speed_makes_no_swing_in_the_end(interval):
    motor = np.arange(int(2 / interval)) * interval * 100
    mass = SpringMass(30, 0.1).follow(motor, interval)
    lag = 2 * 0.1 / (2 * math.pi * 30)
    assert motor[-1] - mass[-1] == pytest.approx(100 * lag, rel=1e-3)


def least_swing(frequency):
    """The swing of unshaped moves of several lengths, so that no lucky length hides it."""
    return [(line(way), residual_swing(*line(way), frequency)) for way in (7.0, 11.0, 20.0)]


def left_by(make, set_to, frequency):
    """Largest share of the swing that a shaper set to one frequency leaves on an axis with another one."""
    impulses, worst = make(set_to), 0.0
    for (position, seconds), bare in least_swing(frequency):
        end = seconds + impulses.times[-1]
        worst = max(worst, residual_swing(shaping.shaped(position, impulses), end, frequency) / bare)
    return worst


@pytest.mark.parametrize("frequency", [18.0, 33.0, 41.0])
def test_unshaped_moves_swing_and_shaped_ones_do_not(frequency):
    for _, bare in least_swing(frequency):
        assert bare > 0.01  # mm
    assert left_by(shaping.zv, frequency, frequency) < 0.01
    assert left_by(shaping.ei, frequency, frequency) < 0.08
    assert left_by(shaping.mzv, frequency, frequency) < 0.06
    for off in (0.9, 1.1):
        assert left_by(shaping.ei, frequency * off, frequency) < 0.2
    # And the test can tell: ZV is not so good beside its frequency, no impulse at all is of no use
    assert left_by(shaping.zv, frequency * 0.8, frequency) > 0.2
    assert left_by(lambda f: shaping.Impulses(np.zeros(1), np.ones(1)), frequency, frequency) == pytest.approx(1)


def test_shaping_comes_later_by_the_mean_of_its_times_and_ends_at_the_same_place():
    position, seconds = line(speed=100)
    impulses = shaping.ei(30)
    shaped = shaping.shaped(position, impulses)
    middle = np.array([seconds / 2])
    assert shaped(middle + impulses.mean) == pytest.approx(position(middle))
    assert shaping.shaped(position, impulses, early=impulses.mean)(middle) == pytest.approx(position(middle))
    assert shaped(np.array([seconds + impulses.times[-1]])) == pytest.approx([20.0])


def test_a_box_bounds_the_jerk_and_keeps_speed_and_way():
    position, seconds = line(speed=100, acceleration=2000)
    width = 0.02
    smooth = shaping.boxed(position, width, 400)
    times = np.arange(-width, seconds + width, 2e-4)
    jerk = np.diff(smooth(times), 3) / (2e-4) ** 3
    assert np.abs(jerk).max() <= 2000 / width * 1.05
    assert np.abs(np.diff(position(times), 3) / (2e-4) ** 3).max() > 20 * 2000 / width
    assert smooth(np.array([seconds / 2])) == pytest.approx(position(np.array([seconds / 2])), abs=1e-6)
    assert smooth(np.array([seconds + width / 2])) == pytest.approx([20.0], abs=1e-6)
    # In the middle of a ramp the mean lies a W^2 / 24 beside the parabola
    assert smooth(np.array([0.025])) - position(np.array([0.025])) == pytest.approx([2000 * width**2 / 24], rel=1e-3)


def test_advance_adds_what_the_speed_asks_for():
    position, seconds = line(way=5, speed=20, acceleration=500)
    for half_window in (0.0, 0.01):
        pushed = shaping.advanced(position, 0.05, half_window)
        assert pushed(np.array([seconds / 2])) - position(np.array([seconds / 2])) == pytest.approx([0.05 * 20])
        assert pushed(np.array([0.02])) - position(np.array([0.02])) == pytest.approx([0.05 * 10], rel=1e-4)
        assert pushed(np.array([-1.0, seconds + 1.0])) == pytest.approx([0.0, 5.0])


def test_backlash_takes_up_the_play_once_per_turn():
    way = [0, 1, 2, 1.5, 1, 1, 3]
    assert shaping.backlash(way, 0.1).tolist() == pytest.approx([0, 1.1, 2.1, 1.5, 1, 1, 3.1])
    smooth = shaping.backlash(np.linspace(0, 4, 41), 0.2, smoothing=2.0)
    assert smooth[10] == pytest.approx(1 + 0.1)
    assert smooth[[20, 40]] == pytest.approx([2.2, 4.2])


def test_mesh_is_bilinear():
    xs, ys = [0, 10, 30], [5, 15]
    heights = [[0.1, 0.2, 0.0], [0.3, -0.1, 0.4]]
    x, y = np.meshgrid(xs, ys)
    assert shaping.mesh(x, y, xs, ys, heights) == pytest.approx(np.array(heights))
    assert shaping.mesh(5, 10, xs, ys, heights) == pytest.approx((0.1 + 0.2 + 0.3 - 0.1) / 4)
    assert shaping.mesh(15, 5, xs, ys, heights) == pytest.approx(0.15)
    assert shaping.mesh(-4, 99, xs, ys, heights) == pytest.approx(0.3)
    plane = [[0.01 * a + 0.02 * b for a in xs] for b in ys]
    assert shaping.mesh(17.0, 8.0, xs, ys, plane) == pytest.approx(0.01 * 17 + 0.02 * 8)


def test_skew_leans_one_axis_on_another():
    assert shaping.skewed(10, 100, 0, xy=0.01) == pytest.approx((9, 100, 0))
    assert shaping.skewed(10, 10, 100, xz=0.02, yz=0.01) == pytest.approx((8, 9, 100))


# Kinematics

points = st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(0, 150))


@settings(max_examples=100, deadline=None)
@given(points)
def test_forward_and_inverse_are_each_others_opposite(point):
    for machine in (
        kinematics.CoreXY(),
        kinematics.Delta(250, 124),
        kinematics.Delta(291, 140, (1.5, -2.0, 0.3)),
        kinematics.Scara(150, 150, (100, -120)),
        kinematics.Scara(200, 120, (0, -190)),
    ):
        motors = machine.motors(np.array([point, point]))
        assert machine.tool(motors) == pytest.approx(np.array([point, point]), abs=1e-6)


def test_places_that_need_no_formula():
    assert kinematics.CoreXY().motors([3, 2, 1]).tolist() == [5, 1, 1]
    assert kinematics.Delta(250, 70).motors([0, 0, 7]) == pytest.approx([247] * 3)  # 70, 240, 250
    # Above the tower Y the rods of that tower hang straight down
    delta = kinematics.Delta(250, 70)
    x, y = delta.towers()[1]
    assert (x, y) == pytest.approx((70 * math.sqrt(3) / 2, -35))
    assert delta.motors([x, y, 0])[1] == pytest.approx(250)
    assert np.isnan(delta.motors([0, 230, 0])).any()
    arms = kinematics.Scara(100, 100)
    assert arms.motors([200, 0, 5]) == pytest.approx([0, 0, 5])
    assert arms.motors([100, 100, 0]) == pytest.approx([0, 90, 0])
    assert arms.tool([90, 180, 2]) == pytest.approx([-100, 100, 2])
    assert np.isnan(arms.motors([201, 0, 0])).any()


@settings(max_examples=100, deadline=None)
@given(points)
def test_two_references_agree(point):
    """The models that the kinematics' own tests use were written apart from these."""
    values = DELTA | {"delta_angle_x": 1.2, "delta_angle_y": -0.7, "delta_rod": 260}
    ours = kinematics.Delta(260, values["delta_radius"], (1.2, -0.7, 0)).motors(point)
    assert DeltaModel(values).motors(*point) == pytest.approx(tuple(ours), abs=1e-9)
    arms = kinematics.Scara(150, 150, (100, -56))
    theta, psi, _ = arms.motors(point)
    if not np.isnan(theta):
        ours = np.array([theta, psi, point[2]])
        wanted = np.array(ScaraModel().motors(*point))
        assert (ours - wanted + 180) % 360 - 180 == pytest.approx([0, 0, 0], abs=1e-7)
        assert ScaraModel().tool(theta, psi) == pytest.approx(point[:2], abs=1e-6)
