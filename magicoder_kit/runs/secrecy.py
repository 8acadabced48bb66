"""No secret in a file: finding what the environment holds, and taking it out of every text."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)


def scrub(text: str) -> str:
    """Replace every secret of the environment (a variable named …KEY, …TOKEN, …SECRET, …PASSWORD) in a text."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            # In JSON a quote, a back-slash or a letter beyond ASCII is written another way.
            for written in (value, json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]):
                text = text.replace(written, f"[{name}]")
    return text


def find_secrets(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the parameters whose value holds a secret of the environment, or what is written like one."""
    for name, value in parameters.items():
        text = json.dumps(value)
        if scrub(text) != text or re.search(r"\bsk-[\w-]{16,}|://[^/\s:@]+:[^/\s@]+@", text):
            yield name
