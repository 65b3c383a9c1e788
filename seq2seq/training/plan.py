"""The planned number of updates, and when to validate, report and save. It follows from the limits, the data and, with
a time limit, the measured speed."""

import math

from seq2seq.config.schema import TrainerSettings
from seq2seq.training.state import TrainState

EPOCHS, FEWEST, MOST = 20, 2_000, 20_000  # of a run without any limit: epochs, fewest and most updates
VALIDATIONS = 10  # of a run
FIRST = 6  # with a time limit, the first validation is after a 6th of the run: an untrained model decodes slowly
VALIDATION_SHARE = 0.12  # with a time limit: the largest share of the minutes for validations
FINAL_AFTER = 2 / 3  # the share of the updates after which the plan is final
SPARE = 0.03  # the share of the minutes that is not planned, because the speed varies
FIRST_SHARE, FIRST_MINUTES = 0.02, 1.0  # the first plan is made after this share of the limit, at most these minutes
REPORT, SAVE = 8 / 60, 10.0  # minutes between reports and between saves, where they are `auto`
WARM_UP = 3  # first updates of a session, which are slower


class Planner:
    """Keeps the plan in a run's state: `planned` updates, with a validation after every `validate_every` of them.

    Without a time limit, the plan follows from the limits and the data, before the first update. With
    `trainer.max_minutes` it is made after the first updates, from their pace, and again after each validation, from the
    pace since the last one, until two thirds of the updates are done. A continued run finds the plan in its state.
    """

    def __init__(self, settings: TrainerSettings, state: TrainState, updates_per_epoch: int) -> None:
        self.settings = settings
        self.state = state
        self.pace = Pace()
        state.planned = state.planned or None  # 0: of a session that trained nothing
        self._reported = self._saved = state.minutes
        self._max_updates = max_updates(settings, updates_per_epoch)
        if state.planned is None and settings.max_minutes is None:
            self._plan(self._max_updates, VALIDATIONS)

    def updated(self) -> bool:
        """Called after each update; returns whether the plan has changed."""
        limit, pace = self.settings.max_minutes, self.pace
        pace.updated(self.state.minutes)
        if limit is None or self.state.planned is not None or pace.minutes < min(FIRST_SHARE * limit, FIRST_MINUTES):
            return False
        self._plan(self._updates_in((1 - VALIDATION_SHARE) * self._minutes_left()), FIRST)
        return True

    def validated(self, minutes: float) -> bool:
        """Called after each validation, with the minutes it took; returns whether the plan has changed."""
        self.pace.pause()
        state, first = self.state, not self.state.validating
        state.validating = minutes
        state.settled = state.settled or state.update >= FINAL_AFTER * (state.planned or math.inf)
        if self.settings.max_minutes is None or not self.pace.known or state.settled:
            return False
        left = self._minutes_left()
        if isinstance(self.settings.validate_every, int):
            share = minutes / self.settings.validate_every  # of a validation's minutes, per update
            self._plan(self._updates_in(left - minutes, share), VALIDATIONS)
        else:
            wanted = VALIDATIONS - 1 if first else self._validations_left()
            validations = max(1, min(wanted, int(VALIDATION_SHARE * left / minutes)))
            self._plan(self._updates_in(left - validations * minutes), validations)
        self.pace.reset()
        return True

    @property
    def validation_is_due(self) -> bool:
        """Whether the update is a multiple of `trainer.validate_every`; with `auto`, whether the planned number of
        updates has passed since the last validation."""
        every, state = self.settings.validate_every, self.state
        if isinstance(every, int):
            return state.update % every == 0
        return state.validate_every is not None and state.update - (state.validated or 0) >= state.validate_every

    @property
    def report_is_due(self) -> bool:
        """Whether the next update is to report the figures since the last report."""
        every, state = self.settings.log_every, self.state
        return (state.update + 1) % every == 0 if isinstance(every, int) else state.minutes - self._reported >= REPORT

    def reported(self) -> None:
        """Called after each report."""
        self._reported = self.state.minutes

    @property
    def save_is_due(self) -> bool:
        """Whether the update is a multiple of `trainer.save_every`; with `auto`, whether SAVE minutes have passed since
        the last checkpoint."""
        every, state = self.settings.save_every, self.state
        return state.update % every == 0 if isinstance(every, int) else state.minutes - self._saved >= SAVE

    def saved(self) -> None:
        """Called after each checkpoint."""
        self._saved = self.state.minutes

    def _validations_left(self) -> int:
        """How many validations are left in the plan."""
        planned, every = self.state.planned, self.state.validate_every
        assert planned is not None and every is not None
        return round((planned - self.state.update) / every)

    def _minutes_left(self) -> float:
        assert self.settings.max_minutes is not None
        return (1 - SPARE) * self.settings.max_minutes - self.state.minutes

    def _updates_in(self, minutes: float, more: float = 0.0) -> float:
        """The updates that fit into `minutes`, if each takes the measured time plus `more` minutes."""
        return max(minutes / (self.pace.minutes / self.pace.updates + more), 1)

    def _plan(self, updates: float, validations: int) -> None:
        """Plan this many further updates, or as many as other limits allow, with this many validations."""
        self.state.planned = math.ceil(min(self.state.update + updates, self._max_updates))
        self.state.validate_every = max(1, math.ceil((self.state.planned - self.state.update) / validations))


class Pace:
    """The minutes that updates take, without validations and without a session's first updates."""

    def __init__(self) -> None:
        self._warm_up_left = WARM_UP
        self.reset()
        self._before: float | None = None

    @property
    def known(self) -> bool:
        """Whether any update has been measured."""
        return self.updates > 0

    def updated(self, minutes: float) -> None:
        """Called after each update, with the run's minutes so far."""
        if self._warm_up_left:
            self._warm_up_left -= 1
        elif self._before is not None:
            self.updates += 1
            self.minutes += minutes - self._before
        self._before = minutes

    def reset(self) -> None:
        """Start measuring again."""
        self.updates = 0
        self.minutes = 0.0
        self.pause()

    def pause(self) -> None:
        """Do not measure the time until the end of the next update, because it includes other work."""
        self._before = None


def max_updates(settings: TrainerSettings, updates_per_epoch: int) -> float:
    """The updates that limits other than time allow; without any limit, a default from the size of the data."""
    updates, epochs = settings.max_updates, settings.max_epochs
    limits = [float(updates)] if isinstance(updates, int) else []
    limits += [float(epochs * updates_per_epoch)] if epochs is not None else []
    if not limits and settings.max_minutes is None:
        return min(max(EPOCHS * updates_per_epoch, FEWEST), MOST)
    return min(limits, default=math.inf)
