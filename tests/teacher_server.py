"""A real HTTP server in the OpenAI wire format whose answers depend on the request alone; used by tests.

``python tests/teacher_server.py MODE LOG`` prints its port and serves until killed. Modes: ``ok``;
``flaky`` (every third attempt fails with 429 or 500 first); ``unparsable``; ``refuses`` (401, echoing the key);
``html``; ``no_model`` (404); ``slow`` (0.3 s an answer). Every answered request is one line in LOG.
"""

import hashlib
import http.server
import json
import sys
import threading
import time

MODE, LOG = sys.argv[1], sys.argv[2]
LOCK = threading.Lock()
ATTEMPTS: dict[str, int] = {}


def answer(body: dict) -> str:
    """Write a problem and a solution out of the snippet's hash; some responses lack a header."""
    number = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(), 16)
    if MODE == "unparsable" or number % 7 == 0:
        return "I would rather not."
    name = f"step_{number % 9973}"
    return (
        f"[Problem Description]\nWrite a function `{name}(values)` that adds {number % 89} to every value.\n\n"
        f"[Solution]\n```python\ndef {name}(values):\n    return [value + {number % 89} for value in values]\n```"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers chat completions and the list of models."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, {"object": "list", "data": [{"id": "test-teacher", "object": "model", "owned_by": "tests"}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        body, key = json.loads(raw), hashlib.sha256(raw).hexdigest()
        if MODE == "html":
            return self.reply(200, "<html><body>Welcome</body></html>", "text/html")
        if MODE == "refuses":
            return self.reply(401, {"error": {"message": f"wrong key {self.headers['authorization']}"}})
        if MODE == "no_model":
            return self.reply(404, {"error": {"message": "no such model", "code": "model_not_found"}})
        with LOCK:
            ATTEMPTS[key] = ATTEMPTS.get(key, 0) + 1
            first = ATTEMPTS[key] == 1
        if MODE == "flaky" and first and int(key, 16) % 3 == 0:
            status = 429 if int(key, 16) % 2 else 500
            return self.reply(status, {"error": {"message": "busy"}}, headers={"retry-after": "0.1"})
        if MODE == "slow":
            time.sleep(0.3)
        with LOCK, open(LOG, "a") as log:
            log.write(key + "\n")
        message = {"role": "assistant", "content": answer(body)}
        self.reply(
            200,
            {
                "id": key,
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "system_fingerprint": "fp_test",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
            },
        )

    def reply(self, status, value, kind="application/json", headers=()):
        data = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name in headers:
            self.send_header(name, headers[name])
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Takes a burst of connections."""

    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Say nothing of a client that was killed; that is what the tests do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
