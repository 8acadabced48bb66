"""Requests a second, processor time and memory of generation, beside what one would use instead, in one run.

A server in another process answers every request after one second. Four clients ask it in turn: this kit (with its
journal), a plain ``AsyncOpenAI`` loop with a semaphore, the reference's loop of one request after the other
(extrapolated), and bespokelabs-curator in a virtual environment of its own (left out where it cannot be installed).

    python benchmarks/generation.py [--requests 5000] [--in-flight 200] [--snippets 200000] [--no-curator]

The table goes to benchmarks/results/generation.md. Figures of one machine are ratios, not absolutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "generation.md"

SNIPPETS = """
    def snippets(count):
        for i in range(count):
            seed = f"def step_{i}(values):\\n" + "    total = sum(value * weight for value, weight in values)\\n" * 8
            yield {"lang": "python", "raw_index": i, "index": i, "seed": seed, "source": "benchmark", "path": f"{i}.py"}
"""

KIT = (
    SNIPPETS
    + """
    import sys
    from pathlib import Path
    from magicoder_kit import generation, records
    count, in_flight, url, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    if not (folder / "snippets.jsonl").exists():
        records.write_jsonl(folder / "snippets.jsonl", snippets(count))
    rows = records.Rows(folder / "snippets.jsonl")
    requests = generation.Requests(rows, variant="paper", model="test-teacher", count_tokens=lambda t: len(t) // 4)
    with began():
        generation.generate(requests, journal=records.Journal(folder / "a.journal.jsonl"), base_urls=[url],
                            max_in_flight=in_flight, progress=False)
    if "outcomes" in sys.argv:
        made = sum(1 for _ in generation.outcomes(requests, journal=records.Journal(folder / "a.journal.jsonl")))
        assert made == count, made
"""
)

PLAIN = (
    SNIPPETS
    + """
    import asyncio, sys
    import openai
    from magicoder_kit import prompts
    count, in_flight, url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    async def main():
        client, gate = openai.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(in_flight)
        async def ask(snippet):
            async with gate:
                return await client.chat.completions.create(model="test-teacher", temperature=0.0, max_tokens=2500,
                    seed=976 + snippet["index"], messages=prompts.build("paper", snippet["seed"]))
        return await asyncio.gather(*(ask(snippet) for snippet in snippets(count)))
    with began():
        answers = asyncio.run(main())
    assert len(answers) == count
"""
)

REFERENCE = (
    SNIPPETS
    + """
    import sys
    import openai
    from magicoder_kit import prompts
    count, _, url = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    client = openai.OpenAI(base_url=url, api_key="none")
    with began():
        for snippet in snippets(count):
            client.chat.completions.create(model="test-teacher", temperature=0.0, max_tokens=2500,
                seed=976 + snippet["index"], messages=prompts.build("paper", snippet["seed"]))
"""
)

CURATOR = (
    SNIPPETS
    + """
    import importlib.util, os, sys
    count, in_flight, url, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    os.environ |= {"CURATOR_CACHE_DIR": folder, "CURATOR_DISABLE_RICH_DISPLAY": "1", "TELEMETRY_ENABLED": "false",
                   "OPENAI_API_KEY": "none", "HOME": folder}
    # It counts tokens with a file that tiktoken would download; litellm, which it installs, carries that file.
    carried = importlib.util.find_spec("litellm").submodule_search_locations[0]
    os.environ["TIKTOKEN_CACHE_DIR"] = carried + "/litellm_core_utils/tokenizers"
    from bespokelabs import curator
    class Asks(curator.LLM):
        def prompt(self, row):
            return PROMPT.replace("{code}", row["seed"])
        def parse(self, row, response):
            return {"index": row["index"], "text": response}
    llm = Asks(model_name="test-teacher", backend="openai", generation_params={"temperature": 0.0, "max_tokens": 2500},
               backend_params={"base_url": url, "api_key": "none", "max_concurrent_requests": in_flight,
                               "max_requests_per_minute": 10_000_000, "max_tokens_per_minute": 10_000_000_000,
                               "require_all_responses": True})
    with began():
        made = llm(list(snippets(count)))
    assert len(getattr(made, "dataset", made)) == count
"""
)

MEASURED = """
    import contextlib, json, resource, time
    @contextlib.contextmanager
    def began():
        before, usage = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        yield
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
        measured.update(seconds=time.monotonic() - before, cpu=cpu)
    measured = {}
"""

TOLD = """
    measured["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("MEASURED " + json.dumps(measured))
"""


def start_server(folder: Path, latency: float) -> tuple[subprocess.Popen, str]:
    """Start the test teacher and return it with its address."""
    command = [sys.executable, str(ROOT / "tests" / "teacher_server.py"), str(folder / "log"), f"--latency={latency}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return server, f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"


def measure(python: str, program: str, *arguments: object, latency: float = 1.0, minutes: float = 20) -> dict:
    """Run a client against a fresh server and return its seconds, processor seconds and memory."""
    text = textwrap.dedent(MEASURED) + textwrap.dedent(program) + textwrap.dedent(TOLD)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server, url = start_server(folder, latency)
        try:
            command = [python, "-c", text, str(arguments[0]), str(arguments[1]), url, place, *map(str, arguments[2:])]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=60 * minutes, cwd=place
            )
        finally:
            server.kill()
    told = [line for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
    if done.returncode or not told:
        raise RuntimeError((done.stderr or done.stdout).strip()[-2000:])
    return json.loads(told[-1].removeprefix("MEASURED "))


def curator_python() -> str:
    """Return the Python of curator's own environment, made at the first call."""
    place = Path.home() / ".cache" / "magicoder-kit" / "curator-venv"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "bespokelabs-curator==0.1.31"], check=True)
    return str(python)


def main() -> None:
    """Measure all clients and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--snippets", type=int, default=200_000)
    parser.add_argument("--no-curator", action="store_true")
    arguments = parser.parse_args()
    count, in_flight = arguments.requests, arguments.in_flight
    clients = {
        "this kit, journal included": (sys.executable, KIT, count),
        "AsyncOpenAI and a semaphore": (sys.executable, PLAIN, count),
        "one request after the other (reference)": (sys.executable, REFERENCE, 50),
    }
    if not arguments.no_curator:
        from magicoder_kit import prompts

        prompt = f"PROMPT = {prompts.VARIANTS['paper'][-1]['content']!r}\n"
        clients["bespokelabs-curator 0.1.31"] = (curator_python(), textwrap.indent(prompt, "    ") + CURATOR, count)
    rows = {}
    for name, (python, program, asked) in clients.items():
        rows[name] = measure(python, program, asked, in_flight) | {"requests": asked}
        print(name, rows[name], flush=True)
    lines = [
        f"{in_flight} requests in flight, 1 s an answer, server on the same machine ({os.cpu_count()} cores); "
        f"the ideal is {in_flight} requests/s. {time.strftime('%Y-%m-%d')}, one run.",
        "",
        "| client | requests | requests/s | of the ideal | CPU ms a request | x plain loop | peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    plain = rows["AsyncOpenAI and a semaphore"]
    for name, row in rows.items():
        speed, cpu = row["requests"] / row["seconds"], 1000 * row["cpu"] / row["requests"]
        ratio = cpu / (1000 * plain["cpu"] / plain["requests"])
        lines.append(
            f"| {name} | {row['requests']:,} | {speed:.1f} | {speed / in_flight:.1%} | {cpu:.2f} | {ratio:.2f} "
            f"| {row['memory_mb']:.0f} |"
        )
    if arguments.snippets:
        many = measure(sys.executable, KIT, arguments.snippets, in_flight, "outcomes", latency=0.05, minutes=60)
        speed = arguments.snippets / many["seconds"]
        print("many", many, flush=True)
        lines += [
            "",
            f"{arguments.snippets:,} snippets, 0.05 s an answer: {speed:.0f} requests/s, peak "
            f"{many['memory_mb']:.0f} MB; snippets written, asked, journaled and derived in one process.",
        ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("# Generation\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
