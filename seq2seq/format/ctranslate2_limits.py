"""Which runs CTranslate2 can express: the kinds of parts, and numbers that it has once where ours have several."""

from collections.abc import Iterator

from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.config.schema import TrainSettings
from seq2seq.decoder.transformer import TransformerDecoder
from seq2seq.encoder.transformer import TransformerEncoder
from seq2seq.feed_forward.gated import GatedFeedForward
from seq2seq.feed_forward.plain import PlainFeedForward
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.layer_norm.rms import RmsNorm
from seq2seq.normalizer.softmax import Softmax
from seq2seq.pooling.none import NoPooling
from seq2seq.position.learned import LearnedPosition
from seq2seq.position.none import NoPosition
from seq2seq.position.relative import RelativePosition
from seq2seq.position.rotary import RotaryPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.self_attention.full import FullSelfAttention

TABLES = (SinusoidalPosition, LearnedPosition, NoPosition)  # positions that are added to the inputs
# By group: the classes that it has, and their choices. A class that derives one of them may compute something else.
POSSIBLE: dict[str, tuple[tuple[type, ...], str]] = {
    "encoder": ((TransformerEncoder,), "transformer"),
    "decoder": ((TransformerDecoder,), "transformer"),
    "pooling": ((NoPooling,), "none"),
    "generator": ((SoftmaxGenerator,), "softmax"),
    "position": ((*TABLES, RotaryPosition, RelativePosition), "sinusoidal, learned, none, rotary or relative"),
    "self_attention": ((FullSelfAttention,), "full, grouped_query or multi_query"),
    "attention": ((MultiHeadAttention,), "multihead, grouped_query or multi_query"),
    "normalizer": ((Softmax,), "softmax"),
    "feed_forward": ((PlainFeedForward, GatedFeedForward), "plain, swiglu or geglu"),
    "layer_norm": ((LayerNorm, RmsNorm), "layer or rms"),
}


def problems(settings: TrainSettings, max_length: int, key: str = "format") -> list[str]:
    """A line for each setting that CTranslate2 cannot express; `key` is that by which it was chosen."""
    lines = [
        f"{key}=ctranslate2 has no {group}={part.name}: it can {choices}"
        for group, (classes, choices) in POSSIBLE.items()
        if (part := getattr(settings, group)).target not in classes
    ]
    return lines or [*_number_problems(settings, key), *_length_problems(settings, max_length)]


def _number_problems(settings: TrainSettings, key: str) -> Iterator[str]:
    """The settings have the right parts."""
    own, cross = settings.decoder.arguments["heads"], settings.attention.arguments["heads"]
    if own != cross:
        yield (
            f"{key}=ctranslate2 has one number of heads in a decoder, not decoder.heads={own} and "
            f"attention.heads={cross}"
        )


def _length_problems(settings: TrainSettings, max_length: int) -> Iterator[str]:
    """Only positions that are added to the inputs have a table."""
    if settings.position.target not in TABLES:
        return
    key, tokens = longest(settings)
    if tokens > max_length:
        yield (
            f"format.max_length={max_length}: {key} allows {tokens} tokens with the end symbol; type "
            f"format.max_length={tokens}"
        )


def longest(settings: TrainSettings) -> tuple[str, int]:
    """The key that allows the longest texts, and how many tokens, the end symbol counted."""
    source, target = settings.length.max_source + 1, settings.search.arguments["max_length"]
    return ("length.max_source", source) if source >= target else ("search.max_length", target)
