"""The planned number of updates, and when to validate, report and save: from limits, data and, with a time limit, the
measured speed."""

import math

from seq2seq.config.schema import TrainerSettings
from seq2seq.training.state import TrainState

EPOCHS, FEWEST, MOST = 20, 2_000, 20_000  # updates of a run without any limit
VALIDATIONS = 10  # of a run
FIRST = 6  # the share of a run limited by time after which it validates first: a young model's outputs are long
VALIDATING = 0.12  # of a run's minutes at most that validations take, where time is limited
SETTLED = 2 / 3  # of the updates, after which the plan stays as it is
SPARE = 0.03  # of the minutes left unplanned: no pace is steady
MEASURED, LONGEST = 0.02, 1.0  # of the minutes that the pace is first taken from, and at most so many minutes
REPORT, SAVE = 8 / 60, 10.0  # minutes between reports and between saves, where they go by the clock
WARMING = 3  # first updates of a session, which are slower


class Planner:
    """Keeps the plan in a run's state: `planned` updates, a validation after `validate_every` of them.

    What the limits and the data say is known before the first update. Where `trainer.max_minutes` limits the run, the
    plan is made after the first updates, from their pace, and again after each validation, from the pace since the last
    one, until two thirds of the updates are done. Then it stays. A continued run goes by what its state holds.
    """

    def __init__(self, settings: TrainerSettings, state: TrainState, updates_an_epoch: int) -> None:
        self.settings = settings
        self.state = state
        self.pace = Pace()
        self._reported = self._saved = state.minutes
        self._most = most_updates(settings, updates_an_epoch)
        if state.planned is None and settings.max_minutes is None:
            self._plan(self._most, VALIDATIONS)

    def updated(self) -> bool:
        """An update is over; returns whether the plan is another now."""
        minutes, pace = self.settings.max_minutes, self.pace
        pace.updated(self.state.minutes)
        if minutes is None or self.state.planned is not None or pace.minutes < min(MEASURED * minutes, LONGEST):
            return False
        self._plan(self._updates_in((1 - VALIDATING) * self._minutes_left()), FIRST)
        return True

    def validated(self, minutes: float) -> bool:
        """A validation is over, which took so many minutes; returns whether the plan is another now."""
        self.pace.pause()
        state, first = self.state, not self.state.validating
        state.validating = minutes
        state.settled = state.settled or state.update >= SETTLED * (state.planned or math.inf)
        if self.settings.max_minutes is None or not self.pace.known or state.settled:
            return False
        left = self._minutes_left()
        if isinstance(self.settings.validate_every, int):
            share = minutes / self.settings.validate_every  # of a validation, that each update comes to
            self._plan(self._updates_in(left - minutes, share), VALIDATIONS)
        else:
            validations = min(VALIDATIONS - 1 if first else self._validations_left(), int(VALIDATING * left / minutes))
            validations = max(1, validations)
            self._plan(self._updates_in(left - validations * minutes), validations)
        self.pace.forget()
        return True

    @property
    def validation_is_due(self) -> bool:
        """Whether an even share of the run has passed since the last validation, or `trainer.validate_every`."""
        every, state = self.settings.validate_every, self.state
        if isinstance(every, int):
            return state.update % every == 0
        return state.validate_every is not None and state.update - (state.validated or 0) >= state.validate_every

    @property
    def report_is_due(self) -> bool:
        """Whether the figures since the last report are to be reported with the update that comes now."""
        every, state = self.settings.log_every, self.state
        return (state.update + 1) % every == 0 if isinstance(every, int) else state.minutes - self._reported >= REPORT

    def reported(self) -> None:
        """A report has been made."""
        self._reported = self.state.minutes

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is older than it may be."""
        every, state = self.settings.save_every, self.state
        return state.update % every == 0 if isinstance(every, int) else state.minutes - self._saved >= SAVE

    def saved(self) -> None:
        """A checkpoint has been written."""
        self._saved = self.state.minutes

    def _validations_left(self) -> int:
        """How many the plan still has."""
        planned, every = self.state.planned, self.state.validate_every
        assert planned is not None and every is not None
        return round((planned - self.state.update) / every)

    def _minutes_left(self) -> float:
        assert self.settings.max_minutes is not None
        return (1 - SPARE) * self.settings.max_minutes - self.state.minutes

    def _updates_in(self, minutes: float, more: float = 0.0) -> float:
        """Updates in so many minutes, at the session's pace and `more` minutes an update."""
        return max(minutes / (self.pace.minutes / self.pace.updates + more), 1)

    def _plan(self, updates: float, validations: int) -> None:
        """As many updates from here on, at most those that other limits allow, with so many validations."""
        self.state.planned = math.ceil(min(self.state.update + updates, self._most))
        self.state.validate_every = max(1, math.ceil((self.state.planned - self.state.update) / validations))


class Pace:
    """The minutes that updates take, validations and a session's first updates left out."""

    def __init__(self) -> None:
        self._warming = WARMING
        self.forget()
        self._before: float | None = None

    @property
    def known(self) -> bool:
        """Whether there are updates to go by."""
        return self.updates > 0

    def updated(self, minutes: float) -> None:
        """An update is over, at this time of the run."""
        if self._warming:
            self._warming -= 1
        elif self._before is not None:
            self.updates += 1
            self.minutes += minutes - self._before
        self._before = minutes

    def forget(self) -> None:
        """Go by what comes from here on."""
        self.updates = 0
        self.minutes = 0.0
        self.pause()

    def pause(self) -> None:
        """What follows is no update."""
        self._before = None


def most_updates(settings: TrainerSettings, updates_an_epoch: int) -> float:
    """The updates that limits other than time allow; of a run without any limit, as many as suit its data."""
    updates, epochs = settings.max_updates, settings.max_epochs
    limits = [float(updates)] if isinstance(updates, int) else []
    limits += [float(epochs * updates_an_epoch)] if epochs is not None else []
    if not limits and settings.max_minutes is None:
        return min(max(EPOCHS * updates_an_epoch, FEWEST), MOST)
    return min(limits, default=math.inf)
