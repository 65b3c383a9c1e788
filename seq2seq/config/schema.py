"""The fixed sections of a configuration; the rest are pluggable parts, checked against their own signatures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from seq2seq.config.key_rules import (
    ABOVE_ZERO,
    CHECKPOINT,
    FOLDER,
    MAY_CHANGE,
    NEW_RUN,
    NO_KEY,
    NOT_STORED,
    ONE_OR_MORE,
    OTHER_RUN,
    SHARE,
    ZERO_OR_LESS,
    ZERO_OR_MORE,
    Limit,
    Older,
    Typed,
    keys_with,
)
from seq2seq.config.problems import did_you_mean
from seq2seq.plain_types import Part

Auto = Literal["auto"]  # for what the data or the machine decide
USUAL_BATCH = 4096  # tokens, where trainer.tokens_per_batch=auto
TRANSLATIONS = 100  # of each source token are kept in a lexicon: the most that a shortlist can have
# What other tools call a value, by key: what to say of it.
ELSEWHERE = {
    "device": {"gpu": "did you mean cuda?", "mps": "there is no support for it; use cpu"},
    "precision": {
        **dict.fromkeys(["float16", "half", "16"], "did you mean fp16?"),
        **dict.fromkeys(["bfloat16", "mixed"], "did you mean bf16?"),
        **dict.fromkeys(["float32", "32", "full"], "did you mean fp32?"),
    },
}
LOGGERS = {  # of runs that are older than the choice of loggers
    "jsonl": {"_target_": "seq2seq.logger.jsonl.JsonLines", "_partial_": True},
    "tensorboard": {"_target_": "seq2seq.logger.tensorboard.TensorBoard", "_partial_": True},
}
BLOCKS = {  # of runs that are older than the choice of these parts: the choice, and what it was
    "feed_forward": ("plain", {"_target_": "seq2seq.feed_forward.plain.PlainFeedForward", "_partial_": True}),
    "layer_norm": ("layer", {"_target_": "seq2seq.layer_norm.layer.LayerNorm", "_partial_": True}),
    "adapter": ("none", {"_target_": "seq2seq.adapter.none.NoAdapter", "_partial_": True}),
    "normalizer": ("softmax", {"_target_": "seq2seq.normalizer.softmax.Softmax", "_partial_": True}),
    "pooling": ("none", {"_target_": "seq2seq.pooling.none.NoPooling", "_partial_": True}),
    "self_attention": (
        "full",
        {"_target_": "seq2seq.self_attention.full.FullSelfAttention", "_partial_": True, "kv_heads": None},
    ),
}


def _device_hint(device: str) -> str:
    known = ELSEWHERE["device"].get(device.lower())
    return f"; {known}" if known else did_you_mean(device, ["auto", "cpu", "cuda"])


DEVICE = Limit(
    "auto, cpu, cuda or one of several (cuda:1)",
    lambda name: re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name) is not None,
    of=str,
    hint=_device_hint,
)
TAG = Limit(
    "text without spaces or line breaks, such as <bt>, or '' for none", lambda tag: tag == "".join(tag.split()), of=str
)
UPDATE = Limit("an update's number or a file of runs/NAME/nonfinite", bool, of=str)
SHORTLIST = Limit(f"1 to {TRANSLATIONS}, or null for all tokens", range(1, TRANSLATIONS + 1).__contains__)


@dataclass(frozen=True)
class EmbeddingSettings:
    """Token embeddings, of source and target alike."""

    size: Annotated[int, ABOVE_ZERO]
    dropout: Annotated[float, SHARE]
    word_dropout: Annotated[float, SHARE]
    scale: Annotated[bool, Older(True)] = True
    norm: Annotated[bool, Older(False)] = False
    source_vectors: Annotated[str | None, Older(None)] = None
    target_vectors: Annotated[str | None, Older(None)] = None


@dataclass(frozen=True)
class LengthSettings:
    """Bounds on a pair, in tokens, the end symbol not counted; `overlong` says what happens to the rest."""

    max_source: Annotated[int, ABOVE_ZERO]
    max_target: Annotated[int, ABOVE_ZERO]
    overlong: Literal["drop", "truncate"]


@dataclass(frozen=True)
class TrainerSettings:
    """The training loop; configs/trainer/default.yaml says what each key does. Limits are whole-run totals; the first
    one reached ends the run.

    Fields marked MAY_CHANGE do not affect training, except for rounding, so a run may be continued with other values:
    limits may be raised, and after running out of memory micro-batches may be smaller, because an update remains the
    same set of pairs. validate_every may not change: early stopping, the plateau schedule and the choice of the best
    checkpoint depend on it.
    """

    max_updates: Annotated[int | Auto | None, ZERO_OR_MORE, MAY_CHANGE]
    max_epochs: Annotated[int | None, ABOVE_ZERO, MAY_CHANGE]
    max_minutes: Annotated[float | None, ABOVE_ZERO, MAY_CHANGE]
    tokens_per_update: Annotated[int, ABOVE_ZERO]
    count: Annotated[Literal["source+target", "target"], Older("target")]
    tokens_per_batch: Annotated[int | Auto, ABOVE_ZERO, MAY_CHANGE]
    log_every: Annotated[int | Auto, ABOVE_ZERO, MAY_CHANGE]
    validate_every: Annotated[int | Auto, ABOVE_ZERO]
    validate_pairs: Annotated[int | None, ABOVE_ZERO, Older(None)]
    save_every: Annotated[int | Auto, ABOVE_ZERO, MAY_CHANGE]
    patience: Annotated[int | None, ABOVE_ZERO, MAY_CHANGE]
    best_metric: str
    clip_norm: Annotated[float | None, ABOVE_ZERO]
    keep_last: Annotated[int, ABOVE_ZERO, MAY_CHANGE]
    keep_best: Annotated[int, ABOVE_ZERO, MAY_CHANGE, Older(1)]
    average: Annotated[int, ABOVE_ZERO, MAY_CHANGE]
    ema: Annotated[float | None, SHARE, Older(None)]
    probes: Annotated[int, ZERO_OR_MORE, MAY_CHANGE]
    deterministic: Annotated[bool, MAY_CHANGE]
    strategy: Annotated[Literal["auto", "single", "ddp"], MAY_CHANGE, Older("auto")]
    cuda_graphs: Annotated[bool, MAY_CHANGE, Older(False)]
    on_nonfinite: Annotated[Literal["skip", "stop"], MAY_CHANGE, Older("stop")]
    max_skipped: Annotated[int, ABOVE_ZERO, MAY_CHANGE, Older(10)]

    @property
    def batch_tokens(self) -> int:
        """`tokens_per_batch` of decoding, and of a training before it has found what fits."""
        return USUAL_BATCH if self.tokens_per_batch == "auto" else self.tokens_per_batch


@dataclass(frozen=True)
class TrainSettings:
    """Everything scripts/train.py needs. `choices` maps a group to the file chosen, `plain` is the resolved config,
    `command` the words of the command line, none where another program made these settings, `preset` the values that a
    preset has set, by dotted key."""

    run: Annotated[str, NEW_RUN, MAY_CHANGE]
    seed: Annotated[int, ZERO_OR_MORE]
    device: Annotated[str, DEVICE, MAY_CHANGE]
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]  # int8: of a trained model
    data_root: Annotated[str, MAY_CHANGE]
    cache_dir: Annotated[str, FOLDER, MAY_CHANGE, NOT_STORED, Older(".cache/seq2seq")]
    tie: Literal["none", "target", "all"]
    init_from: Annotated[str | None, OTHER_RUN, Older(None)]  # whose weights and tokenizer this one starts from
    init_checkpoint: Annotated[str, CHECKPOINT, Older("best")]
    init_fresh: Annotated[list[str], Older([])]  # names of parameters or modules that begin at random all the same
    teacher: Annotated[str | list[str], OTHER_RUN, Older([])]  # runs that objective=distillation learns from
    freeze: Annotated[list[str], Older([])]  # names of parameters or modules that are not trained
    extensions: Annotated[list[str], MAY_CHANGE, Older([])]  # packages of the user's own that parts may come from
    replay: Annotated[
        str | None, UPDATE, MAY_CHANGE, NOT_STORED, Older(None)
    ]  # an update to repeat instead of training
    embedding: EmbeddingSettings
    length: LengthSettings
    trainer: TrainerSettings
    data: Part
    tokenizer: Part
    position: Part
    normalizer: Annotated[Part, Older(BLOCKS["normalizer"][1])]
    attention: Part
    self_attention: Annotated[Part, Older(BLOCKS["self_attention"][1])]
    feed_forward: Annotated[Part, Older(BLOCKS["feed_forward"][1])]
    layer_norm: Annotated[Part, Older(BLOCKS["layer_norm"][1])]
    encoder: Part
    pooling: Annotated[Part, Older(BLOCKS["pooling"][1])]
    decoder: Part
    generator: Part
    adapter: Annotated[Part, Older(BLOCKS["adapter"][1])]
    objective: Part
    optimizer: Part
    schedule: Part
    search: Part
    metrics: dict[str, Part]
    logger: Annotated[dict[str, Part], MAY_CHANGE, Older(LOGGERS)]  # metrics.jsonl is written in any case
    choices: Annotated[dict[str, str], NO_KEY]
    plain: Annotated[dict[str, Any], NO_KEY]
    command: Annotated[tuple[str, ...], NO_KEY] = field(default=(), compare=False)
    preset: Annotated[Mapping[str, Any], NO_KEY] = field(default_factory=dict, compare=False)


# The sections that hold several parts, each under a name of its own.
SEVERAL = tuple(name for name, kind in get_type_hints(TrainSettings).items() if kind == dict[str, Part])


@dataclass(frozen=True)
class OfRun:
    """What a script that works on an existing run adds to the run's own settings.

    `changed` are settings that distinguish results, where they are other than the run's own.
    """

    run: str
    checkpoint: Annotated[str, CHECKPOINT]
    changed: Annotated[dict[str, Any], NO_KEY]


@dataclass(frozen=True)
class Decoding(OfRun):
    """How a script decodes: among which tokens, and with which models."""

    shortlist: Annotated[int | None, SHORTLIST]  # likely translations of each source token; None: the whole vocabulary
    ensemble: list[str]  # other runs whose models answer with this one
    engine: Part | None = field(default=None, kw_only=True)  # what runs the search; None: ours


@dataclass(frozen=True)
class EvaluateSettings(Decoding):
    """What scripts/evaluate.py adds to a run's own settings."""

    split: str
    baseline: str | None
    baselines: str | list[str]  # auto, none, or names: baselines from the sources, scored for comparison
    bootstrap: Annotated[int, ZERO_OR_MORE]  # samples of the confidence interval; 0 for none


@dataclass(frozen=True)
class TranslateSettings(Decoding):
    """What scripts/translate.py adds to a run's own settings; input and output are files, or None for stdin, stdout."""

    input: str | None
    output: str | None
    prefix: str | None  # a file of what each line's answer begins with
    n_best: Annotated[int, ONE_OR_MORE]
    answer_column: str = "output"  # of what is written for a table


@dataclass(frozen=True)
class AugmentSettings(Decoding):
    """What scripts/augment.py adds to a run's own settings: the texts to translate, and which pairs it writes."""

    output: Annotated[str, Typed("output=FOLDER")]
    input: str | None  # a file of texts; None: the sources of a split
    split: str
    direction: Literal["forward", "backward"]
    n_best: Annotated[int, ONE_OR_MORE]
    keep: Literal["all", "best", "nearest"]
    metric: Literal["chrf", "bleu"]  # of keep=nearest
    min_score: Annotated[float | None, ZERO_OR_LESS]  # log p per token, in nats
    max_ratio: Annotated[float | None, ONE_OR_MORE]  # of the lengths in tokens
    drop_copies: bool
    drop_duplicates: bool
    tag: Annotated[str, TAG]
    originals: bool
    merge: list[str]  # other folders that this command has written


@dataclass(frozen=True)
class ScoreSettings(OfRun):
    """What scripts/score.py adds to a run's own settings: files of texts, or None for a split of the run's data."""

    source: str | None
    target: str | None
    split: str
    output: str | None


@dataclass(frozen=True)
class ExportSettings(OfRun):
    """What scripts/export.py adds to a run's own settings: the format, and the sentences that check the export."""

    format: Annotated[Part, Typed("format=NAME (--help lists them)")]
    output: str | None  # a folder; None: in the run's own
    input: str | None  # a file of sentences; None: those of the run's data
    sentences: Annotated[int, ONE_OR_MORE]


@dataclass(frozen=True)
class ForTraining:
    """What a script adds to the settings of a training, or of an existing run, to look at it before it starts."""


@dataclass(frozen=True)
class DoctorSettings(ForTraining):
    """What scripts/doctor.py writes, and which pairs it leaves out of what it writes."""

    tokens: bool  # also count tokens, with the training's tokenizer
    json: str | None  # a file for what was found
    fix: str | None  # a folder for a cleaned copy of the data
    drop_empty: bool
    drop_copies: bool
    drop_duplicates: bool
    drop_overlap: bool
    drop_wrong_side: bool
    max_ratio: Annotated[float | None, ONE_OR_MORE]  # of the lengths, the corpus's usual ratio being 1


@dataclass(frozen=True)
class CompareSettings:
    """What scripts/compare.py compares, and where it writes to. `typed` are the words of its command line."""

    runs: str | list[str]  # names or paths, as a list or separated by commas; * stands for any letters
    split: str
    metric: str
    output: str | None  # a Markdown file; None for stdout
    json: str | None  # a file for the same figures as JSON
    device: Annotated[str, DEVICE]
    data_root: str | None  # where the runs' corpora lie now; None: where they were
    cache_dir: str  # the folder of derived files
    extensions: list[str]  # packages of the user's own that the runs' parts may come from
    typed: Annotated[tuple[str, ...], NO_KEY]


@dataclass(frozen=True)
class AlignmentSettings:
    """How word alignments are read from attention. Layers and heads count from 1; None: the last layer, all heads."""

    method: Literal["argmax", "intersect"]
    layer: int | None
    head: int | None
    shift: bool  # weights of the step that reads a target piece, not of the one that writes it
    symmetrization: Literal["grow_diag_final_and", "intersection", "union"] = "grow_diag_final_and"  # with `reverse`


@dataclass(frozen=True)
class AttentionMapSettings(OfRun):
    """What scripts/attention.py adds to a run's own settings; input, target, gold and output are paths."""

    input: str | None  # None: sentences of a split
    split: str
    sentences: int  # the first ones of the split
    target: str | None  # None: what search finds
    gold: str | None
    reverse: str | None  # a file of links by a run of the other direction
    output: str | None
    pictures: int  # sentences drawn as PNG
    page: int  # sentences on the page
    alignment: AlignmentSettings


def parts(kind: Any) -> dict[str, Any]:
    """The groups of a settings class: a part, or several parts by name."""
    return {key: hint for key, hint in get_type_hints(kind).items() if hint in (Part, Part | None, dict[str, Part])}


def plain_keys(kind: Any) -> dict[str, Any]:
    """The type of each key of a settings class that can be typed and is no group."""
    computed = keys_with(NO_KEY, kind) | parts(kind).keys()
    return {key: hint for key, hint in get_type_hints(kind).items() if key not in computed}
