"""Lines in, lines out: JSON by the run's own column, several answers with their scores, given beginnings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from contract.combinations import Triple

from seq2seq.analysis import translation
from seq2seq.analysis.trained import Trained
from seq2seq.analysis.translation import Answer, JsonLines, PlainLines, Prefixes, answer, translate
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.errors import ConfigError, DataError
from seq2seq.model.builder import build_model
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.tokenizer import SentencePiece, Tokenizer
from seq2seq.training.device import Runtime
from seq2seq.types import Part

SCRIPT = TranslateSettings(
    run="one",
    checkpoint="best",
    input=None,
    output=None,
    prefix=None,
    n_best=1,
    shortlist=None,
    ensemble=[],
    changed={},
)


def answers(*texts: str) -> list[Answer]:
    return [Answer(-0.5 * place, -2.0 * place, text) for place, text in enumerate(texts, 1)]


def test_the_text_is_read_under_the_runs_column_and_answered_beside_it() -> None:
    form = JsonLines("in.jsonl", "translation.de", 1)
    lines = [json.dumps({"id": i, "translation": {"de": text}}) for i, text in enumerate(("eins", "zwei"))]
    assert form.read(lines) == ["eins", "zwei"]
    written = [json.loads(line) for line in form.write([answers("one"), answers("two")])]
    assert [(record["id"], record["output"]) for record in written] == [(0, "one"), (1, "two")]
    assert "outputs" not in written[0]


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
    form = JsonLines("in.jsonl", "text", 1)
    form.read(['{"text": "a"}', '{"text": "b"}'])
    with pytest.raises(DataError, match=message):
        form.read([line])


def test_line_breaks_inside_an_answer_become_spaces() -> None:
    assert PlainLines(1).write([answers("a\nb"), answers("")]) == ["a b", ""]


def test_several_answers_are_numbered_by_their_line_across_chunks() -> None:
    form = PlainLines(2)
    assert form.write([answers("a\nb", "c"), answers("")]) == [
        "1\t-0.5000\t-2.0000\ta b",
        "1\t-1.0000\t-4.0000\tc",
        "2\t-0.5000\t-2.0000\t",
    ]
    assert form.write([answers("d")]) == ["3\t-0.5000\t-2.0000\td"]


def test_several_answers_stand_beside_the_best_in_json() -> None:
    form = JsonLines("in.jsonl", "source", 3)
    form.read(['{"source": "eins"}'])
    (line,) = form.write([answers("one", "1")])
    assert json.loads(line) == {
        "source": "eins",
        "output": "one",
        "outputs": [{"score": -0.5, "log_prob": -2.0, "text": "one"}, {"score": -1.0, "log_prob": -4.0, "text": "1"}],
    }


def test_prefixes_are_a_line_a_line(tmp_path: Path) -> None:
    path = tmp_path / "begin.txt"
    path.write_text("ein \n\n zwei\n")
    given = Prefixes(str(path))
    assert given.take(2) == ["ein", ""]
    assert given.take(1) == [" zwei"]
    given.end()
    short, long = Prefixes(str(path)), Prefixes(str(path))
    with pytest.raises(DataError, match=r"begin.txt has 3 lines, the input more: give each one, be it empty"):
        short.take(4)
    long.take(2)
    with pytest.raises(DataError, match=r"begin.txt has more lines than the input, which has 2"):
        long.end()


@pytest.fixture(scope="module")
def trained() -> tuple[Trained, TrainSettings]:
    """A small model that knows nothing, over words of a few letters."""
    words = ["eins zwei drei vier", "one two three four"] * 4
    piece = SentencePiece(
        model_type="bpe",
        vocab_size=300,
        joint=True,
        character_coverage=1.0,
        byte_fallback=True,
        normalization="nmt_nfkc",
        sampling=0.0,
        training_lines=100,
    )
    tokenizer: Tokenizer = piece.train(words, words)
    settings = Triple("lstm", "bahdanau", "lstm").settings()
    torch.manual_seed(1)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size).eval()
    runtime = Runtime(torch.device("cpu"), torch.float32)
    return Trained(RunFolder(Path("none")), tokenizer, model, runtime, 1, model, {}), settings


def test_answers_begin_as_they_are_told_to_and_come_best_first(trained: tuple[Trained, TrainSettings]) -> None:
    search = BeamSearch(beam_size=4, length_penalty=1.0, max_length=12, max_length_ratio=2.0)
    found = answer(*trained, search, ["eins", "zwei drei", ""], ["one", "", "two three"], n_best=3)
    assert [len(each) for each in found] == [3, 3, 3]
    for each in found:
        assert [one.score for one in each] == sorted((one.score for one in each), reverse=True)
    assert all(one.text.startswith("one") for one in found[0])
    assert all(one.text.startswith("two three") for one in found[2])
    alone = answer(*trained, search, ["zwei drei"], n_best=3)[0]
    assert [one.text for one in found[1]] == [one.text for one in alone]
    assert [one.log_prob for one in found[1]] == pytest.approx([one.log_prob for one in alone], abs=1e-4)


def test_what_is_drawn_for_a_line_depends_on_its_place_in_the_whole_input(
    trained: tuple[Trained, TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = {"max_length": 9, "max_length_ratio": 1.0}
    drawing = {"samples": 1, "temperature": 1.0, "top_k": None, "top_p": None, "seed": 1}
    settings = replace(trained[1], search=Part("sampling", SamplingSearch, drawing | bounds))
    monkeypatch.setattr(translation, "load_trained", lambda *_: trained[0])
    (tmp_path / "in").write_text("zwei drei\n" * 7)
    written = []
    for chunk in (1000, 3):
        monkeypatch.setattr(translation, "CHUNK", chunk)
        translate(replace(SCRIPT, input=str(tmp_path / "in"), output=str(tmp_path / "out")), settings)
        written.append((tmp_path / "out").read_text().split("\n"))
    assert written[0] == written[1]
    assert len(set(written[0][:-1])) == 7


@pytest.mark.parametrize("kind", ["beam", "greedy"])
def test_more_answers_than_a_search_finds_are_refused(trained: tuple[Trained, TrainSettings], kind: str) -> None:
    bounds = {"max_length": 9, "max_length_ratio": 1.0}
    part = {
        "beam": Part("beam", BeamSearch, {"beam_size": 4, "length_penalty": 1.0, **bounds}),
        "greedy": Part("greedy", GreedySearch, bounds),
    }[kind]
    most = {"beam": "4 a line; raise search.beam_size", "greedy": "1 a line; take search=beam"}[kind]
    with pytest.raises(ConfigError, match=f"n_best=5: search={kind} finds at most {most}"):
        translate(replace(SCRIPT, n_best=5), replace(trained[1], search=part))


@pytest.mark.parametrize("key", ["input", "prefix"])
def test_what_is_read_is_not_written_over(trained: tuple[Trained, TrainSettings], key: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("eins\n")
    with pytest.raises(ConfigError, match=f"output={path} is the .*: name another file"):
        translate(replace(SCRIPT, output=str(path), **{key: str(path)}), trained[1])
    assert path.read_text() == "eins\n"
