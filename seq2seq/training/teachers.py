"""The teachers of a distillation: trained runs with the student's vocabulary."""

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import TrainSettings
from seq2seq.inference.trained_model import load_other
from seq2seq.model.model import Model
from seq2seq.runtime.device import Runtime
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.init_from import check_tokenizer


def teacher_problems(settings: TrainSettings) -> list[str]:
    """A line if teachers are missing or given to an objective that has none, or for a value that theirs refuses."""
    if not takes_teachers(settings):
        name = settings.objective.name
        return [f"teacher is for objective=distillation, not objective={name}"] if settings.teacher else []
    try:
        settings.objective(teachers=[])
    except ValueError as error:
        return [str(error)]
    return [] if settings.teacher else [f"objective={settings.objective.name} needs teacher=RUN or teacher=[RUN,...]"]


def teachers_of(settings: TrainSettings) -> list[str]:
    """The names of the teachers."""
    return [settings.teacher] if isinstance(settings.teacher, str) else settings.teacher


def takes_teachers(settings: TrainSettings) -> bool:
    """Whether the objective has teachers."""
    return "teachers" in getattr(settings.objective.target, "wired", ())


def teachers_tokenizer(settings: TrainSettings) -> Tokenizer | None:
    """The tokenizer of the first teacher, which the student shares; None without teachers.

    Raises CheckpointError where it cannot be read, ConfigError where it is of other settings than these.
    """
    if not settings.teacher:
        return None
    first = teachers_of(settings)[0]
    check_tokenizer(settings, first, key="teacher")
    return Tokenizer.load(RunFolder.of(first).tokenizer_folder)


def load_teachers(settings: TrainSettings, tokenizer: Tokenizer, runtime: Runtime) -> list[Model]:
    """The best checkpoint of each teacher, on the run's device.

    Raises CheckpointError, also if a teacher has another vocabulary or another prefix.
    """
    return [load_other(name, settings, "best", tokenizer, runtime, key="teacher")[0] for name in teachers_of(settings)]
