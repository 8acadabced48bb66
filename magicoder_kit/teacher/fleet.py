"""Several servers of one model, used in proportion to how fast they answer."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from magicoder_kit.errors import TeacherError

if TYPE_CHECKING:
    import openai

LONGEST_AWAY_S = 60.0
"""A server that does not answer is tried again at least this often."""

CONNECT_TIMEOUT_S = 30.0
"""Longest wait for a connection; the answer itself may take much longer."""

TROUBLES = 3
"""Failures in a row, with no answer between them, after which a server is left out."""


class Server:
    """One address: its client, what is under way there, and whether it answers."""

    def __init__(self, client: "openai.AsyncOpenAI", where: str):
        self.client, self.where = client, where
        self.in_flight = self.answered = self.failures = 0
        self.away_until = 0.0

    def well(self) -> None:
        """Note that it answered."""
        self.answered += 1
        self.failures, self.away_until = 0, 0.0

    def troubled(self) -> None:
        """Count a lost connection or the like; from the third in a row on, leave the server out for a while."""
        now = time.monotonic()
        if now < self.away_until:
            return  # What was under way there failed for the same reason.
        self.failures += 1
        if self.failures >= TROUBLES:
            self.away_until = now + min(LONGEST_AWAY_S, 0.5 * 2 ** min(self.failures - TROUBLES, 7))


class Fleet:
    """The servers of a run."""

    def __init__(self, servers: list[Server]):
        self.servers = servers

    @property
    def answered(self) -> int:
        """Requests answered by any of them."""
        return sum(server.answered for server in self.servers)

    async def pick(self) -> Server:
        """Return the server with the fewest requests under way; the faster one answers more of them.

        One that failed gets a single request when its time is up; the others follow when that is answered.
        """
        while True:
            now = time.monotonic()
            free = [s for s in self.servers if now >= s.away_until and (s.failures < TROUBLES or not s.in_flight)]
            if free:
                return min(free, key=lambda server: server.in_flight)
            soonest = min((s.away_until - now for s in self.servers if s.away_until > now), default=0.1)
            await asyncio.sleep(min(max(soonest, 0.02), 0.5))


def read_key(api_key_env: str, base_url: str) -> str:
    """Return the key for an address; only the OpenAI API (``""``) cannot do without one."""
    key = os.environ.get(api_key_env, "")
    if not key and not base_url:
        raise TeacherError(f"the OpenAI API needs a key; set the environment variable {api_key_env}")
    return key or "none"


@asynccontextmanager
async def connect(base_urls: Iterable[str], *, api_key_env: str, timeout_s: float) -> AsyncIterator[Fleet]:
    """Open a client for every address and close them all at the end.

    Parameters
    ----------
    base_urls : iterable of str
        OpenAI-compatible addresses that end in ``/v1``; ``""`` is the OpenAI API.
    api_key_env : str
        Name of the environment variable that holds the key of all of them.
    timeout_s : float
        Seconds an attempt may take.
    """
    import openai

    async with AsyncExitStack() as stack:
        servers = []
        for base_url in base_urls:
            client = openai.AsyncOpenAI(
                base_url=base_url or None,
                api_key=read_key(api_key_env, base_url),
                timeout=openai.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
                max_retries=0,
                http_client=openai.DefaultAioHttpClient(),
            )
            servers.append(Server(await stack.enter_async_context(client), base_url or "the OpenAI API"))
        yield Fleet(servers)


async def served_models(server: Server) -> str:
    """Return the names of the models a server has, for an error's line, or ``""``."""
    import openai

    try:
        served = [model.id async for model in server.client.models.list()]
    except (openai.OpenAIError, AttributeError, TypeError, ValueError):  # Not every server has the list.
        return ""
    return f" (it serves {', '.join(served[:5])})" if served else ""
