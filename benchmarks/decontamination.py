"""Rows a second of decontamination, beside the reference's nested search on the same rows, in one run.

    python benchmarks/decontamination.py [--rows 75000] [--strings 8000] [--sample 400] [--rounds 3]

The reference's search is written here from its description: every string of every benchmark, lower-cased anew,
looked for in the lower-cased row with ``in``, until one is found. It would take a quarter of an hour on all rows,
so it runs on a sample spread over them and its rate is that of the sample; the two must agree on every row of
it. Rows are 2 KB pieces of installed Python files; one row in 500 has a benchmark string planted in it. Strings
are HumanEval's own, then whole docstrings of other installed files, of the same lengths. Both run in one thread.

Memory is the growth of the process that holds the rows, its automaton included, over what the rows alone take.

Not covered: reading rows from disk.
"""

import argparse
import ast
import bisect
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from magicoder_kit import corpora, devices, records
from magicoder_kit.decontamination import Decontaminator, humaneval_strings
from magicoder_kit.records import Row
from magicoder_kit.runs import versions

SIZE = 2_048
PLANTED_EVERY = 500


def texts(half: int) -> Iterator[str]:
    """Yield the text of every second installed Python file."""
    for found in corpora.installed_files("python")[half::2]:
        try:
            yield found.file.read_text()
        except (OSError, UnicodeDecodeError):
            continue


def make_strings(count: int) -> dict[str, list[str]]:
    """Return HumanEval's strings, and docstrings of every second file whose lengths are those of HumanEval's."""
    own = humaneval_strings()
    found: set[str] = set()
    for text in texts(1):
        if len(found) > 8 * count:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (docstring := ast.get_docstring(node)):
                found.add(docstring)
    pool = sorted(found, key=lambda text: (len(text), text))
    lengths = [len(text) for text in pool]
    chosen = []
    for number in range(count - len(own)):
        place = min(bisect.bisect_left(lengths, len(own[number % len(own)])), len(pool) - 1)
        chosen.append(pool.pop(place))
        lengths.pop(place)
    return {"humaneval": own, "docstrings": chosen}


def make_rows(count: int, strings: dict[str, list[str]]) -> Iterator[Row]:
    """Yield ``count`` rows of 2 KB, half a problem and half a solution."""
    planted = random.Random(666)
    every = [string for benchmark in strings.values() for string in benchmark]
    made = 0
    for text in texts(0):
        for begin in range(0, len(text) - SIZE, SIZE):
            if made == count:
                return
            row = {"index": made, "problem": text[begin : begin + SIZE // 2]}
            row["solution"] = text[begin + SIZE // 2 : begin + SIZE]
            if made % PLANTED_EVERY == 0:
                row["solution"] = (planted.choice(every) + "\n" + row["solution"])[: SIZE // 2]
            yield row
            made += 1
    raise SystemExit(f"the installed files give {made:,} rows; ask for that many with --rows")


def reference(row: Row, strings: dict[str, list[str]]) -> tuple[str, str] | None:
    """Search as the reference does."""
    text = "\n\n".join(row[column].lower() for column in ("problem", "solution"))
    for benchmark, searched in strings.items():
        for string in searched:
            if string.lower() in text:
                return benchmark, string
    return None


def resident(field: str) -> int:
    """Return ``VmRSS`` or the highest so far, ``VmHWM``, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise SystemExit("memory is measured through /proc, on Linux")


def measure_memory(folder: Path) -> None:
    """Load the rows, decontaminate them, and print the bytes that the rows took and the highest growth."""
    strings = json.loads((folder / "strings.json").read_text())
    before = resident("VmRSS")
    rows = list(records.Rows(folder / "rows.jsonl"))
    gc.collect()
    held = resident("VmRSS") - before
    Path("/proc/self/clear_refs").write_text("5")  # Forget the highest so far.
    Decontaminator(strings).split(rows)
    print(json.dumps({"rows": held, "highest": resident("VmHWM") - before}))


def main() -> None:
    """Measure, check that both agree, print the table and keep it in ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description="rows a second of decontamination, beside the reference's search")
    parser.add_argument("--rows", type=int, default=75_000)
    parser.add_argument("--strings", type=int, default=8_000)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        measure_memory(asked.memory)
        return

    strings = make_strings(asked.strings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records.write_json(folder / "strings.json", strings)
        records.write_jsonl(folder / "rows.jsonl", make_rows(asked.rows, strings))
        told = subprocess.run(
            [sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True
        ).stdout
        memory = json.loads(told)
        rows = records.read_jsonl(folder / "rows.jsonl")

    step = max(1, PLANTED_EVERY // 7)
    sample = [*rows[::PLANTED_EVERY][: asked.sample // 4], *rows[1::step]][: asked.sample]
    took: dict[str, list[float]] = {"build": [], "split": [], "reference": []}
    for number in range(asked.rounds):
        for ours in (True, False) if number % 2 else (False, True):
            gc.collect()
            began = time.perf_counter()
            if ours:
                decontaminator = Decontaminator(strings)
                took["build"].append(time.perf_counter() - began)
                kept, rejected = decontaminator.split(rows)
                took["split"].append(time.perf_counter() - began)
            else:
                verdicts = [reference(row, strings) for row in sample]
                took["reference"].append(time.perf_counter() - began)
    assert [decontaminator.find(f"{row['problem']}\n\n{row['solution']}") for row in sample] == verdicts
    rejected_rows = {row["index"] for row in rejected}
    assert [row["index"] in rejected_rows for row in sample] == [verdict is not None for verdict in verdicts]
    assert len(kept) + len(rejected) == len(rows)

    rates = {
        "Decontaminator, building it included": [len(rows) / seconds for seconds in took["split"]],
        "the reference's nested search": [len(sample) / seconds for seconds in took["reference"]],
    }
    slowest = statistics.median(rates["the reference's nested search"])
    hardware, installed = devices.hardware(), versions()
    contaminated = sum(verdict is not None for verdict in verdicts)
    lines = [
        "# Decontamination: rows a second",
        "",
        f"{len(rows):,} rows of 2 KB, {sum(map(len, strings.values())):,} strings; median of {asked.rounds} rounds in "
        f"one process, one thread. The nested search ran on a sample of {len(sample):,} rows, where both gave the same",
        f"verdicts and strings ({contaminated} contaminated); {len(rejected):,} of all rows are contaminated.",
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB; Python {installed['python']}.",
        "",
        "| way | rows/s | range | ratio |",
        "|---|---|---|---|",
    ]
    for way, found in rates.items():
        rate = statistics.median(found)
        lines.append(f"| {way} | {rate:,.0f} | {min(found):,.0f} – {max(found):,.0f} | {rate / slowest:,.0f} |")
    lines += [
        "",
        f"All rows took {statistics.median(took['split']):.1f} s, of which building the automaton "
        f"{statistics.median(took['build']):.1f} s.",
        f"The rows take {memory['rows'] / 2**20:,.0f} MiB in memory; the highest while they were split was "
        f"{memory['highest'] / 2**20:,.0f} MiB, {memory['highest'] / memory['rows']:.2f} x that.",
        "",
        "Made by `python benchmarks/decontamination.py`.",
    ]
    print("\n".join(lines))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "decontamination.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
