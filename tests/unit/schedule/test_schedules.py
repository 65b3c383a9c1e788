"""Schedules as tables of update -> factor, and the state that each saves."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.schedule import Schedule
from seq2seq.schedule.constant import Constant
from seq2seq.schedule.cosine import Cosine
from seq2seq.schedule.inverse_sqrt import InverseSqrt
from seq2seq.schedule.linear import Linear
from seq2seq.schedule.noam import Noam
from seq2seq.schedule.plateau import Plateau

SCHEDULES = {
    "constant": Constant(warmup=4),
    "inverse_sqrt": InverseSqrt(warmup=4),
    "noam": Noam(dim=64, warmup=4),
    "cosine": Cosine(warmup=4, floor=0.1, horizon=11),
    "linear": Linear(warmup=4, floor=0.1, horizon=11),
    "plateau": Plateau(warmup=4, shrink=0.5, patience=2, threshold=0.0, floor=0.2),
}

TABLE = [
    ("constant", {1: 0.25, 3: 0.75, 4: 1.0, 5: 1.0, 1000: 1.0}),
    ("inverse_sqrt", {1: 0.25, 4: 1.0, 16: 0.5, 64: 0.25, 400: 0.1}),
    ("noam", {1: 0.125 * 4**-1.5, 4: 0.0625, 16: 0.03125}),
    ("cosine", {1: 0.25, 4: 1.0, 8: 0.55, 11: 0.13425421, 12: 0.1, 100: 0.1}),
    ("linear", {1: 0.25, 4: 1.0, 6: 0.775, 8: 0.55, 11: 0.2125, 12: 0.1, 100: 0.1}),
    ("plateau", {1: 0.25, 4: 1.0, 1000: 1.0}),
]


@pytest.mark.parametrize(("name", "factors"), TABLE)
def test_factor(name: str, factors: dict[int, float]) -> None:
    assert {update: SCHEDULES[name].factor(update) for update in factors} == pytest.approx(factors)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"noam"}))
def test_the_peak_is_one_at_the_end_of_the_warm_up(name: str) -> None:
    factors = [SCHEDULES[name].factor(update) for update in range(1, 50)]
    assert max(factors) == factors[3] == 1.0
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("decaying", [Cosine, Linear])
@given(warmup=st.integers(0, 40), more=st.integers(1, 40), floor=st.sampled_from([0.0, 0.3]))
def test_factors_up_to_the_horizon_are_above_zero(
    decaying: type[Cosine | Linear], warmup: int, more: int, floor: float
) -> None:
    schedule = decaying(warmup=warmup, floor=floor, horizon=warmup + more)
    factors = [schedule.factor(update) for update in range(1, warmup + more + 2)]
    assert min(factors[:-1]) > 0
    assert factors[-1] == pytest.approx(floor, abs=1e-12)
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(warmup=0),
        InverseSqrt(warmup=0),
        Cosine(warmup=0, floor=0.0, horizon=1000),
        Linear(warmup=0, floor=0.0, horizon=1000),
    ],
)
def test_without_warm_up_the_first_update_is_near_the_peak(schedule: Schedule) -> None:
    assert 0.99 < schedule.factor(1) <= 1.0


def test_every_yaml_file_gives_all_arguments(repository: Path) -> None:
    for name, schedule in SCHEDULES.items():
        choice = yaml.safe_load((repository / f"configs/schedule/{name}.yaml").read_text())
        assert choice.pop("_target_") == f"{type(schedule).__module__}.{type(schedule).__name__}"
        assert choice.pop("_partial_") is True
        changes = {"dim": 512, "horizon": 5000}
        type(schedule)(**{key: changes.get(key, value) for key, value in choice.items()}).factor(1)


def plateau(**changes: float) -> Plateau:
    return Plateau(**{"warmup": 0, "shrink": 0.5, "patience": 2, "threshold": 0.0, "floor": 0.2} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scores", "higher", "expected"),
    [
        ([10, 11, 12, 13], True, [1, 1, 1, 1]),
        ([10, 10, 10, 10, 10], True, [1, 1, 0.5, 0.5, 0.25]),
        ([10, 9, 11, 10, 10], True, [1, 1, 1, 1, 0.5]),
        ([3, 2, 1], False, [1, 1, 1]),
        ([1, 2, 3, 2], False, [1, 1, 0.5, 0.5]),
        ([5] * 9, True, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]),
        ([float("nan"), float("nan"), 1, 2], True, [1, 0.5, 0.5, 0.5]),
        ([1, float("nan"), float("nan")], False, [1, 1, 0.5]),
    ],
)
def test_plateau(scores: list[float], higher: bool, expected: list[float]) -> None:
    schedule, factors = plateau(), []
    for score in scores:
        schedule.observe(float(score), higher)
        factors.append(schedule.factor(7))
    assert factors == expected


def test_plateau_counts_an_equal_score_with_a_better_nll_as_better() -> None:
    schedule = plateau()
    for nll in (6.0, 5.0, 4.0, 3.0):
        schedule.observe(0.0, True, nll)
    assert schedule.factor(7) == 1
    schedule.observe(0.0, True, 3.0)
    schedule.observe(0.0, True, float("nan"))
    assert schedule.factor(7) == 0.5
    old = {"scale": 0.5, "best": 0.0, "waited": 1}  # as saved by versions without the nll
    schedule.restore(old)
    assert schedule.state() == {**old, "nll": pytest.approx(float("nan"), nan_ok=True)}


def test_plateau_counts_only_gains_above_the_threshold() -> None:
    schedule = plateau(threshold=0.5)
    for score in (10.0, 10.5, 10.5):
        schedule.observe(score, True)
    assert schedule.factor(1) == 0.5
    schedule.observe(10.6, True)
    assert schedule.best == 10.6


def test_a_restored_plateau_continues_unchanged() -> None:
    scores = [3.0, 4.0, 3.5, 3.9, 4.0, 4.1, 4.0, 4.0]
    whole = plateau()
    for cut in range(len(scores)):
        first, second = plateau(), plateau()
        for score in scores[:cut]:
            first.observe(score, True)
        second.restore(json.loads(json.dumps(first.state())))
        for score in scores[cut:]:
            second.observe(score, True)
        if cut == 0:
            whole = second
        assert repr(second.state()) == repr(whole.state())


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_state_of_another_schedule_is_refused(name: str) -> None:
    other = {"something": 1}
    with pytest.raises(ValueError, match="another schedule"):
        SCHEDULES[name].restore(other)
    SCHEDULES[name].restore(SCHEDULES[name].state())


@pytest.mark.parametrize("kind", [Constant, InverseSqrt])
def test_a_warm_up_below_one_is_a_share_of_the_planned_updates(kind: type) -> None:
    planned, given = kind(warmup=0.1), kind(warmup=200)
    planned.plan(2000)
    assert [planned.factor(update) for update in range(1, 300)] == [given.factor(update) for update in range(1, 300)]


@pytest.mark.parametrize("kind", [Constant, InverseSqrt])
def test_a_share_has_a_minimum_and_a_plan_does_not_raise_the_rate(kind: type) -> None:
    schedule = kind(warmup=0.05)
    before = [schedule.factor(update) for update in range(1, 100)]  # the number of updates is not known yet
    for planned, warmup in ((600, 100), (2000, 100), (10_000, 500), (120, 60), (4, 2)):
        schedule.plan(planned)
        assert schedule.warmup_updates == warmup
        if planned > 200:
            assert all(schedule.factor(update) <= rate for update, rate in enumerate(before, start=1))


@pytest.mark.parametrize(("warmup", "planned", "warned"), [(100, 99, True), (100, 100, False), (0.5, 3, False)])
def test_a_warm_up_longer_than_the_run_is_reported(warmup: float, planned: int, warned: bool) -> None:
    schedule = InverseSqrt(warmup=warmup)
    schedule.plan(planned)
    line = schedule.too_long_a_warmup()
    assert (line is not None) == warned
    assert line is None or line.startswith("schedule.warmup=100 updates exceed the 99")


@pytest.mark.parametrize("kind", [Cosine, Linear])
def test_a_decay_without_a_horizon_ends_with_the_planned_run(kind: type) -> None:
    planned, given = kind(warmup=0.5, floor=0.2, horizon=None), kind(warmup=100, floor=0.2, horizon=200)
    planned.plan(200)
    assert [planned.factor(update) for update in range(1, 300)] == [given.factor(update) for update in range(1, 300)]
    given.plan(5000)  # a given horizon is not changed
    assert given.factor(200) == planned.factor(200)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Constant(warmup=-1), "schedule.warmup: expected 0 or more updates, got -1"),
        (lambda: InverseSqrt(warmup=-1), "schedule.warmup: expected 0 or more updates, got -1"),
        (lambda: Noam(dim=0, warmup=1), "schedule.dim: expected the model's width, got 0"),
        (
            lambda: Cosine(warmup=10, floor=0.0, horizon=10),
            "schedule.horizon: expected more than schedule.warmup (10 updates), got 10",
        ),
        (
            lambda: Constant(warmup=2.5),
            "schedule.warmup: expected a whole number of updates, or a share of the run below 1, got 2.5",
        ),
        (
            lambda: Linear(warmup=0, floor=2.0, horizon=9),
            "schedule.floor: expected a share of the peak, from 0 to 1, got 2.0",
        ),
        (lambda: plateau(shrink=1.0), "schedule.shrink: expected a number between 0 and 1, got 1.0"),
        (lambda: plateau(patience=0), "schedule.patience: expected 1 or more validations, got 0"),
        (lambda: plateau(threshold=-1.0), "schedule.threshold: expected 0 or more, got -1.0"),
        (lambda: plateau(floor=-1.0), "schedule.floor: expected a share of the peak, from 0 to 1, got -1.0"),
    ],
)
def test_wrong_arguments_are_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build()  # type: ignore[operator]


@pytest.mark.parametrize("kind", [Cosine, Linear])
def test_a_decay_starts_when_planned_and_is_over_at_its_last_update(kind: type) -> None:
    schedule = kind(warmup=0.1, floor=0.0, horizon=None)
    assert schedule.factor(100_000) == 1.0  # the number of updates is not known yet
    schedule.plan(200)
    assert [schedule.over(update) for update in (1, 199, 200, 201)] == [False, False, True, True]
    for other in (kind(warmup=0, floor=0.1, horizon=None), kind(warmup=0, floor=0.0, horizon=200), Constant(warmup=0)):
        other.plan(200)
        assert not other.over(200)  # the rate is not 0, or the user set the horizon
