"""Train a low-rank adapter on a frozen base held in 4 bits, on a GPU or a laptop's processor.

The loop is ``transformers.Trainer``; what is added here is that a training can be killed at any moment and,
started again with the same arguments, ends in the same adapter (on a processor, byte for byte: the same
number of threads given). QLoRA is this kit's addition: the paper fine-tunes all weights in bf16. Optimiser,
schedule, warm-up and the absence of gradient clipping are the paper's.

On a processor "auto" means fp32, even where it has bf16 instructions: with NF4 and the embedded model on 2 busy
cores with AVX-512 bf16, fp32 trained at 56 tokens/s and bf16 at 34 (4 rows of 400 tokens a step, one run each).

Not covered: several GPUs (the files would be written by every process), and a kill that takes the whole
machine with it (checkpoints are not flushed to disk one by one).
"""

import functools
import hashlib
import inspect
import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from magicoder_kit import devices, paper, records
from magicoder_kit.errors import KitError, ParameterError
from magicoder_kit.finetuning import collation, students
from magicoder_kit.records import Pair, Row

LOSS_ROWS = 64
"""How many training rows the loss before and after is taken over where none are held out."""

_CHECKPOINT_FILES = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
)


def train(
    pairs: Sequence[Pair],
    *,
    model: str,
    output: Path,
    epochs: float = float(paper.EPOCHS),
    learning_rate: float = 2e-4,
    batch_size: int = 4,
    accumulation: int = 1,
    max_tokens: int = paper.MAX_TRAINING_TOKENS["stage 1"],
    warmup_steps: int = paper.WARMUP_STEPS,
    rank: int = 16,
    alpha: int = 32,
    dropout: float = 0.05,
    targets: str | list[str] = "all-linear",
    schedule: str = "linear",
    optimizer: str = "adafactor",
    four_bit: bool = True,
    precision: str = "auto",
    seed: int = 976,
    checkpoint_steps: int = 10,
    held_out: int = 0,
    on_log: Callable[[Row], None] | None = None,
) -> Row:
    """Train an adapter into ``output/adapter`` and return what happened.

    Killed and called again with the same arguments, it goes on from its last whole checkpoint and ends as if
    it had never been stopped; called after its end, it returns what was saved. Other arguments or pairs begin
    anew.

    Parameters
    ----------
    pairs : sequence of Pair
        What to learn from.
    model : str
        The base: a hub name, a folder, or ``"embedded"``.
    output : Path
        A folder of this training alone; it gets ``adapter/`` and ``training.json``.
    learning_rate : float
        The paper's 5e-5 is for all weights; low-rank matrices, which begin at zero, need a larger one.
    batch_size, accumulation : int
        Rows a forward pass, and passes an optimiser step.
    warmup_steps : int
        Optimiser steps over which the learning rate rises from zero.
    optimizer, schedule : str
        Names of ``transformers.TrainingArguments`` (``optim``, ``lr_scheduler_type``).
    precision : str
        ``"auto"`` takes what :func:`devices.detect` finds best on a GPU, and fp32 on a processor.
    checkpoint_steps : int
        Optimiser steps between checkpoints: at most these are done again after a kill.
    held_out : int
        Rows not trained on, the last ones after a seeded shuffle.
    on_log : callable
        Gets each row of ``train_log`` when it is made, and after a resume first those made before.

    Returns
    -------
    Row
        ``loss_before``, ``loss_after`` (nats a response token), ``loss_of``, ``train_log`` (rows ``step, epoch,
        loss, learning_rate, tokens_per_second``; ``step, eval_loss`` before the first and after the last),
        counts of rows, ``seconds`` of this process's training, ``device``, ``asked``.

    Raises
    ------
    KitError
        There is too little to train on.
    ModelError
        The base cannot be loaded or used.
    """
    values = locals()
    asked = {
        name: values[name] for name in inspect.signature(train).parameters if name not in ("pairs", "output", "on_log")
    }
    device = devices.detect(precision)
    if precision == "auto" and device.kind == "cpu":
        device = device._replace(precision="fp32", reason="trains faster than bf16 on a processor with 4-bit weights")
    asked |= {"precision": device.precision, "device": device.kind, "pairs": _digest(pairs)}
    log = on_log or (lambda row: None)
    done = _already_done(output, asked)
    if done:
        for row in done["train_log"]:
            log(row)
        return done

    from transformers import set_seed

    tokenizer = students.load_tokenizer(model)
    rows = collation.tokenize(pairs, tokenizer, max_tokens=max_tokens)
    training, evaluated, loss_of = _split(rows, held_out=held_out, seed=seed)
    base = students.load_base(model, device=device, four_bit=four_bit)
    set_seed(seed)
    student = students.add_lora(base, rank=rank, alpha=alpha, dropout=dropout, targets=targets)

    checkpoints = output / "checkpoints"
    collator = collation.Collator(tokenizer)
    loss = functools.partial(mean_loss, student, evaluated, collator=collator, device=device, batch_size=batch_size)
    begun = _read(checkpoints / "begun.json")
    if begun is None or begun["asked"] != asked:
        shutil.rmtree(output / "adapter", ignore_errors=True)
        shutil.rmtree(checkpoints, ignore_errors=True)
        (output / "training.json").unlink(missing_ok=True)
        begun = {"asked": asked, "loss_before": loss()}
        records.write_json(checkpoints / "begun.json", begun)
    log({"step": 0, "eval_loss": begun["loss_before"]})

    began = time.monotonic()
    resumed = last_checkpoint(checkpoints)
    for row in _log_rows((_read(resumed / "trainer_state.json") or {})["log_history"]) if resumed else []:
        log(row)
    trainer = _trainer(student, training, collator=collator, device=device, folder=checkpoints, asked=asked, log=log)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    after = {"step": trainer.state.global_step, "eval_loss": loss()}
    log(after)

    _save_adapter(student, tokenizer, output / "adapter")
    report: Row = {
        "asked": asked,
        "loss_before": begun["loss_before"],
        "loss_after": after["eval_loss"],
        "loss_of": loss_of,
        "rows": len(training),
        "rows_held_out": held_out,
        "rows_cut": sum(row["cut"] for row in rows),
        "rows_dropped": len(pairs) - len(rows),
        "steps": trainer.state.global_step,
        "trainable_parameters": sum(weight.numel() for weight in student.parameters() if weight.requires_grad),
        "device": str(device),
        "seconds": round(time.monotonic() - began, 1),
        "train_log": [{"step": 0, "eval_loss": begun["loss_before"]}, *_log_rows(trainer.state.log_history), after],
    }
    records.write_json(output / "training.json", report)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return report


def mean_loss(
    model: Any, rows: Sequence[Row], *, collator: collation.Collator, device: devices.Device, batch_size: int = 4
) -> float:
    """Return the mean loss of the rows' trained tokens, in nats a token, without dropout."""
    import torch

    total, tokens, was_training = 0.0, 0, model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            batch = {name: value.to(model.device) for name, value in collator(rows[start : start + batch_size]).items()}
            labels = batch.pop("labels")[:, 1:]
            with torch.autocast(device.kind, device.dtype, enabled=device.kind == "cuda"):
                logits = model(**batch).logits[:, :-1]
            total += torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels.flatten(), ignore_index=collation.IGNORED, reduction="sum"
            ).item()
            tokens += int((labels != collation.IGNORED).sum())
    model.train(was_training)
    return total / tokens


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint and remove every other that a kill left half-written or half-removed.

    ``trainer_state.json`` is the last file of a checkpoint to be written: where it reads as JSON and nothing
    else is missing, the checkpoint is whole.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    whole = []
    for checkpoint in found:
        state = _read(checkpoint / "trainer_state.json")
        if state is not None and all((checkpoint / name).is_file() for name in _CHECKPOINT_FILES):
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return whole[0] if whole else None


def _digest(pairs: Sequence[Pair]) -> str:
    return hashlib.sha256(b"".join(records.encode(pair) for pair in pairs)).hexdigest()


def _read(path: Path) -> Row | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _already_done(output: Path, asked: Row) -> Row | None:
    report = _read(output / "training.json")
    if report is None or report["asked"] != asked or not (output / "adapter").is_dir():
        return None
    # The process may have died after its report and before it tidied up.
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    return report


def _split(rows: list[Row], *, held_out: int, seed: int) -> tuple[list[Row], list[Row], str]:
    """Return training rows, rows the loss is taken over, and what those are in words."""
    if not 0 <= held_out < len(rows):
        raise KitError(f"held_out is {held_out}, but only {len(rows)} rows can be trained on; hold out fewer")
    shuffled = random.Random(seed).sample(rows, len(rows))
    if held_out:
        return shuffled[:-held_out], shuffled[-held_out:], f"{held_out} rows held out of training"
    seen = shuffled[:LOSS_ROWS]
    return shuffled, seen, f"{len(seen)} of the {len(rows)} training rows (none were held out)"


def _trainer(
    student: Any,
    rows: list[Row],
    *,
    collator: collation.Collator,
    device: devices.Device,
    folder: Path,
    asked: Row,
    log: Callable[[Row], None],
) -> Any:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Logged(TrainerCallback):
        """Adds the speed to each log row where checkpoints keep it, and hands the row on."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.time, self.tokens = time.monotonic(), state.num_input_tokens_seen

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if "loss" not in (row := state.log_history[-1]):
                return
            now = time.monotonic()
            row["tokens_per_second"] = round(int(state.num_input_tokens_seen - self.tokens) / (now - self.time), 1)
            self.time, self.tokens = now, state.num_input_tokens_seen
            log(_log_rows([row])[0])

    cuda = device.kind == "cuda"
    try:
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=asked["epochs"],
            learning_rate=asked["learning_rate"],
            per_device_train_batch_size=asked["batch_size"],
            gradient_accumulation_steps=asked["accumulation"],
            warmup_steps=asked["warmup_steps"],
            lr_scheduler_type=asked["schedule"],
            optim=asked["optimizer"],
            seed=asked["seed"],
            save_steps=asked["checkpoint_steps"],
            save_total_limit=2,
            max_grad_norm=0.0,
            # On a processor the base computes in its own dtype; autocast would only convert again and again.
            fp16=cuda and device.precision == "fp16",
            bf16=cuda and device.precision == "bf16",
            gradient_checkpointing=cuda,
            gradient_checkpointing_kwargs={"use_reentrant": False} if cuda else None,
            use_cpu=not cuda,
            dataloader_pin_memory=cuda,
            remove_unused_columns=False,
            include_num_input_tokens_seen="non_padding",
            logging_steps=1,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=False,
        )
    except ValueError as error:
        raise ParameterError(f"training cannot be set up: {str(error).splitlines()[0]}") from error
    student.config.use_cache = False
    return Trainer(model=student, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[Logged()])


def _log_rows(history: list[Row]) -> list[Row]:
    """Keep of the Trainer's history what a person plots; all but the speed is the same after a resume."""
    columns = ("step", "epoch", "loss", "learning_rate", "tokens_per_second")
    return [{column: row[column] for column in columns} for row in history if "loss" in row]


def _save_adapter(student: Any, tokenizer: Any, adapter: Path) -> None:
    """Write the adapter beside its place, in bytes that depend on nothing but the training, and move it there."""
    part = adapter.with_name(".adapter.part")
    shutil.rmtree(part, ignore_errors=True)
    student.save_pretrained(part)
    tokenizer.save_pretrained(part)
    (part / "README.md").unlink(missing_ok=True)
    config = json.loads((part / "adapter_config.json").read_bytes())
    # peft keeps the target modules as a set, whose order changes from process to process.
    config = {
        name: sorted(value) if name == "target_modules" and isinstance(value, list) else value
        for name, value in config.items()
    }
    records.write_json(part / "adapter_config.json", config)
    shutil.rmtree(adapter, ignore_errors=True)
    part.rename(adapter)
