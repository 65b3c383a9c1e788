"""The plan of a run: from its limits, its data and its pace."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from small_runs import settings

from seq2seq.config.schema import TrainerSettings
from seq2seq.training.plan import FEWEST, MOST, VALIDATIONS, Planner
from seq2seq.training.state import TrainState, limit_reached, schedule_ended


def trainer(**limits: Any) -> TrainerSettings:
    usual = {"max_updates": "auto", "max_epochs": None, "max_minutes": None, "validate_every": "auto"}
    return replace(settings("plan").trainer, **(usual | limits))


@dataclass
class Clock:
    """A simulated training; `pace` and `validation` are the minutes of an update and of a validation."""

    settings: TrainerSettings
    pace: float
    validation: float
    started: float = 0.0
    slower: float = 1.0  # a factor on the pace after the share `slower_from` of the minutes
    slower_from: float = 0.0
    state: TrainState = field(default_factory=TrainState)
    validations: list[int] = field(default_factory=list)

    def run(self, updates_per_epoch: int = 100, until: int | None = None) -> "Clock":
        state = self.state
        state.minutes += self.started
        planner = Planner(self.settings, state, updates_per_epoch)
        while True:
            state.update += 1
            state.epoch = state.update // updates_per_epoch
            changed = state.minutes >= self.slower_from * (self.settings.max_minutes or 0)
            state.minutes += self.pace * (self.slower if changed else 1)
            planner.updated()
            done = limit_reached(self.settings, state)
            if (planner.validation_is_due or done) and state.validated != state.update:
                state.minutes += self.validation
                state.validated = state.update
                self.validations.append(state.update)
                planner.validated(self.validation)
            if done or limit_reached(self.settings, state) or state.update == until:
                return self


@pytest.mark.parametrize(
    ("limits", "planned"),
    [
        ({"max_updates": 500}, 500),
        ({"max_epochs": 3}, 300),
        ({"max_updates": 250, "max_epochs": 3}, 250),
        ({}, FEWEST),  # 20 epochs of 100 updates
    ],
)
def test_limits_give_a_plan_before_the_first_update(limits: dict[str, Any], planned: int) -> None:
    state = TrainState()
    Planner(trainer(**limits), state, updates_per_epoch=100)
    assert (state.planned, state.validate_every) == (planned, planned // VALIDATIONS)
    ended = Clock(trainer(**limits), pace=0.01, validation=0.1).run()
    assert ended.state.update == planned
    assert len(ended.validations) == VALIDATIONS


def test_without_a_limit_the_data_set_the_length() -> None:
    planned = []
    for updates_per_epoch in (3, 400, 50_000):
        state = TrainState()
        Planner(trainer(), state, updates_per_epoch)
        planned.append(state.planned)
    assert planned == [FEWEST, 8000, MOST]


@examples(max_examples=40)
@given(
    minutes=st.floats(2, 600),
    share=st.floats(5e-4, 5e-3),  # of the minutes, per update
    validation=st.floats(1e-3, 0.05),  # of the minutes, per validation
    started=st.floats(0, 0.1),
    every=st.sampled_from(["auto", 7, 50]),
)
def test_a_run_with_a_time_limit_ends_in_time_as_planned(
    minutes: float, share: float, validation: float, started: float, every: Any
) -> None:
    clock = Clock(trainer(max_minutes=minutes, validate_every=every), share * minutes, validation * minutes)
    clock.started = started * minutes
    state = clock.run().state
    assert state.update == clock.validations[-1]  # the last update is validated
    assert state.minutes <= (1 + 2 * share + validation) * minutes
    if every == "auto":  # else validations may take any share of the time
        assert state.minutes <= 1.001 * minutes
        assert state.update == state.planned  # the learning rate has decayed
        assert state.minutes >= 0.85 * minutes
        assert 2 <= len(clock.validations) <= VALIDATIONS


def test_the_plan_stays_when_the_run_is_resumed_on_a_slower_machine() -> None:
    whole = trainer(max_minutes=10.0)
    clock = Clock(whole, pace=0.005, validation=0.1).run(until=1300)
    assert clock.state.settled
    planned, every = clock.state.planned, clock.state.validate_every
    again = Clock(whole, pace=0.007, validation=0.2, state=TrainState(**vars(clock.state))).run()
    assert (again.state.planned, again.state.validate_every) == (planned, every)


@pytest.mark.parametrize("slower", [0.5, 1.0, 1.5, 3.0])
def test_the_plan_follows_a_pace_that_changes(slower: float) -> None:
    clock = Clock(trainer(max_minutes=10.0), pace=0.01, validation=0.1, slower=slower, slower_from=0.25).run()
    assert 9 <= clock.state.minutes <= 10.05
    assert clock.state.update >= 0.99 * (clock.state.planned or 0)  # the learning rate has decayed
    assert len(clock.validations) <= VALIDATIONS


@pytest.mark.parametrize("slower", [0.5, 1.0, 1.5])
def test_the_time_limit_ends_a_run_that_slows_down_late(slower: float) -> None:
    state = Clock(trainer(max_minutes=10.0), pace=0.01, validation=0.1, slower=slower, slower_from=0.85).run().state
    assert state.minutes <= 10.05
    assert (state.update == state.planned) == (slower <= 1)


def test_other_limits_hold_with_a_time_limit() -> None:
    clock = Clock(trainer(max_minutes=10.0, max_updates=120), pace=0.01, validation=0.1).run()
    assert clock.state.planned == clock.state.update == 120


@pytest.mark.parametrize(
    ("words", "update", "ended"),
    [
        (("schedule=cosine",), 300, True),
        (("schedule=cosine",), 299, False),
        (("schedule=linear", "schedule.floor=0.1"), 300, False),
        (("schedule=cosine", "schedule.horizon=300"), 300, False),  # set by the user: raising a limit is then refused
        (("schedule=constant",), 300, False),
    ],
)
def test_a_run_ends_when_its_planned_schedule_reaches_zero(words: tuple[str, ...], update: int, ended: bool) -> None:
    given = settings("ended", *words, "trainer.max_updates=400", "trainer.max_minutes=10")
    state = TrainState(update=update, planned=300)
    assert schedule_ended(given.schedule, state) == ("the end of its schedule at update 300" if ended else None)
