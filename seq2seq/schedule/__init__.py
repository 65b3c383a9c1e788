"""Learning-rate schedules: a multiplier of the optimizer's learning rate for each update."""

from seq2seq.schedule.base import Schedule

__all__ = ["Schedule"]
