"""The fixed sections of a configuration; the rest are pluggable parts, checked against their own signatures."""

from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from seq2seq.plain_types import Part

Auto = Literal["auto"]  # for what the data or the machine decide
TRANSLATIONS = 100  # of each source token are kept in a lexicon: the most that a shortlist can have
# What other tools call a value, by key: what to say of it.
ELSEWHERE = {
    "device": {"gpu": "did you mean cuda?", "mps": "there is no support for it; use cpu"},
    "precision": {
        **dict.fromkeys(
            ["fp16", "float16", "half", "16"],
            "it overflows beyond 65,504 and would need its loss scaled; bf16 is as fast and does not",
        ),
        **dict.fromkeys(["bfloat16", "mixed"], "did you mean bf16?"),
        **dict.fromkeys(["float32", "32", "full"], "did you mean fp32?"),
    },
}


@dataclass(frozen=True)
class EmbeddingSettings:
    """Token embeddings, of source and target alike."""

    size: int
    dropout: float
    word_dropout: float  # share of tokens replaced by <unk> in training
    source_vectors: str | None = None  # files of word vectors to begin with; None: all is drawn at random
    target_vectors: str | None = None


@dataclass(frozen=True)
class LengthSettings:
    """Bounds on a pair, in tokens, the end symbol not counted; `overlong` says what happens to the rest."""

    max_source: int
    max_target: int
    overlong: Literal["drop", "truncate"]


@dataclass(frozen=True)
class TrainerSettings:
    """The training loop. Limits are whole-run totals; the first one reached ends the run."""

    max_updates: int | Auto | None  # auto: where there is no other limit, as many as suit the data
    max_epochs: int | None
    max_minutes: float | None
    tokens_per_update: int  # real tokens, whatever the number of devices
    count: Literal["source+target", "target"]  # the sides whose tokens those are
    tokens_per_batch: int  # rows x longest side of a micro-batch
    log_every: int | Auto  # updates; auto: by seconds
    validate_every: int | Auto  # updates; auto: an even share of the run
    validate_pairs: int | None  # of the validation set, evenly spaced; None: all
    save_every: int | Auto  # updates; auto: at each validation, and every few minutes
    patience: int | None  # validations without improvement
    best_metric: str  # auto: what the metrics suggest
    clip_norm: float | None
    keep_last: int  # checkpoints kept in addition to the best one
    average: int  # checkpoints that `checkpoint=average` averages
    probes: int  # fixed validation sentences shown with their attention
    deterministic: bool
    strategy: Literal["auto", "single", "ddp"]  # how several processes share an update
    cuda_graphs: bool  # whether a GPU replays recorded updates


@dataclass(frozen=True)
class TrainSettings:
    """Everything scripts/train.py needs. `choices` maps a group to the file chosen; `plain` is the resolved config."""

    run: str
    seed: int
    device: str  # auto, cpu, cuda or one of several: cuda:1
    precision: Literal["auto", "fp32", "bf16", "int8"]  # int8: of a trained model
    data_root: str
    cache_dir: str  # the folder of derived files: texts, tokenizers, ids
    tie: Literal["none", "target", "all"]
    init_from: str | None  # the run whose weights and tokenizer this one starts from
    init_checkpoint: str
    init_fresh: list[str]  # names of parameters or modules that begin at random all the same
    freeze: list[str]  # names of parameters or modules that are not trained
    extensions: list[str]  # packages of the user's own that parts may come from
    embedding: EmbeddingSettings
    length: LengthSettings
    trainer: TrainerSettings
    data: Part
    tokenizer: Part
    position: Part
    normalizer: Part
    attention: Part
    self_attention: Part
    encoder: Part
    pooling: Part
    decoder: Part
    generator: Part
    objective: Part
    optimizer: Part
    schedule: Part
    search: Part
    metrics: dict[str, Part]
    logger: dict[str, Part]  # what records the run; metrics.jsonl is written in any case
    choices: dict[str, str]
    plain: dict[str, Any]


# The sections that hold several parts, each under a name of its own.
SEVERAL = tuple(name for name, kind in get_type_hints(TrainSettings).items() if kind == dict[str, Part])


@dataclass(frozen=True)
class EvaluateSettings:
    """What scripts/evaluate.py adds to a run's own settings. `changed` are settings of search, metrics
    and data and the precision, where they are other than the run's own."""

    run: str
    split: str
    checkpoint: str
    baseline: str | None
    baselines: str | list[str]  # auto, none, or names: texts cut from the sources, scored beside the run
    bootstrap: int  # samples of the confidence interval; 0 for none
    shortlist: int | None  # translations of each source token that targets are made of; None: the whole vocabulary
    ensemble: list[str]  # other runs whose models answer with this one
    changed: dict[str, Any]


@dataclass(frozen=True)
class TranslateSettings:
    """What scripts/translate.py adds to a run's own settings; input and output are files, or None for stdin, stdout."""

    run: str
    checkpoint: str
    input: str | None
    output: str | None
    prefix: str | None  # a file of what each line's answer begins with
    n_best: int
    shortlist: int | None  # translations of each source token that targets are made of; None: the whole vocabulary
    ensemble: list[str]  # other runs whose models answer with this one
    changed: dict[str, Any]
    answer_column: str = "output"  # of what is written for a table


@dataclass(frozen=True)
class ScoreSettings:
    """What scripts/score.py adds to a run's own settings: files of texts, or None for a split of the run's data."""

    run: str
    checkpoint: str
    source: str | None
    target: str | None
    split: str
    output: str | None
    changed: dict[str, Any]


@dataclass(frozen=True)
class CompareSettings:
    """What scripts/compare.py compares, and where it writes to. `typed` are the words of its command line."""

    runs: str | list[str]  # names or paths, as a list or separated by commas; * stands for any letters
    split: str
    metric: str
    output: str | None  # a Markdown file; None for stdout
    json: str | None  # a file for the same figures as JSON
    device: str  # auto, cpu, cuda or one of several: cuda:1
    data_root: str | None  # where the runs' corpora lie now; None: where they were
    cache_dir: str  # the folder of derived files
    extensions: list[str]  # packages of the user's own that the runs' parts may come from
    typed: tuple[str, ...]


@dataclass(frozen=True)
class AlignmentSettings:
    """How word alignments are read from attention. Layers and heads count from 1; None: the last layer, all heads."""

    method: Literal["argmax", "intersect"]
    layer: int | None
    head: int | None
    shift: bool  # weights of the step that reads a target piece, not of the one that writes it


@dataclass(frozen=True)
class AttentionMapSettings:
    """What scripts/attention.py adds to a run's own settings; input, target, gold and output are paths."""

    run: str
    checkpoint: str
    input: str | None  # None: sentences of a split
    split: str
    sentences: int  # the first ones of the split
    target: str | None  # None: what search finds
    gold: str | None
    output: str | None
    pictures: int  # sentences drawn as PNG
    page: int  # sentences on the page
    alignment: AlignmentSettings
    changed: dict[str, Any]
