"""Documents a second of the seed draw, beside the reference's way of drawing, in one run.

    python benchmarks/snippets.py [--documents 20000] [--rounds 5]

The reference's way is written here from its description: ``datasets.map`` over chunks of 1,000 with the global
``random`` module and every column kept, a shuffle, and a second map, row by row, for the column ``index``.
Both draw the same snippets, which is checked. Documents are pieces of the standard library's source, 4 KB each.
The order of the two changes from round to round, and the median is shown.

Not covered: reading the corpus, which takes longer than the draw.
"""

import argparse
import gc
import random
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
from datasets import Dataset

from magicoder_kit import devices, snippets
from magicoder_kit.runs import versions

SIZE = 4_096


def documents(count: int) -> list[str]:
    """Return ``count`` different documents of 4 KB."""
    library = Path(sysconfig.get_paths()["stdlib"])
    text = "".join(file.read_text() for file in sorted(library.glob("*.py")))
    lines = text.splitlines(keepends=True)
    made = []
    for number in range(count):
        # A thousand lines are always more than 4 KB.
        first = number * 37 % (len(lines) - 1_000)
        made.append("".join(lines[first : first + 1_000])[: SIZE - 1] + "\n")
    return made


def reference(table: Dataset) -> Dataset:
    """Draw as the reference does."""

    def draw_chunk(chunk: dict[str, list[str]], positions: list[int]) -> dict[str, list[object]]:
        random.seed(976 + positions[0])
        drawn: list[object] = []
        for content in chunk["content"]:
            lines = content.splitlines(keepends=True)
            start = random.choice(range(len(lines)))
            count = random.randint(1, 15)
            drawn.append("".join(lines[start : start + count]))
        return {"seed": drawn, "raw_index": list(positions)}

    drawn = table.map(draw_chunk, with_indices=True, batched=True, batch_size=1_000)
    return drawn.shuffle(seed=976).map(lambda _, position: {"index": position}, with_indices=True)


def seconds(draw: Callable[[Dataset], Dataset], table: Dataset) -> tuple[float, Dataset]:
    """Return how long one draw took, and what it drew."""
    gc.collect()
    began = time.perf_counter()
    drawn = draw(table)
    return time.perf_counter() - began, drawn


def main() -> None:
    """Measure, check that both drew the same, print the table and keep it in ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description="documents a second of the seed draw, beside the reference's way")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()

    datasets.disable_progress_bars()
    contents = documents(asked.documents)
    ways: dict[str, Callable[[Dataset], Dataset]] = {
        "snippets.extract": snippets.extract,
        "the reference's way": reference,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    drawn: dict[str, Dataset] = {}
    with tempfile.TemporaryDirectory() as folder:
        # On disk, as a corpus from the hub is, so that the results of map are written to disk too.
        columns = {"content": contents, "raw_index": list(range(len(contents)))}
        Dataset.from_dict(columns).save_to_disk(folder)
        datasets.disable_caching()
        for number in range(asked.rounds):
            for name in list(ways) if number % 2 else list(reversed(ways)):
                duration, drawn[name] = seconds(ways[name], datasets.load_from_disk(folder))
                took[name].append(duration)
        ours, theirs = drawn.values()
        assert all(ours[column][:] == theirs[column][:] for column in ("seed", "raw_index", "index"))
        del drawn, ours, theirs

    rates = {name: asked.documents / statistics.median(durations) for name, durations in took.items()}
    hardware, installed = devices.hardware(), versions()
    lines = [
        "# Seed draw: documents a second",
        "",
        f"{asked.documents:,} documents of 4 KB, median of {asked.rounds} rounds in one process; both drew the same.",
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB, GPU: {hardware['gpu']}; "
        f"Python {installed['python']}, datasets {installed['datasets']}.",
        "",
        "| way | documents/s | range | ratio |",
        "|---|---|---|---|",
    ]
    slowest = min(rates.values())
    for name, rate in rates.items():
        low, high = (asked.documents / edge(took[name]) for edge in (max, min))
        lines.append(f"| {name} | {rate:,.0f} | {low:,.0f} – {high:,.0f} | {rate / slowest:.2f} |")
    lines += ["", "Made by `python benchmarks/snippets.py`."]
    print("\n".join(lines))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "snippets.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
