"""03: snippets in, the teacher's responses in a journal, examples out.

The journal is the truth: one line a finished attempt, keyed by the hash of the request. Starting again asks only
for what has no answer yet, and :func:`outcomes` derives the data set from the journal alone. Snippets stream in and
rows stream out: of each, a few bytes stay in memory.
"""

from magicoder_kit.generation.answers import Answers, outcomes, responses
from magicoder_kit.generation.requests import Requests
from magicoder_kit.generation.running import generate

__all__ = ["Answers", "Requests", "generate", "outcomes", "responses"]
