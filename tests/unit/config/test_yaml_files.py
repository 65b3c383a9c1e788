"""YAML files: values are read back unchanged, numbers stay numbers, lines are found."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.yaml_files import SEAL, line_of, read_yaml, write_yaml
from seq2seq.config.yaml_reading import parse_yaml
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
def test_any_plain_content_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    write_yaml(content, path)
    assert read_yaml(path) == content


# Nine lists with nine aliases each: a billion values in 400 bytes. And 60 nested lists.
BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(9)).encode()
TOWER = "\n".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else 'x'}]" for n in range(60)).encode()


def test_aliases_are_allowed_within_the_limits() -> None:
    assert parse_yaml(b"a: &x [1, 2]\nb: [*x, *x]\nc: {<<: {d: 1}}\n") == {
        "a": [1, 2],
        "b": [[1, 2], [1, 2]],
        "c": {"d": 1},
    }


def test_modified_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_yaml({"a": 1, "b": {"c": "text"}}, path)
    whole = path.read_bytes()
    for place in range(len(SEAL), len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
        with pytest.raises(CheckpointError):
            read_yaml(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_yaml(path)
    path.write_bytes(whole.partition(b"\n")[2])  # as older versions wrote it
    assert read_yaml(path) == {"a": 1, "b": {"c": "text"}}


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "config.yaml").symlink_to("elsewhere")
    write_yaml({"a": 1}, tmp_path / "config.yaml")
    assert (tmp_path / "elsewhere").read_text() == "kept"
    assert read_yaml(tmp_path / "config.yaml") == {"a": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "elsewhere"]


WRONG = [("int", "x"), ("int", "''"), ("float", "x"), ("float", "''"), ("bool", "x"), ("bool", "''"), ("int", "1:x")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"a: [1\nb: 2\n", "line 2, column 2: expected ',' or ']'"),
        (b"- 1\n", "contains no configuration"),
        (b"", "contains no configuration"),
        (b"a: 1\nb: \xff\n", "line 2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: 1\na: 2\n", "line 2, column 1: 'a' occurs twice"),
        (b"a: 1\non: 5\n", "line 2, column 1: a key must be text: 'on' is not read as text; put it in quotes"),
        (b"1: 5\n", "line 1, column 1: a key must be text: '1'"),
        (b"a:\n  [1]: 2\n", "line 2, column 3: a key must be a word"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "line 1, column 43: lists and keys are nested more than 40 deep"),
        (b"a: &x [1, *x]\n", "line 1, column 11: *x refers to itself"),
        (BOMB, "the file holds more than 100,000 values"),
        (TOWER, "nested more than 40 deep"),
        (b"a: " + b"9" * 5000, "line 1, column 4: a whole number of 5,000 characters"),
        (b"a: 0x" + b"f" * 5000, "line 1, column 4: a whole number of 5,002 characters"),
        (b"a: !!binary aGk=", "line 1, column 4: a value of kind '!!binary': expected text, a number, a list or keys"),
        (b"b: 1\na: !!set {c}", "line 2, column 4: a value of kind '!!set'"),
        (b"a: !!timestamp 2020-06-30", "line 1, column 4: a value of kind '!!timestamp'"),
        (b"a: !!python/name:os.system x", "line 1, column 4: a value of kind '!!python/name:os.system'"),
        (b"a: =", "line 1, column 4: '=' is not read as text; put it in quotes"),
        (b"a: !mine 5", "line 1, column 4: a value of kind '!mine'"),
        (b"a: " + b"x" * 2_000_000, "holds more than 1,000,000 bytes, the most that such a file may have"),
        (b"a: !!python/object/apply:os.system [ls]\n", "a value of kind '!!python/object/apply:os.system'"),
        *((f"a: !!{kind} {text}".encode(), "a value cannot be read: ") for kind, text in WRONG),
    ],
)
def test_broken_file_is_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "line"),
    [("a", 2), ("a.b", 3), ("a.c[1]", 6), ("a.c[1].d", 6), ("a.c[2]", None), ("x", None), ("a.b.c", None), ("e", 7)],
)
def test_lines_are_found(tmp_path: Path, key: str, line: int | None) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# comment\na:\n  b: 1\n  c:\n    - 1\n    - d: 2\n'e': 3\n")
    assert line_of(path, key) == line


@pytest.mark.parametrize("text", ["\\ud800", "\\udfff", "a\\udbff\\u0041"])
def test_half_of_a_character_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(f'run: "{text}"\n')
    with pytest.raises(CheckpointError, match=r"half of a character .* in a text"):
        read_yaml(tmp_path / "config.yaml")


def test_a_name_that_is_not_utf8_is_kept(tmp_path: Path) -> None:
    name = b"lat\xe9in.src".decode(errors="surrogateescape")
    write_yaml({"source": name}, tmp_path / "config.yaml")
    assert read_yaml(tmp_path / "config.yaml") == {"source": name}
