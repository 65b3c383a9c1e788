"""Settings that a choice implies unless they are typed: summaries need other parts than translations, and text of the
user's own has a preset."""

from collections.abc import Mapping, Sequence

COMPANIONS: Mapping[str, Sequence[str]] = {
    "metrics=summarization": ("generator=pointer", "length.overlong=truncate"),
    **dict.fromkeys(("data=files", "data=table", "data=hub"), ("preset=auto",)),
}
# Once one of these keys or words is typed, it decides on a companion: its own key, and what it cannot go with.
GIVES_WAY_TO: Mapping[str, Sequence[str]] = {
    "generator=pointer": ("generator", "pooling", "attention=none", "tokenizer.joint=false"),
    "length.overlong=truncate": ("length.overlong",),
    "preset=auto": ("preset",),
}


def companions(typed: Sequence[str]) -> list[str]:
    """The words that join those typed for a training; an experiment is complete as it is. Beside another run's
    beginning only a preset joins: that run's."""
    known = {*typed, *(word.partition("=")[0] for word in typed)}
    if "experiment" in known:
        return []
    brought = [word for choice, words in COMPANIONS.items() if choice in known for word in words]
    if "init_from" in known:
        brought = [word for word in brought if word == "preset=auto"]
    return [word for word in brought if not known.intersection(GIVES_WAY_TO[word])]
