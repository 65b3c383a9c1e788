"""Wire the parts of a configuration into a model: the builder passes the widths, YAML holds no arithmetic."""

from functools import partial
from typing import Any, Literal

from torch import nn

from seq2seq.attention.base import Attention
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.model.model import Model
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.tokenizer.sentencepiece import symbol_ids
from seq2seq.types import Part


def build_model(settings: TrainSettings, *, source_vocab: int, target_vocab: int) -> Model:
    """A freshly initialised model; seed torch's generator first. The vocabulary sizes come from the tokenizer."""
    source_table, target_table = _tables(settings.embedding.size, settings.tie, source_vocab, target_vocab)
    memory_dim = _target(settings.encoder).output_dim(**settings.encoder.arguments)
    sizes = {"query_size": _target(settings.decoder).query_size, "memory_size": _target(settings.encoder).state_size}

    def attention(**widths: int) -> Attention:
        return _build("attention", settings.attention, **widths, **sizes, normalizer=settings.normalizer)

    blocks = {
        group: partial(_build, group, getattr(settings, group))
        for group in ("self_attention", "feed_forward", "layer_norm")
    }
    encoder = _build(
        "encoder",
        settings.encoder,
        embedding=_input_embedding(settings, settings.encoder, source_table),
        decoder_layers=None if _target(settings.decoder).recurrent else settings.decoder.arguments.get("layers"),
        **blocks,
    )
    decoder = _build(
        "decoder",
        settings.decoder,
        embedding=_input_embedding(settings, settings.decoder, target_table),
        attention=attention,
        memory_dim=memory_dim,
        **blocks,
    )
    generator = _build(
        "generator",
        settings.generator,
        feature_dim=_target(settings.decoder).feature_dim(**settings.decoder.arguments),
        context_dim=decoder.context_dim,
        input_dim=decoder.embedding.width,
        vocab_size=target_vocab,
        table=None if settings.tie == "none" else target_table,
    )
    pooling = _build("pooling", settings.pooling, memory_dim=memory_dim)
    return Model(encoder=encoder, pooling=pooling, decoder=decoder, generator=generator)


def _build(group: str, part: Part, **supplied: Any) -> Any:
    """One part, with the supplied arguments that it needs; a value that it refuses is a ConfigError."""
    wired = _target(part).wired
    try:
        return part(**{name: value for name, value in supplied.items() if name in wired})
    except ValueError as error:
        raise ConfigError(f"{group}={part.name}: {error}") from error


def _target(part: Part) -> Any:
    return part.target


def _tables(
    size: int, tie: Literal["none", "target", "all"], source_vocab: int, target_vocab: int
) -> tuple[nn.Embedding, nn.Embedding]:
    """The embedding tables of source and target: the same object with tie=all, which needs a joint vocabulary."""
    source = embedding_table(source_vocab, size)
    return source, source if tie == "all" else embedding_table(target_vocab, size)


def _input_embedding(settings: TrainSettings, part: Part, table: nn.Embedding) -> InputEmbedding:
    """The input embedding of this encoder or decoder: recurrent parts use the table as it is, the others scale by
    sqrt(E), unless embedding.scale is false, and add positions (Vaswani et al. 2017, sections 3.4 and 3.5)."""
    recurrent = _target(part).recurrent
    width = _target(part).input_dim(settings.embedding.size, **part.arguments)
    position = position_of(settings, part)
    norm = partial(_build, "layer_norm", settings.layer_norm, dim=width, for_products=False)
    return InputEmbedding(
        table=table,
        width=width,
        scale=1.0 if recurrent or not settings.embedding.scale else settings.embedding.size**0.5,
        dropout=settings.embedding.dropout,
        word_dropout=settings.embedding.word_dropout,
        position=None if position is None else _build("position", position, **position_arguments(settings, part)),
        norm=norm() if settings.embedding.norm else None,
    )


def attends_to_itself(part: Part) -> bool:
    """Whether this encoder or decoder has self-attention."""
    return "self_attention" in _target(part).wired


def position_of(settings: TrainSettings, part: Part) -> Part | None:
    """The position encoding of this encoder or decoder. Recurrent parts have one only if the choice says so; the others
    without self-attention have sinusoidal positions in place of those that act there."""
    position = settings.position
    if _target(part).recurrent:
        return position if position.arguments.get("recurrent") else None
    if attends_to_itself(part) or not _target(position).acts_in_attention():
        return position
    return Part("sinusoidal", SinusoidalPosition, {"recurrent": False})


def position_arguments(settings: TrainSettings, part: Part) -> dict[str, Any]:
    """What the builder supplies to a position in this encoder or decoder: the width of its inputs, its self-attention's
    heads (1 if it has none), and the source's pieces that are never split."""
    width = _target(part).input_dim(settings.embedding.size, **part.arguments)
    heads = part.arguments["heads"] if attends_to_itself(part) else 1
    symbols = symbol_ids(settings.tokenizer.arguments.get("symbols", ())) if part is settings.encoder else None
    return {"dim": width, "heads": heads, "symbols": symbols}
