"""02, 03: asking the teacher, over any OpenAI-compatible server.

:func:`ask` keeps a number of requests going over one or several servers, tries again what may pass, gives up on
what cannot, and stops the run at once where every request must fail. It hands on one row a finished attempt, in
the order they finish, for a journal to keep.
"""

from magicoder_kit.teacher.client import ask
from magicoder_kit.teacher.limits import Budget, Pace
from magicoder_kit.teacher.requests import request, token_counter

__all__ = ["Budget", "Pace", "ask", "request", "token_counter"]
