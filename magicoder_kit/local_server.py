"""02: the embedded teacher, served to this notebook alone behind the interface every teacher has.

The server runs in a process of its own on a free loopback port. That process watches a pipe whose other end
only the starting kernel holds: however the kernel ends (return, exception, SIGKILL), the pipe closes and the
server is gone.

It answers ``/v1/chat/completions``, up to :data:`BATCH` waiting requests at a time, by :mod:`decoding`, which keeps
what their prompts begin with once for all of them. Continuous batching of ``transformers serve`` was built first
and measured: with 750-token prompts it gave under 30 tokens/s on two cores, where this gives about 100, since its
paged attention compares every token with those of all requests in flight.

Not covered: streaming, tools, several choices, log-probabilities.
"""

import contextlib
import http.server
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path

from magicoder_kit import devices, embedded
from magicoder_kit.decoding import Decoder
from magicoder_kit.errors import TeacherError
from magicoder_kit.records import Row

BATCH = 24
"""Requests answered together; keep as many in flight."""

START_TIMEOUT_S = 180
_GATHER_S = 0.1


class Endpoint:
    """Where a teacher answers: ``base_urls`` and ``model`` for :mod:`generation`, and :meth:`close`.

    ``close`` ends a server that was started for this endpoint and does nothing to one that was not.
    """

    def __init__(self, base_urls: Sequence[str], model: str, process: "subprocess.Popen[bytes] | None" = None):
        self.base_urls, self.model, self._process = list(base_urls), model, process

    def close(self) -> None:
        """End the server, if it is ours."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        started = f", process {self._process.pid}" if self._process else ""
        return f"{self.model} at {', '.join(self.base_urls) or 'the OpenAI API'}{started}"


def reach(teacher: str, *, base_urls: Sequence[str] = (), log: Path) -> Endpoint:
    """Return where a teacher answers, starting the embedded one where it is asked for.

    Parameters
    ----------
    teacher : str
        A model's name at ``base_urls``, or ``"embedded"``.
    base_urls : sequence of str
        OpenAI-compatible addresses that end in ``/v1``; none is the OpenAI API. Not used by the embedded teacher.
    log : Path
        File that keeps what the embedded teacher's server prints.

    Raises
    ------
    TeacherError
        The server ended or was not ready within three minutes; the message quotes its log.
    """
    if teacher != embedded.STUDENT:
        return Endpoint(base_urls, teacher)
    folder = embedded.student()
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "magicoder_kit.local_server", folder.name, str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder.parent,  # The model's name is its folder's; a path would end up in journals.
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    endpoint = Endpoint([f"http://127.0.0.1:{port}/v1"], folder.name, process)
    try:
        _await_ready(process, port, log)
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def _await_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    began = time.monotonic()
    print("starting the embedded teacher ", end="", flush=True)
    while time.monotonic() - began < START_TIMEOUT_S:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            print(f" ready after {time.monotonic() - began:.0f} s", flush=True)
            return
        print(".", end="", flush=True)
        time.sleep(1)
    last = (log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
    raise TeacherError(f"the embedded teacher did not start: {last} (its log: {log})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Waiting:
    """One request, and the answer its connection waits for."""

    def __init__(self, asked: Row, ids: list[int]):
        self.asked, self.ids = asked, ids
        self.answer: Row = {}
        self.done = threading.Event()


class _Model:
    """The model and its tokenizer."""

    def __init__(self, folder: str):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name = folder
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.decoder = Decoder(AutoModelForCausalLM.from_pretrained(folder, dtype=devices.detect().dtype))

    def encode(self, messages: list[dict[str, str]]) -> list[int]:
        """Return a chat's token ids, ready for the answer."""
        chat = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer(chat, add_special_tokens=False).input_ids)

    def answer(self, batch: list[_Waiting]) -> None:
        """Answer a batch of one temperature; each request gets its answer as soon as that is whole."""
        made: list[list[int]] = [[] for _ in batch]

        def finished(row: int, token: int) -> bool:
            made[row].append(token)
            ended = token == self.tokenizer.eos_token_id or len(made[row]) >= _limit(batch[row].asked)
            if ended:
                batch[row].answer = self._completion(batch[row], made[row])
                batch[row].done.set()
            return ended

        asked = batch[0].asked
        self.decoder.decode(
            [waiting.ids for waiting in batch],
            finished=finished,
            temperature=float(asked.get("temperature") or 0.0),
            seed=int(asked.get("seed") or 0),
        )

    def _completion(self, waiting: _Waiting, tokens: list[int]) -> Row:
        ended = tokens[-1] == self.tokenizer.eos_token_id
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        message = {"role": "assistant", "content": text}
        return {
            "id": uuid.uuid4().hex,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop" if ended else "length"}],
            "usage": {
                "prompt_tokens": len(waiting.ids),
                "completion_tokens": len(tokens),
                "total_tokens": len(waiting.ids) + len(tokens),
            },
        }


def _limit(asked: Row) -> int:
    return int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 512)


def _serve(folder: str, port: int) -> None:
    """Answer requests until the process ends."""
    model = _Model(folder)
    waiting: queue.Queue[_Waiting] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/v1/models":
                self._reply(
                    200, {"object": "list", "data": [{"id": model.name, "object": "model", "owned_by": "local"}]}
                )
            else:
                self._reply(200 if self.path == "/health" else 404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path != "/v1/chat/completions":
                return self._reply(404, {"error": {"message": f"no such path {self.path}"}})
            try:
                asked = json.loads(body)
                request = _Waiting(asked, model.encode(asked["messages"]))
            except (ValueError, KeyError, TypeError) as error:
                return self._reply(400, {"error": {"message": f"not a chat request: {error}"}})
            if asked.get("model") != model.name:
                return self._reply(404, {"error": {"message": f"the model here is {model.name}"}})
            waiting.put(request)
            request.done.wait()
            self._reply(200 if "id" in request.answer else 500, request.answer)

        def _reply(self, status: int, value: Row) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        batch = _gather(waiting)
        try:
            model.answer(batch)
        except Exception as error:  # The client hears of it and the server goes on.
            traceback.print_exc()
            for request in batch:
                if not request.done.is_set():
                    request.answer = {"error": {"message": f"{type(error).__name__}: {error}"}}
                    request.done.set()


def _gather(waiting: "queue.Queue[_Waiting]") -> list[_Waiting]:
    """Wait for a request, then take what else has come, of the same temperature, up to a batch."""
    batch = [waiting.get()]
    deadline = time.monotonic() + _GATHER_S
    while len(batch) < BATCH:
        try:
            other = waiting.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if other.asked.get("temperature") != batch[0].asked.get("temperature"):
            waiting.put(other)
            break
        batch.append(other)
    return batch


def _end_with_parent() -> None:
    """Block until the parent's end of standard input closes, then end this process at once."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(sys.argv[1], int(sys.argv[2]))
