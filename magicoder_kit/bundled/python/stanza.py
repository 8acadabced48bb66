"""Read and write the stanza files that describe weather-station deployments.

A file is a list of ``[kind "name"]`` headings followed by ``key = value``
lines. Values may continue on indented lines and may refer to other keys of
the same stanza, or of ``[defaults]``, with ``${key}``.
"""

import re
from collections import OrderedDict

_HEADING = re.compile(r'^\[\s*([A-Za-z][\w.-]*)(?:\s+"([^"]*)")?\s*\]$')
_REFERENCE = re.compile(r"\$\{([\w.-]+)\}")
_TRUE = {"yes", "true", "on", "1"}
_FALSE = {"no", "false", "off", "0"}


class StanzaError(ValueError):
    """Raised for malformed input; carries the offending line number."""

    def __init__(self, message, lineno=None):
        self.lineno = lineno
        super().__init__(message if lineno is None else f"line {lineno}: {message}")


class Stanza:
    def __init__(self, kind, name=None, defaults=None):
        self.kind = kind
        self.name = name
        self._raw = OrderedDict()
        self._defaults = defaults

    def __contains__(self, key):
        return self._lookup(key) is not None

    def __setitem__(self, key, value):
        self._raw[key] = str(value)

    def __getitem__(self, key):
        return self._expand(key, ())

    def get(self, key, fallback=None):
        return self[key] if key in self else fallback

    def get_bool(self, key, fallback=False):
        if key not in self:
            return fallback
        word = self[key].lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise StanzaError(f"{self.kind}.{key} is not a boolean: {word!r}")

    def get_list(self, key, separator=","):
        return [part.strip() for part in self.get(key, "").split(separator) if part.strip()]

    def items(self):
        return [(key, self[key]) for key in self._raw]

    def _lookup(self, key):
        if key in self._raw:
            return self._raw[key]
        if self._defaults is not None:
            return self._defaults._raw.get(key)
        return None

    def _expand(self, key, trail):
        if key in trail:
            raise StanzaError("circular reference: " + " -> ".join(trail + (key,)))
        raw = self._lookup(key)
        if raw is None:
            raise KeyError(key)
        return _REFERENCE.sub(lambda m: self._expand(m.group(1), trail + (key,)), raw)


def _strip_comment(line):
    # A marker only starts a comment at the line start or after whitespace,
    # so that URLs with fragments survive.
    return re.sub(r"(^|\s)[#;].*$", "", line).rstrip()


def parse(text):
    """Return the stanzas of ``text`` in file order, without ``[defaults]``."""
    defaults = Stanza("defaults")
    stanzas, seen = [], set()
    current = last_key = None

    for lineno, original in enumerate(text.splitlines(), start=1):
        line = _strip_comment(original)
        if not line:
            last_key = None
            continue
        if line[0].isspace():
            if last_key is None:
                raise StanzaError("continuation without a key", lineno)
            current[last_key] = current._raw[last_key] + " " + line.strip()
            continue

        heading = _HEADING.match(line)
        if heading:
            kind, name = heading.groups()
            if (kind, name) in seen:
                raise StanzaError(f"duplicate stanza {line}", lineno)
            seen.add((kind, name))
            last_key = None
            if kind == "defaults":
                current = defaults
            else:
                current = Stanza(kind, name, defaults)
                stanzas.append(current)
            continue

        key, equals, value = line.partition("=")
        if not equals:
            raise StanzaError(f"expected 'key = value', found {line!r}", lineno)
        if current is None:
            raise StanzaError("setting before the first heading", lineno)
        last_key = key.strip()
        if last_key in current._raw:
            raise StanzaError(f"{last_key!r} is set twice", lineno)
        current[last_key] = value.strip()
    return stanzas


def dump(stanzas):
    blocks = []
    for stanza in stanzas:
        title = stanza.kind if stanza.name is None else f'{stanza.kind} "{stanza.name}"'
        width = max((len(key) for key in stanza._raw), default=0)
        body = [f"{key:<{width}} = {value}" for key, value in stanza._raw.items()]
        blocks.append("\n".join([f"[{title}]", *body]))
    return "\n\n".join(blocks) + "\n"
