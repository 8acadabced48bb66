"""Seconds and memory of the HumanEval similarity at the paper's size, beside the reference's dense way, in one run.

    python benchmarks/similarity.py [--rows 75000 110000 20000] [--sample 600]

Rows are pieces of 1-2 KB of the Python and C++ files installed here, all different as long as there are enough; a
third of a piece is the problem. Ours scores all of them. The reference's way is written here from its description: one
vectorizer fitted on everything, then batches of 100 rows made dense and multiplied with the dense problems. It scores
an even sample, its fit is shared by all rows, and both must give the same scores to 1e-6.

Not covered: the reference runs its batches on a GPU and normalizes each anew for every one of the 164 problems;
here both run on the processor, and its batch is normalized once.
"""

import argparse
import itertools
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from magicoder_kit import corpora, devices
from magicoder_kit.analysis import similarity
from magicoder_kit.evaluation import benchmarks
from magicoder_kit.runs import versions

NAMES = ("as OSS-Instruct", "as Evol-Instruct", "as Code Alpaca")
BATCH = 100
Row = dict[str, str]
Dense = np.ndarray


def pieces(shift: int) -> Iterator[Row]:
    """Cut the installed files into rows of 1,000 to 2,000 characters, from a shifted start."""
    draws = random.Random(976 + shift)
    for listed in itertools.chain(corpora.installed_files("python"), corpora.installed_files("cpp")):
        try:
            raw = listed.file.read_bytes()
        except OSError:
            continue
        if corpora.why_left_out(raw):
            continue
        text, start = raw.decode(), shift
        while len(text) - start >= 1_000:
            length = draws.randint(1_000, 2_000)
            problem, solution = text[start : start + length // 3], text[start + length // 3 : start + length]
            yield {"problem": problem, "solution": solution}
            start += length


def make_rows(count: int) -> list[Row]:
    """Return ``count`` rows; where the installation is too small, it is cut again from another place."""
    cuts = itertools.chain.from_iterable(pieces(700 * number) for number in range(100))
    return list(itertools.islice(cuts, count))


def dense(
    vectorizer: TfidfVectorizer, texts: list[str], cosine: Callable[[Dense, Dense], Dense], problems: Dense
) -> Dense:
    """Return the highest cosine of each text, batch after dense batch."""
    highest = []
    for start in range(0, len(texts), BATCH):
        batch = vectorizer.transform(texts[start : start + BATCH]).toarray()
        highest.append(cosine(batch, problems).max(axis=1))
    return np.concatenate(highest)


def dense_product(batch: Dense, problems: Dense) -> Dense:
    """Return all products of the rows of two dense arrays."""
    return batch @ problems.T


def peak_mb() -> float:
    """Return the highest memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure both, check that they agree, print the table and keep it in ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description="the HumanEval similarity beside the reference's dense way")
    parser.add_argument("--rows", type=int, nargs=3, default=[75_000, 110_000, 20_000])
    parser.add_argument("--sample", type=int, default=600)
    asked = parser.parse_args()

    total = sum(asked.rows)
    rows = iter(make_rows(total))
    sets = {name: list(itertools.islice(rows, count)) for name, count in zip(NAMES, asked.rows, strict=True)}
    tasks = benchmarks.humaneval()
    distinct = len({(row["problem"], row["solution"]) for rows in sets.values() for row in rows})
    size = sum(len(row["problem"]) + len(row["solution"]) for rows in sets.values() for row in rows) / total
    held = peak_mb()

    began = time.perf_counter()
    scored = similarity.humaneval_similarity(sets, tasks)
    ours, ours_mb = time.perf_counter() - began, peak_mb()

    # Fitted and scored as lists of texts, as the reference holds them.
    texts = [row["problem"] + " " + row["solution"] for rows in sets.values() for row in rows]
    humaneval = [task["prompt"] + " " + task["canonical_solution"] for task in tasks]
    began = time.perf_counter()
    vectorizer = TfidfVectorizer().fit(texts + humaneval)
    problems = vectorizer.transform(humaneval).toarray()
    fitted = time.perf_counter() - began
    chosen = np.linspace(0, total - 1, asked.sample).astype(int)
    measured = {"similarity.humaneval_similarity": (ours, ours_mb)}
    # The vectorizer's vectors have length 1 already: the plain product is the dense way at its best.
    products = {"the reference's dense way": cosine_similarity, "the same without normalizing again": dense_product}
    difference = 0.0
    for name, cosine in products.items():
        began = time.perf_counter()
        expected = dense(vectorizer, [texts[place] for place in chosen], cosine, problems)
        seconds = time.perf_counter() - began
        measured[name] = (fitted + seconds * total / asked.sample, peak_mb())
        difference = max(difference, float(np.abs(scored["similarity"].to_numpy()[chosen] - expected).max()))
    assert difference <= 1e-6, difference

    hardware, installed = devices.hardware(), versions()
    lines = [
        "# Similarity to HumanEval: seconds and memory",
        "",
        f"{' + '.join(f'{count:,}' for count in asked.rows)} rows ({distinct:,} different, {size:,.0f} characters each "
        f"on average), {len(vectorizer.vocabulary_):,} words, {len(tasks)} problems. The dense ways scored "
        f"{asked.sample:,} of the rows (largest difference {difference:.1e}) and are extrapolated; their fit on all, "
        f"{fitted:.1f} s, is part of their figures. Peaks are of the one process, in this order; with the rows alone "
        f"it held {held:,.0f} MB.",
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB, GPU: {hardware['gpu']}; "
        f"Python {installed['python']}, scikit-learn {installed['scikit-learn']}.",
        "",
        "| way | seconds for all rows | ms a row | x ours | peak MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, (seconds, peak) in measured.items():
        lines.append(f"| {name} | {seconds:,.1f} | {1000 * seconds / total:.3f} | {seconds / ours:.1f} | {peak:,.0f} |")
    lines += ["", "Made by `python benchmarks/similarity.py`."]
    print("\n".join(lines))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "similarity.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
