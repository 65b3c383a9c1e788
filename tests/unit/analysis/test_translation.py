"""JSON lines are read by the run's own column, named by file and line where they cannot be."""

import json

import pytest

from seq2seq.analysis.translation import JsonLines, PlainLines
from seq2seq.errors import DataError


def test_the_text_is_read_under_the_runs_column_and_answered_beside_it() -> None:
    form = JsonLines("in.jsonl", "translation.de")
    lines = [json.dumps({"id": i, "translation": {"de": text}}) for i, text in enumerate(("eins", "zwei"))]
    assert form.read(lines) == ["eins", "zwei"]
    written = [json.loads(line) for line in form.write(["one", "two"])]
    assert [(record["id"], record["output"]) for record in written] == [(0, "one"), (1, "two")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"dialogue": "x"}', r"in.jsonl, line 3: there is no column 'text'"),
        ("[1]", r"in.jsonl, line 3: an object was expected"),
        ("{", r"in.jsonl, line 3: not JSON"),
        ('{"text": 7}', r"in.jsonl, line 3: column 'text' holds 7"),
        ('{"text": "' + "\\ud800" + '"}', r"in.jsonl, line 3: column 'text' holds half a surrogate pair"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_across_chunks(line: str, message: str) -> None:
    form = JsonLines("in.jsonl", "text")
    form.read(['{"text": "a"}', '{"text": "b"}'])
    with pytest.raises(DataError, match=message):
        form.read([line])


def test_line_breaks_inside_an_answer_become_spaces() -> None:
    assert PlainLines().write(["a\nb", ""]) == ["a b", ""]
