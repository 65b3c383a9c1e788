"""Hugging Face's MarianMT trained by its Seq2SeqTrainer, in turns: python marian_training.py FOLDER fp32|bf16.

As its users train: sentences grouped by length, DataCollatorForSeq2Seq, label smoothing and clipping by the trainer,
its usual optimizer; bf16 is its own autocast. A batch is counted in sentences, as many as hold the target tokens asked
for.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from exchange import EOS, Pairs, read_pairs, read_task
from marian import fresh_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
    set_seed,
)
from turns import Pace, Turns


def main() -> None:
    turns = Turns()
    folder, precision = Path(sys.argv[1]), sys.argv[2]
    task, pairs = read_task(folder), read_pairs(folder / "train.npz")
    set_seed(task["seed"])
    model = fresh_model(task)
    pace = Pace(turns)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = CountingTrainer(
            model=model,
            args=arguments(scratch, task, pairs, precision),
            data_collator=DataCollatorForSeq2Seq(padding_tokenizer(), model=model),
            train_dataset=dataset(pairs),
        )
        trainer.add_callback(Measuring(pace, trainer))
        turns.ready("transformers", "accelerate", "torch", "numpy")
        trainer.train()


def arguments(scratch: str, task: dict[str, Any], pairs: Pairs, precision: str) -> Seq2SeqTrainingArguments:
    """What a user would choose; everything else is as it comes."""
    return Seq2SeqTrainingArguments(
        output_dir=scratch,
        use_cpu=True,
        bf16=precision == "bf16",
        per_device_train_batch_size=round(task["tokens_per_update"] / pairs.target_length()),
        train_sampling_strategy="group_by_length",
        label_smoothing_factor=task["label_smoothing"],
        learning_rate=task["lr"],
        max_grad_norm=task["clip_norm"],
        warmup_steps=400,
        max_steps=10**6,
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=task["seed"],
    )


def dataset(pairs: Pairs) -> list[dict[str, list[int]]]:
    """Each pair as a tokenizer would have left it."""
    sides = zip(pairs.sources(), pairs.targets(), strict=True)
    return [{"input_ids": [*source, EOS], "labels": [*target, EOS]} for source, target in sides]


def padding_tokenizer() -> PreTrainedTokenizerFast:
    """The collator asks a tokenizer to pad, and no more: the text has been encoded before."""
    words = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    backend = Tokenizer(WordLevel(words, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )


class CountingTrainer(Seq2SeqTrainer):
    """Notes what each batch holds."""

    counts: dict[str, int]

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **more: Any) -> Any:
        self.counts = {
            "source_tokens": int(inputs["attention_mask"].sum()),
            "target_tokens": int((inputs["labels"] != -100).sum()),
            "positions": inputs["input_ids"].numel() + inputs["labels"].numel(),
        }
        return super().training_step(model, inputs, *rest, **more)


class Measuring(TrainerCallback):
    """Hears of every update, the fetching of its batch included."""

    def __init__(self, pace: Pace, trainer: CountingTrainer) -> None:
        self._pace = pace
        self._trainer = trainer

    def on_train_begin(self, *arguments: Any, **more: Any) -> None:
        self._pace.begin()

    def on_step_end(self, *arguments: Any, **more: Any) -> None:
        self._pace.updated(**self._trainer.counts)


if __name__ == "__main__":
    main()
