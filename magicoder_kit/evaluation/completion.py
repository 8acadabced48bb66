"""Let a model answer benchmark tasks, greedily and in batches, with every finished batch kept.

How a task is put to the model is a form of :data:`FORMS`. Batches are planned from the tasks alone, before
anything runs, so an answer does not depend on where an earlier process was killed (padding changes a model's
last digits, and greedy decoding can tip over them).

Not covered: sampling several answers a task, and generation on several GPUs; both are vLLM's trade.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicoder_kit import devices, paper
from magicoder_kit.decoding import Decoder
from magicoder_kit.errors import ModelError, ParameterError
from magicoder_kit.finetuning import collation, pairs, students
from magicoder_kit.records import Journal, Row

if TYPE_CHECKING:
    pass

FENCE = "```"
_BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)


def prefilled(task: Row, tokenizer: Any) -> tuple[str, str]:
    """The paper's form: the response is begun with the problem's own code, which the model goes on with."""
    code = task["prompt"].strip()
    return f"{template(task, tokenizer)[0]}{FENCE}python\n{code}", code


def template(task: Row, tokenizer: Any) -> tuple[str, str]:
    """The training template with the instruction; the model writes its whole answer."""
    return pairs.prompt(_instruction(task)), ""


def chat(task: Row, tokenizer: Any) -> tuple[str, str]:
    """The same instruction as a user's message in the model's own chat template."""
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError("the model has no chat template; use the form 'template' or 'prefilled'")
    messages = [{"role": "user", "content": _instruction(task)}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True), ""


FORMS: dict[str, Callable[[Row, Any], tuple[str, str]]] = {"prefilled": prefilled, "template": template, "chat": chat}
"""How a task is asked: form → function of task and tokenizer that gives the prompt and the code it already holds."""


def _instruction(task: Row) -> str:
    return paper.EVALUATION_INSTRUCTION.replace("{prompt}", task["prompt"].strip())


def prompt_ids(prompt: str, *, form: str, tokenizer: Any) -> list[int]:
    """Tokenize a prompt as training did; a chat template has written its special tokens itself."""
    token_ids = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
    return list(token_ids) if form == "chat" else collation.with_bos(token_ids, tokenizer)


def code_of(completion: str, *, prefix: str) -> str:
    """Return the code of an answer.

    After a ``prefix`` (code the prompt ended with) that is the prefix and what follows up to the closing
    fence; else the first fenced block, or the whole text where there is none.
    """
    if prefix:
        return prefix + completion.partition(FENCE)[0]
    block = _BLOCK.search(completion)
    return block.group(1) if block else completion


def load(name_or_path: str, *, device: devices.Device) -> tuple[Any, Any]:
    """Load a model (hub name, merged folder, adapter folder or ``"embedded"``) and its tokenizer.

    Raises
    ------
    ModelError
        It cannot be had, or does not fit on the device.
    """
    from transformers import GenerationConfig

    tokenizer = students.load_tokenizer(name_or_path)
    model = students.load_base(name_or_path, device=device, four_bit=False).eval()
    ends = model.generation_config.eos_token_id
    ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
    if not ends:
        raise ModelError(f"model {name_or_path!r} has no end-of-sequence token; set eos_token in its tokenizer")
    # Penalties and sampling that a model's makers chose for chat would make it anything but greedy.
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=sorted(ends),
        pad_token_id=min(ends) if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
    return model, tokenizer


def complete(
    tasks: Sequence[Row],
    *,
    model: tuple[Any, Any],
    form: str,
    max_new_tokens: int = paper.EVALUATION_NEW_TOKENS,
    batch_size: int = 24,
    device: devices.Device,
    journal: Journal | None = None,
    model_id: str,
) -> list[Row]:
    """Answer every task once, greedily.

    Parameters
    ----------
    tasks : sequence of Row
        Columns ``task_id`` and ``prompt``.
    model : (model, tokenizer)
        From :func:`load`.
    form : str
        A name of :data:`FORMS`.
    journal : Journal
        Keeps each finished batch; batches it already holds are not asked again.
    model_id : str
        Names the weights in the journal: other weights need another name, or old answers are taken for theirs.

    Returns
    -------
    list of Row
        In the tasks' order: ``task_id, sample, prompt, completion, code, form, model, tokens, finish``, the
        last ``"stop"`` (fence closed or end token) or ``"length"``.

    Raises
    ------
    ParameterError
        There is no such form, or a number is not positive.

    Source: evaluation as in section 3; 512 new tokens, greedy.
    """
    from tqdm.auto import tqdm

    if form not in FORMS:
        nearest = difflib.get_close_matches(form, FORMS, n=1, cutoff=0.4) or sorted(FORMS)
        raise ParameterError(f"form {form!r} is not known; did you mean {' or '.join(map(repr, nearest))}?")
    if min(max_new_tokens, batch_size) < 1:
        raise ParameterError(f"max_new_tokens is {max_new_tokens} and batch_size {batch_size}; both must be at least 1")
    asked = [FORMS[form](task, model[1]) for task in tasks]
    token_ids = [prompt_ids(prompt, form=form, tokenizer=model[1]) for prompt, _ in asked]
    order = sorted(range(len(tasks)), key=lambda number: (len(token_ids[number]), number))
    known = {row["request_id"]: row for row in journal.rows()} if journal else {}
    answered: dict[int, Row] = {}
    with tqdm(total=len(tasks), desc=f"answering ({form})", unit="task") as progress:
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            together = [[tasks[number]["task_id"], asked[number][0]] for number in batch]
            setting = [model_id, form, max_new_tokens, device.precision, device.kind, together]
            keys = [_request_id([*setting, *one]) for one in together]
            if not all(key in known for key in keys):
                answers = _generate(
                    [token_ids[number] for number in batch], model=model, form=form, limit=max_new_tokens
                )
                rows = [
                    {
                        "request_id": key,
                        "task_id": tasks[number]["task_id"],
                        "sample": 0,
                        "prompt": asked[number][0],
                        "completion": answer["completion"],
                        "code": code_of(answer["completion"], prefix=asked[number][1]),
                        "form": form,
                        "model": model_id,
                        "tokens": answer["tokens"],
                        "finish": answer["finish"],
                    }
                    for key, number, answer in zip(keys, batch, answers, strict=True)
                ]
                if journal:
                    journal.append(*rows)
                known |= {row["request_id"]: row for row in rows}
            answered |= {number: known[key] for key, number in zip(keys, batch, strict=True)}
            progress.update(len(batch))
    return [{name: answered[number][name] for name in _COLUMNS} for number in range(len(tasks))]


_COLUMNS = ("task_id", "sample", "prompt", "completion", "code", "form", "model", "tokens", "finish")


def _request_id(asked: list[Any]) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _generate(prompts: list[list[int]], *, model: tuple[Any, Any], form: str, limit: int) -> list[Row]:
    """Answer one batch; the end of each answer is where its code block closes, its end token, or the limit."""
    network, tokenizer = model
    ends = set(network.generation_config.eos_token_id)
    fences = 1 if form == "prefilled" else 2
    texts, tokens, stopped = [""] * len(prompts), [0] * len(prompts), [False] * len(prompts)

    def finished(row: int, token: int) -> bool:
        # A backtick is one byte in every tokenizer, so a fence is found token by token even where the text
        # around it would decode otherwise in one piece.
        texts[row] += tokenizer.decode([token])
        tokens[row] += 1
        stopped[row] = token in ends or texts[row].count(FENCE) >= fences
        return stopped[row] or tokens[row] >= limit

    answers = []
    for number, made in enumerate(Decoder(network).decode(prompts, finished=finished)):
        text = tokenizer.decode(made, skip_special_tokens=True)
        if form == "prefilled":
            text = text.partition(FENCE)[0]
        answers.append({"completion": text, "tokens": len(made), "finish": "stop" if stopped[number] else "length"})
    return answers
