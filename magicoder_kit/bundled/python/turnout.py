"""Turnout: a very small WSGI router with typed path segments."""

import json
import re
from http import HTTPStatus
from urllib.parse import parse_qs

_SEGMENT = re.compile(r"<(?:(\w+):)?(\w+)>")
_CONVERTERS = {
    "str": (r"[^/]+", str),
    "int": (r"\d+", int),
    "path": (r".+", str),
    "slug": (r"[a-z0-9]+(?:-[a-z0-9]+)*", str),
}


class HTTPError(Exception):
    def __init__(self, status, detail="", headers=()):
        self.status = HTTPStatus(status)
        self.detail = detail or self.status.phrase
        self.headers = list(headers)
        super().__init__(self.detail)


class Request:
    max_body = 1 << 20

    def __init__(self, environ):
        self.environ = environ
        self.method = environ.get("REQUEST_METHOD", "GET").upper()
        self.path = environ.get("PATH_INFO") or "/"
        self.query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)

    def arg(self, name, default=None, cast=str):
        if name not in self.query:
            return default
        try:
            return cast(self.query[name][-1])
        except ValueError:
            raise HTTPError(400, f"bad value for query parameter {name!r}") from None

    def header(self, name, default=None):
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        return self.environ.get(key, default)

    def json(self):
        try:
            length = int(self.environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise HTTPError(400, "Content-Length is not a number") from None
        if length < 0:
            raise HTTPError(400, "Content-Length is negative")
        if length > self.max_body:
            raise HTTPError(413)
        try:
            return json.loads(self.environ["wsgi.input"].read(length))
        except ValueError:
            raise HTTPError(400, "request body is not valid JSON") from None


class Response:
    def __init__(self, body="", status=200, content_type="text/plain; charset=utf-8", headers=()):
        self.status = HTTPStatus(status)
        self.body = body.encode("utf-8") if isinstance(body, str) else body
        self.headers = [("Content-Type", content_type), *headers]

    @classmethod
    def of(cls, result):
        """Turn whatever a view returned into a response."""
        if isinstance(result, Response):
            return result
        if result is None:
            return cls(status=204)
        if isinstance(result, (dict, list)):
            return cls(json.dumps(result), content_type="application/json")
        return cls(result)


class Route:
    def __init__(self, method, template, view):
        self.method = method
        self.view = view
        self._casts = {}
        pattern, position = "", 0
        for match in _SEGMENT.finditer(template):
            kind, name = match.group(1) or "str", match.group(2)
            regex, self._casts[name] = _CONVERTERS[kind]
            pattern += re.escape(template[position:match.start()]) + f"(?P<{name}>{regex})"
            position = match.end()
        self._regex = re.compile(pattern + re.escape(template[position:]))

    def match(self, path):
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        return {name: self._casts[name](text) for name, text in found.groupdict().items()}


class Turnout:
    def __init__(self):
        self._routes = []
        self._before = []

    def route(self, template, methods=("GET",)):
        def register(view):
            for method in methods:
                self._routes.append(Route(method.upper(), template, view))
            return view

        return register

    def before(self, hook):
        """Register a hook that may answer the request by returning a response."""
        self._before.append(hook)
        return hook

    def dispatch(self, request):
        for hook in self._before:
            early = hook(request)
            if early is not None:
                return Response.of(early)
        # HEAD is served by the matching GET view; the body is dropped later.
        wanted = "GET" if request.method == "HEAD" else request.method
        allowed = set()
        for route in self._routes:
            params = route.match(request.path)
            if params is None:
                continue
            if route.method == wanted:
                return Response.of(route.view(request, **params))
            allowed.add(route.method)
        if allowed:
            raise HTTPError(405, headers=[("Allow", ", ".join(sorted(allowed)))])
        raise HTTPError(404, f"nothing at {request.path}")

    def __call__(self, environ, start_response):
        request = Request(environ)
        try:
            response = self.dispatch(request)
        except HTTPError as error:
            response = Response(error.detail, error.status, headers=error.headers)
        headers = list(response.headers)
        if response.status is not HTTPStatus.NO_CONTENT:
            headers.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status.value} {response.status.phrase}", headers)
        return [] if request.method == "HEAD" else [response.body]
