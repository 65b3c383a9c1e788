import pytest

from seq2seq.errors import ConfigError
from seq2seq.model.parameter_names import choose

NAMES = ["encoder.embedding.table.weight", "encoder.layers.0.bias", "encoder.layers.10.bias", "generator.bias"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], set()),
        (["generator.bias"], {"generator.bias"}),
        (["encoder.layers"], {"encoder.layers.0.bias", "encoder.layers.10.bias"}),
        (["encoder.layers.1"], None),
        (["encoder.layers.1*"], {"encoder.layers.10.bias"}),
        (["*.embedding"], {"encoder.embedding.table.weight"}),
        (["*bias"], {"encoder.layers.0.bias", "encoder.layers.10.bias", "generator.bias"}),
        (["enc"], None),
        (["generator", "encoder.embedding.*"], {"generator.bias", "encoder.embedding.table.weight"}),
        (["*"], set(NAMES)),
    ],
)
def test_a_pattern_names_parameters_or_modules(patterns: list[str], chosen: set[str] | None) -> None:
    if chosen is None:
        with pytest.raises(ConfigError, match="no parameter or module is called"):
            choose("freeze", patterns, NAMES)
    else:
        assert choose("freeze", patterns, NAMES) == chosen


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("encodr.*", "; did you mean encoder?"),
        ("encoder.layer", "; did you mean encoder.layers?"),
        ("*.embeding.*", "; did you mean encoder.embedding?"),
        ("generator.bais", "; did you mean generator.bias?"),
        ("xyz", "."),
    ],
)
def test_the_nearest_name_is_suggested(pattern: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose("freeze", [pattern], NAMES)
    message = f"freeze: no parameter or module is called '{pattern}'{hint} At the top there are: encoder, generator"
    assert str(caught.value) == message


def test_each_pattern_without_a_match_has_a_line() -> None:
    with pytest.raises(ConfigError) as caught:
        choose("init_fresh", ["xyz", "encoder", "abc"], NAMES)
    assert [line.split("'")[1] for line in str(caught.value).split("\n")] == ["xyz", "abc"]
