"""Wire the parts of a configuration into a model: the builder passes the widths, YAML holds no arithmetic."""

from typing import Any, Literal

from torch import nn

from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.model.model import Model
from seq2seq.types import Part


def build_model(settings: TrainSettings, *, source_vocab: int, target_vocab: int) -> Model:
    """A freshly initialised model; seed torch's generator first. The vocabulary sizes come from the tokenizer."""
    source_table, target_table = _tables(settings.embedding.size, settings.tie, source_vocab, target_vocab)
    encoder = _build("encoder", settings.encoder, embedding=_input_embedding(settings, settings.encoder, source_table))
    decoder = _build(
        "decoder",
        settings.decoder,
        embedding=_input_embedding(settings, settings.decoder, target_table),
        attention=settings.attention,
        memory_dim=settings.encoder.target.output_dim(**settings.encoder.arguments),  # type: ignore[attr-defined]
    )
    generator = _build(
        "generator",
        settings.generator,
        feature_dim=settings.decoder.target.feature_dim(**settings.decoder.arguments),  # type: ignore[attr-defined]
        vocab_size=target_vocab,
        table=None if settings.tie == "none" else target_table,
    )
    return Model(encoder=encoder, decoder=decoder, generator=generator)


def _build(group: str, part: Part, **wired: Any) -> Any:
    """One part; a value that its constructor refuses is the user's to mend."""
    try:
        return part(**wired)
    except ValueError as error:
        raise ConfigError(f"{group}={part.name}: {error}") from error


def _tables(
    size: int, tie: Literal["none", "target", "all"], source_vocab: int, target_vocab: int
) -> tuple[nn.Embedding, nn.Embedding]:
    """The embedding tables of source and target: one and the same with tie=all, which a joint vocabulary allows."""
    source = embedding_table(source_vocab, size)
    return source, source if tie == "all" else embedding_table(target_vocab, size)


def _input_embedding(settings: TrainSettings, part: Part, table: nn.Embedding) -> InputEmbedding:
    """A table read the way this encoder or decoder wants it: recurrent parts plain, the others scaled by sqrt(E),
    with positions (Vaswani et al. 2017, sections 3.4 and 3.5)."""
    recurrent = part.target.recurrent  # type: ignore[attr-defined]
    width = part.target.input_dim(settings.embedding.size, **part.arguments)  # type: ignore[attr-defined]
    positioned = settings.position.arguments["recurrent"] or not recurrent
    return InputEmbedding(
        table=table,
        width=width,
        scale=1.0 if recurrent else settings.embedding.size**0.5,
        dropout=settings.embedding.dropout,
        word_dropout=settings.embedding.word_dropout,
        position=settings.position(dim=width) if positioned else None,
    )
