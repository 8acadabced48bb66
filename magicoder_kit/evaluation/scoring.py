"""From verdicts to pass@k, with an interval that says how far the benchmark's few problems can be trusted."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row


def pass_at_k(n: int, c: int, k: int) -> float:
    """Estimate, from n answers of which c passed, the chance that at least one of k passes.

    This is the share of the subsets of k answers that hold a passing one, ``1 - C(n-c, k) / C(n, k)``. The
    simpler ``1 - (1 - c/n)**k`` draws with replacement and is too low on average. Written as a product, so
    that no binomial coefficient overflows.

    Raises
    ------
    ParameterError
        Not ``1 <= k <= n`` or not ``0 <= c <= n``: there is no subset to count.

    Source: Chen et al. 2021, equation 1 and figure 3, https://arxiv.org/abs/2107.03374.
    """
    if not (1 <= k <= n and 0 <= c <= n):
        raise ParameterError(
            f"pass@{k} from {n} samples of which {c} passed: use 1 <= k <= samples, 0 <= passed <= samples"
        )
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def score(
    verdicts: Sequence[Row],
    *,
    k: int = 1,
    confidence: float = 0.95,
    seed: int = 976,
    resamples: int = 10_000,
) -> Row:
    """Score a model on a benchmark: mean pass@k over problems, with a bootstrap interval over problems.

    The problems are the sample, the answers to one problem are not independent of each other, so problems are
    resampled and their answers stay together. Answers whose toolchain is missing say nothing of the model and
    are left out. The interval is about the choice of problems alone, not about the seeds of training.

    Parameters
    ----------
    verdicts : sequence of Row
        Columns ``task_id`` and ``status``; see :class:`magicoder_kit.records.Verdict`.
    k : int
        Tries a problem; every problem needs at least ``k`` counted answers.
    confidence : float
        Coverage of the interval, between 0 and 1.
    seed, resamples : int
        Of the bootstrap; the same seed gives the same interval.

    Returns
    -------
    Row
        ``k, tasks, samples, passed, left_out`` as counts and ``estimate, low, high`` as shares in 0..1 (None
        where nothing is left to count). Where all problems share one estimate other than 0 or 1 (a single problem
        say), resampling cannot tell how sure it is and the interval is that point.

    Raises
    ------
    ParameterError
        A problem has fewer than ``k`` counted answers, or ``confidence`` is no share.
    """
    if not 0.0 < confidence < 1.0:
        raise ParameterError(f"confidence is {confidence}; use a share between 0 and 1, such as 0.95")
    counted = [verdict for verdict in verdicts if verdict["status"] != "toolchain_missing"]
    passes: dict[str, list[bool]] = defaultdict(list)
    for verdict in counted:
        passes[verdict["task_id"]].append(verdict["status"] == "passed")
    for task_id, passed in passes.items():
        if len(passed) < k:
            raise ParameterError(
                f"pass@{k} needs {k} samples a problem, {task_id} has {len(passed)}; sample more or lower k"
            )
    shares = np.array([pass_at_k(len(passed), sum(passed), k) for passed in passes.values()])
    low, high = _interval(shares, confidence, seed, resamples) if len(shares) else (None, None)
    return {
        "k": k,
        "tasks": len(shares),
        "samples": len(counted),
        "passed": sum(map(sum, passes.values())),
        "left_out": len(verdicts) - len(counted),
        "estimate": float(shares.mean()) if len(shares) else None,
        "low": low,
        "high": high,
    }


def _interval(shares: np.ndarray, confidence: float, seed: int, resamples: int) -> tuple[float, float]:
    import scipy.stats

    if (shares == shares[0]).all() and shares[0] in (0.0, 1.0):
        # Every resample of zeros is zeros: the bootstrap would claim certainty from 0 of 24. The exact
        # binomial (Clopper-Pearson) bound does not; with 0 of 24 it still allows 14 %.
        exact = scipy.stats.binomtest(int(shares.sum()), len(shares)).proportion_ci(confidence, method="exact")
        return float(exact.low), float(exact.high)
    # By the central limit theorem the mean of 164 shares is near normal, but near 0 or 1 a symmetric interval
    # would leave 0..1; percentiles of resampled means cannot. Batches keep 10 000 x 5000 problems in memory.
    random = np.random.default_rng(seed)
    batches = [min(500, resamples - start) for start in range(0, resamples, 500)]
    means = [random.choice(shares, size=(batch, len(shares))).mean(axis=1) for batch in batches]
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
