"""Snippets as requests to the teacher, by the paper's settings."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence

from magicoder_kit import paper, prompts, teacher
from magicoder_kit.records import Row


class Requests:
    """Requests for snippets, one each, made when they are asked for: a sequence that holds none of them.

    Parameters
    ----------
    snippets : sequence of dict
        Columns ``lang, raw_index, index, seed``; a list, or ``records.Rows`` of any length.
    variant : str
        A prompt variant of :mod:`prompts`.
    model : str
        The teacher's name at its endpoint.
    temperature : float
        The paper samples greedily.
    max_new_tokens, context_length : int
        A response may have ``min(max_new_tokens, context_length - tokens of the user messages - 10)`` tokens.
    seed : int
        The API's seed is this plus the snippet's ``index``.
    count_tokens : callable, optional
        Counts a text's tokens; by default as the model does.

    Notes
    -----
    A request has what :func:`teacher.request` returns, ``prompt_tokens`` and the snippet's ``lang, raw_index,
    index``. A snippet whose prompt leaves no room gets ``max_tokens`` 0 or less; it is not sent.

    Source: appendix A; the token rule is the reference implementation's.
    """

    def __init__(
        self,
        snippets: Sequence[Row],
        *,
        variant: str,
        model: str,
        temperature: float = paper.TEMPERATURE,
        max_new_tokens: int = paper.MAX_NEW_TOKENS,
        context_length: int = paper.CONTEXT_LENGTH,
        seed: int = paper.SEED,
        count_tokens: Callable[[str], int] | None = None,
    ):
        self.snippets = snippets
        prompt = json.dumps(prompts.build(variant, ""), sort_keys=True)
        self.setting: Row = {
            "variant": variant,
            "prompt": hashlib.sha256(prompt.encode()).hexdigest()[:16],
            "model": model,
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
            "context_length": context_length,
            "seed": seed,
        }
        self._count = count_tokens or teacher.token_counter(model)
        # A prompt is the same but for its snippet; what comes before is counted once.
        self._counted: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.snippets)

    def __getitem__(self, position: int) -> Row:
        return self._request(self.snippets[position])

    def __iter__(self) -> Iterator[Row]:
        return map(self._request, self.snippets)

    def _request(self, snippet: Row) -> Row:
        setting = self.setting
        messages = prompts.build(setting["variant"], snippet["seed"])
        # The reference counts its one user message; earlier turns of a chat take room as well.
        last = self._count(messages[-1]["content"])
        before = sum(self._count_once(message["content"]) for message in messages[:-1] if message["role"] != "system")
        room = setting["context_length"] - before - last - paper.CONTEXT_MARGIN
        asked = teacher.request(
            messages,
            model=setting["model"],
            temperature=setting["temperature"],
            max_tokens=min(setting["max_new_tokens"], room),
            seed=setting["seed"] + snippet["index"],
        )
        system = sum(self._count_once(message["content"]) for message in messages if message["role"] == "system")
        place = {name: snippet[name] for name in ("lang", "raw_index", "index")}
        return asked | {"prompt_tokens": before + last + system} | place

    def _count_once(self, text: str) -> int:
        if text not in self._counted:
            self._counted[text] = self._count(text)
        return self._counted[text]
