"""TensorBoard's event files, as TensorBoard itself reads them."""

import warnings
from contextlib import closing
from pathlib import Path

from event_files import board, points
from matplotlib.figure import Figure

from seq2seq.logger.base import Session
from seq2seq.logger.tensorboard import TensorBoard
from seq2seq.reporting.figures import render


def test_event_files_are_in_the_run_folder_itself(tmp_path: Path) -> None:
    with closing(TensorBoard(session=Session(tmp_path))) as recorder:
        recorder.scalars(10, {"train/loss": 1.0})
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["events"]


def test_texts_and_figures_have_their_update_as_step(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.text(0, 0, "漢")
    with closing(TensorBoard(session=Session(tmp_path))) as recorder:
        recorder.text(30, "samples", "| a |")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recorder.image(30, "attention/1", render(figure))
    events = board(tmp_path)
    (text,) = events.Tensors("samples/text_summary")
    (image,) = events.Images("attention/1")
    assert (text.step, text.tensor_proto.string_val[0]) == (30, b"| a |")
    assert (image.step, image.width, image.height) == (30, 100, 50)


def test_hyperparameters_add_no_point_to_a_curve(tmp_path: Path) -> None:
    settings = {"seed": 1, "encoder": "lstm", "tie": None, "deterministic": True, "sizes": [1, 2], "lr": 0.5}
    settings |= {"file": "lat\udce9in", "files": ["\udce9"]}
    with closing(TensorBoard(session=Session(tmp_path))) as recorder:
        recorder.hyperparameters(settings, ["valid/bleu"])
        recorder.scalars(20, {"valid/bleu": 12.5})
    assert points(tmp_path, "valid/bleu") == [(20, 12.5)]
    (started,) = (data for tag, data in hparams_data(tmp_path).items() if tag.endswith("session_start_info"))
    shown = {
        name: value.string_value or value.number_value for name, value in started.session_start_info.hparams.items()
    }
    as_text = {
        "tie": "null",
        "deterministic": "true",
        "sizes": "[1, 2]",
        "file": r"lat\udce9in",
        "files": r'["\udce9"]',
    }
    assert shown == {"seed": 1, "encoder": "lstm", "lr": 0.5} | as_text


def test_a_continued_run_has_its_hyperparameters_once(tmp_path: Path) -> None:
    for update in (0, 20):
        with closing(TensorBoard(session=Session(tmp_path, update))) as recorder:
            recorder.hyperparameters({"seed": update}, ["valid/bleu"])
    (started,) = (data for tag, data in hparams_data(tmp_path).items() if tag.endswith("session_start_info"))
    assert started.session_start_info.hparams["seed"].number_value == 0


def hparams_data(folder: Path) -> dict:
    """What TensorBoard's HPARAMS page reads: its messages by their tags."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = board(folder).PluginTagToContent("hparams")
    return {tag: HParamsPluginData.FromString(data) for tag, data in content.items()}
