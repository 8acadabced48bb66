"""A real HTTP server in the OpenAI wire format whose answers depend on the request alone; used by tests and benchmarks.

``python tests/teacher_server.py LOG [MODE] [--latency S] [--tail S] [--rate FAULT=SHARE ...] [--rpm N] [--id NAME]``
prints its port and serves until killed. Every answered request is one line in LOG.

Modes: ``ok``; ``unparsable``; ``refuses`` (401, echoing the key); ``html``; ``no_model`` (404); ``too_long`` (400).
Faults, each with the share of attempts it meets, drawn from the request and the number of its attempt:
``429`` (no word for how long), ``429_told`` (``retry-after``), ``429_all`` (``retry-after`` 1 s, and whoever asks
sooner is refused again), ``500``, ``502_html``, ``reset`` (half-way through the body), ``hang``, ``truncated`` JSON,
``duplicate`` (the answer is delivered twice), ``content_filter``, ``no_choices``, ``error_200``.
``--rpm`` refuses what comes faster than the limit, as an account does. The Batch API is there in every mode.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import time
from pathlib import Path

FINAL_FAULTS = ("content_filter",)
"""Faults a request meets at every attempt: they are its answer."""


class Reset(Exception):
    """The connection is to be dropped."""


def answer(request: dict) -> str:
    """Write a problem and a solution out of the request's hash; some responses lack a header."""
    number = int(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest(), 16)
    if ARGUMENTS.mode == "unparsable" or number % 7 == 0:
        return "I would rather not."
    name = f"step_{number % 9973}"
    return (
        f"[Problem Description]\nWrite a function `{name}(values)` that adds {number % 89} to every value.\n\n"
        f"[Solution]\n```python\ndef {name}(values):\n    return [value + {number % 89} for value in values]\n```"
    )


def completion(request: dict, key: str, finish_reason: str = "stop") -> dict:
    """Return a chat completion."""
    message = {"role": "assistant", "content": answer(request) if finish_reason == "stop" else ""}
    return {
        "id": f"chatcmpl-{key[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "system_fingerprint": "fp_test",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }


class Teacher:
    """What the server remembers: attempts, its log, the account's limit, files and batches."""

    def __init__(self, log: Path, rates: dict[str, float]):
        self.log = log.open("a", buffering=1)
        self.rates = rates
        self.attempts: dict[str, int] = {}
        self.busy_until = 0.0
        self.allowed_at = time.monotonic()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.under_way = self.most_under_way = self.refused = 0

    def fault(self, key: str) -> str:
        """Draw what goes wrong with this attempt, or ``""``."""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        for name, share in self.rates.items():
            number = 0 if name in FINAL_FAULTS else self.attempts[key]
            if random.Random(f"{key} {number} {name}").random() < share:
                return name
        return ""

    def too_fast(self) -> float:
        """Return in how many seconds the account's limit allows another request; 0 takes one."""
        if not ARGUMENTS.rpm:
            return 0.0
        now, gap = time.monotonic(), 60 / ARGUMENTS.rpm
        # A twentieth of a minute's requests may come at once.
        if (early := self.allowed_at - now - 0.05 * 60) > 0:
            return early
        self.allowed_at = max(self.allowed_at, now) + gap
        return 0.0

    async def chat(self, raw: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Answer one chat completion."""
        request, key = json.loads(raw), hashlib.sha256(raw).hexdigest()
        fixed = {
            "html": (200, b"<html><body>Welcome</body></html>", {"content-type": "text/html"}),
            "refuses": (401, _error(f"wrong key {headers.get('authorization')}"), {}),
            "no_model": (404, _error("no such model", code="model_not_found"), {}),
            "too_long": (400, _error("maximum context length is 8192", code="context_length_exceeded"), {}),
        }
        if ARGUMENTS.mode in fixed:
            return fixed[ARGUMENTS.mode]
        if (wait_s := max(self.busy_until - time.monotonic(), self.too_fast())) > 0:
            self.refused += 1
            return 429, _error("slow down"), {"retry-after": f"{wait_s:.3f}"}
        fault = self.fault(key)
        if fault == "429_all":
            self.busy_until = time.monotonic() + 1.0
        draw = random.Random(f"{key} latency {self.attempts[key]}")
        await asyncio.sleep(ARGUMENTS.latency + (draw.expovariate(1 / ARGUMENTS.tail) if ARGUMENTS.tail else 0.0))
        if fault == "hang":
            await asyncio.sleep(3600)
        told = {"429_told": {"retry-after": "0.2"}, "429_all": {"retry-after": "1"}}.get(fault, {})
        if fault in ("429", "429_told", "429_all"):
            return 429, _error("busy"), told
        if fault == "500":
            return 500, _error("broken"), {}
        if fault == "502_html":
            return 502, b"<html><body>Bad gateway</body></html>", {"content-type": "text/html"}
        if fault == "error_200":
            return 200, _error("upstream failed"), {}
        if fault == "no_choices":
            return 200, json.dumps(completion(request, key) | {"choices": []}).encode(), {}
        data = json.dumps(completion(request, key, "content_filter" if fault == "content_filter" else "stop")).encode()
        if fault == "truncated":
            return 200, data[: len(data) // 2], {}
        if fault == "reset":
            return 200, data, {"x-test": "reset"}
        self.log.write(key + "\n")
        return 200, data, {"x-test": "duplicate"} if fault == "duplicate" else {}

    # The Batch API.

    def upload(self, raw: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Keep the file of a multipart upload."""
        boundary = re.search(r'boundary="?([^";]+)', headers["content-type"])[1].encode()
        part = next(part for part in raw.split(b"--" + boundary) if b"filename=" in part)
        data = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        name = f"file-{len(self.files) + 1}"
        self.files[name] = data
        return 200, json.dumps(self.describe_file(name)).encode(), {}

    def describe_file(self, name: str) -> dict:
        return {
            "id": name,
            "object": "file",
            "bytes": len(self.files[name]),
            "created_at": 0,
            "filename": f"{name}.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def create_batch(self, raw: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Start a batch; its lines are answered little by little, at each look."""
        asked, name = json.loads(raw), f"batch-{len(self.batches) + 1}"
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "created_at": 0,
            "status": "validating",
            "metadata": asked.get("metadata"),
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "lines": lines,
            "looks": 0,
        }
        with (Path(self.log.name).with_suffix(".batches")).open("a") as file:
            file.write(f"{name} {len(lines)}\n")
        return self.look(name)

    def look(self, name: str) -> tuple[int, bytes, dict[str, str]]:
        """Move a batch one state on and return it."""
        batch = self.batches[name]
        batch["looks"] += 1
        if batch["looks"] == 2:
            batch["status"] = "in_progress"
            if self.rates.get("batch_refused") and not batch["metadata"].get("retried"):
                batch["status"] = "failed"
                data = [{"code": "invalid_json_line", "message": "line 1 is not JSON", "line": 1, "param": None}]
                batch["errors"] = {"object": "list", "data": data}
        elif batch["looks"] >= 3 and batch["status"] == "in_progress":
            self.end(batch)
        shown = {key: value for key, value in batch.items() if key not in ("lines", "looks")}
        return 200, json.dumps(shown).encode(), {}

    def end(self, batch: dict) -> None:
        """Answer a batch's lines; some fail, and some are left where it expires."""
        good, bad, expired = [], [], False
        for line in batch["lines"]:
            raw = json.dumps(line["body"]).encode()
            key = hashlib.sha256(raw).hexdigest()
            fault = self.fault(key)
            base = {"id": f"req-{key[:8]}", "custom_id": line["custom_id"]}
            if fault == "batch_expired":
                expired = True
                error = {"code": "batch_expired", "message": "This request could not be executed before the deadline."}
                bad.append(base | {"response": None, "error": error})
            elif fault in ("500", "429"):
                body = json.loads(_error("broken"))
                bad.append(base | {"response": {"status_code": int(fault), "body": body}, "error": None})
            else:
                response = {"status_code": 200, "request_id": key[:8], "body": completion(line["body"], key)}
                good.append(base | {"response": response, "error": None})
                self.log.write(key + "\n")
        for kind, rows in (("output", good), ("error", bad)):
            if rows:
                name = f"file-{len(self.files) + 1}"
                self.files[name] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
                batch[f"{kind}_file_id"] = name
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        batch["status"] = "expired" if expired else "completed"

    async def answer(self, method: str, path: str, raw: bytes, headers: dict[str, str]):
        """Route one request."""
        if ARGUMENTS.mode == "refuses" and method == "GET":
            return 401, _error("wrong key"), {}
        if path.endswith("/chat/completions"):
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                return await self.chat(raw, headers)
            finally:
                self.under_way -= 1
        if path.endswith("/models"):
            models = [{"id": "test-teacher", "object": "model", "owned_by": "tests"}]
            return 200, json.dumps({"object": "list", "data": models}).encode(), {}
        if path.endswith("/statistics"):
            told = {
                "most_under_way": self.most_under_way,
                "refused": self.refused,
                "attempts": sum(self.attempts.values()),
            }
            return 200, json.dumps(told).encode(), {}
        if path.endswith("/files") and method == "POST":
            return self.upload(raw, headers)
        if found := re.search(r"/files/([^/]+)/content$", path):
            return 200, self.files[found[1]], {"content-type": "application/octet-stream"}
        if path.split("?")[0].endswith("/batches"):
            if method == "POST":
                return self.create_batch(raw)
            shown = [{k: v for k, v in b.items() if k not in ("lines", "looks")} for b in self.batches.values()]
            return 200, json.dumps({"object": "list", "data": shown, "has_more": False}).encode(), {}
        if found := re.search(r"/batches/([^/?]+)$", path):
            return self.look(found[1])
        return 404, _error(f"no such path {path}"), {}


def _error(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "type": "test", "param": None}}).encode()


async def converse(teacher: Teacher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, one after another."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            raw = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split(" ")
            status, data, extra = await teacher.answer(method, path, raw, headers)
            odd = extra.pop("x-test", "")
            shown = {"content-type": "application/json", "content-length": str(len(data))} | extra
            told = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
            message = f"HTTP/1.1 {status} -\r\n{told}\r\n".encode() + data
            if odd == "reset":
                writer.write(message[: len(message) - len(data) // 2])
                await writer.drain()
                writer.transport.abort()
                return
            writer.write(message * (2 if odd == "duplicate" else 1))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # A client that was killed or is done; that is what the tests do.
    finally:
        writer.close()


async def serve() -> None:
    """Print the port and serve until killed."""
    rates = {name: float(share) for name, _, share in (rate.partition("=") for rate in ARGUMENTS.rate)}
    teacher = Teacher(Path(ARGUMENTS.log), rates)
    server = await asyncio.start_server(
        lambda reader, writer: converse(teacher, reader, writer), "127.0.0.1", ARGUMENTS.port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("log")
parser.add_argument("mode", nargs="?", default="ok")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--latency", type=float, default=0.0)
parser.add_argument("--tail", type=float, default=0.0)
parser.add_argument("--rate", action="append", default=[])
parser.add_argument("--rpm", type=int, default=0)

if __name__ == "__main__":
    ARGUMENTS = parser.parse_args()
    asyncio.run(serve())
