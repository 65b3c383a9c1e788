"""YAML as text: what is written is read again, numbers look like numbers, lines are found."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.yaml_files import line_of, read_yaml, write_yaml
from seq2seq.errors import CheckpointError

TEXTS = [
    "7",
    "1e3",
    "007",
    "1_000",
    "null",
    "true",
    "~",
    "1.5",
    ".inf",
    "",
    " x ",
    "a: b",
    "# c",
    "'q'",
    "ünï",
    "a\nb",
    "1e-4",
]


def test_text_stays_text_and_numbers_stay_numbers(tmp_path: Path) -> None:
    content = {"texts": TEXTS, "numbers": [1, 1.0, 1e-5, 1e20, -3], "flags": [True, None], "empty": {}, "none": []}
    write_yaml(content, tmp_path / "config.yaml")
    found = read_yaml(tmp_path / "config.yaml")
    assert found == content
    assert [type(item) for item in found["numbers"]] == [int, float, float, float, int]


def test_numbers_typed_by_hand_are_read_as_hydra_reads_them(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1e-4\nb: 1E3\nc: 3\nd: .5\ne: '1e-4'\nf: 1.\ng: -.inf\n")
    content = read_yaml(tmp_path / "config.yaml")
    assert content == {"a": 1e-4, "b": 1e3, "c": 3, "d": 0.5, "e": "1e-4", "f": 1.0, "g": -math.inf}


@given(st.dictionaries(st.text(min_size=1), st.text() | st.floats(allow_nan=False) | st.integers() | st.booleans()))
def test_any_plain_content_is_read_again(tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    write_yaml(content, path)
    assert read_yaml(path) == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"a: [1\nb: 2\n", "line 2, column 2: expected ',' or ']'"),
        (b"- 1\n", "holds no configuration"),
        (b"", "holds no configuration"),
        (b"a: \xff\n", "cannot be read"),
        (b"a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("key", "line"),
    [("a", 2), ("a.b", 3), ("a.c[1]", 6), ("a.c[1].d", 6), ("a.c[2]", None), ("x", None), ("a.b.c", None), ("e", 7)],
)
def test_lines_are_found(tmp_path: Path, key: str, line: int | None) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# comment\na:\n  b: 1\n  c:\n    - 1\n    - d: 2\n'e': 3\n")
    assert line_of(path, key) == line
