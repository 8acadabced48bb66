"""One request to a teacher, and how many tokens its texts have."""

import hashlib
import json
from collections.abc import Callable
from functools import cache

from magicoder_kit import embedded, paper
from magicoder_kit.prompts import Message
from magicoder_kit.records import Row


def request(
    messages: list[Message],
    *,
    model: str,
    temperature: float = paper.TEMPERATURE,
    max_tokens: int = paper.MAX_NEW_TOKENS,
    seed: int = paper.SEED,
) -> Row:
    """Return one request; ``request_id`` is the hash of everything the answer may depend on."""
    asked = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    return {"request_id": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32], **asked}


@cache
def token_counter(model: str) -> Callable[[str], int]:
    """Return a function that counts a text's tokens as a model does.

    The embedded model's own tokenizer, and tiktoken's for the OpenAI models it knows. For any other, the
    tokenizer of that name in the hub's cache or on disk; where there is none, three bytes a token: an
    overestimate for English and code, so that a request stays inside the model's context.
    """
    if model == embedded.STUDENT_NAME:
        return _from_tokenizer(str(embedded.student()))
    import tiktoken

    try:
        encoding = tiktoken.encoding_for_model(model)
        return lambda text: len(encoding.encode(text, disallowed_special=()))
    except (KeyError, OSError):  # Not an OpenAI model, or its vocabulary cannot be downloaded.
        pass
    try:
        return _from_tokenizer(model)
    except (OSError, ValueError):  # No tokenizer of that name on this machine.
        return lambda text: -(-len(text.encode()) // 3)


def _from_tokenizer(name: str) -> Callable[[str], int]:
    from transformers import AutoTokenizer

    # A server's own name for its model is no reason to search the network; a downloaded tokenizer is found.
    tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
    return lambda text: len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
