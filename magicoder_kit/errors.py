"""What the kit says when a person, a machine or a service stands in its way."""

import difflib
from collections.abc import Iterable


def not_known(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the line for a name that does not exist, with the nearest that does and all there are."""
    known = list(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{kind} {name!r} is not known; {hint}there are: {', '.join(known)}"


class KitError(Exception):
    """A failure a person can mend: one line that says what is wrong, where, and what would be right.

    The command line prints the line alone and exits with status 2; a notebook shows the line without the
    calls that led there.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it formats one itself.
        return [f"{type(self).__name__}: {self}"]


class ParameterError(KitError):
    """A profile, a ``--set`` or a notebook holds a name or a value the kit cannot use."""


class CorpusError(KitError):
    """Documents cannot be had from where a person said they are."""


class TeacherError(KitError):
    """The teacher cannot answer any request of this run: key, model, address or protocol is wrong."""


class ModelError(KitError):
    """A model, tokenizer or adapter cannot be loaded or used."""


class RunError(KitError):
    """A run folder is locked, damaged, or lacks what an earlier notebook should have left."""


class Stopped(KeyboardInterrupt):
    """A person stopped long work; the line says what is kept and how to go on."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]
