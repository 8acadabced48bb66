"""One door for stages that work on batches of rows: on this machine, or on a Ray cluster."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicoder_kit.errors import ParameterError

if TYPE_CHECKING:
    from datasets import Dataset

Batch = dict[str, list[Any]]


def map_batches(
    dataset: "Dataset",
    fn: Callable[..., Batch],
    *,
    engine: str = "local",
    batch_size: int = 1000,
    drop: Sequence[str] = (),
    description: str = "",
) -> "Dataset":
    """Apply a pure function of a batch to every batch of a dataset, in order.

    Parameters
    ----------
    dataset : Dataset
        The rows.
    fn : callable
        Takes a dict of columns and the list of the rows' positions, returns a dict of columns.
    engine : str
        ``"local"`` is ``datasets.map`` in this process; ``"ray"`` is ``ray.data`` (needs the extra ``ray``).
    batch_size : int
        Rows a batch. Where ``fn`` depends on the batch (the seed draw does), so do the rows.
    drop : sequence of str
        Columns that ``fn`` reads and the result does not keep.
    description : str
        What the progress bar says.

    Raises
    ------
    ParameterError
        The engine is unknown, or Ray is not installed.
    """
    if engine == "local":
        return dataset.map(
            fn,
            with_indices=True,
            batched=True,
            batch_size=batch_size,
            remove_columns=list(drop),
            desc=description or None,
        )
    if engine == "ray":
        return _map_on_ray(dataset, fn, batch_size).remove_columns(list(drop))
    raise ParameterError(f"unknown engine {engine!r}; use 'local' or 'ray'")


def _map_on_ray(dataset: "Dataset", fn: Callable[..., Batch], batch_size: int) -> "Dataset":
    try:
        import ray
    except ImportError as error:
        raise ParameterError("engine 'ray' needs Ray; install it with: pip install 'magicoder-kit[ray]'") from error
    from datasets import Dataset, concatenate_datasets

    # A task a batch, gathered in order: batches are the unit of the draw's random numbers, and ray.data's own
    # batches may straddle blocks.
    remote = ray.remote(fn)
    pending = []
    for start in range(0, len(dataset), batch_size):
        stop = min(start + batch_size, len(dataset))
        pending.append(remote.remote(dataset[start:stop], list(range(start, stop))))
    made = ray.get(pending)
    parts = [
        Dataset.from_dict(dataset[start : start + batch_size] | columns)
        for start, columns in zip(range(0, len(dataset), batch_size), made, strict=True)
    ]
    return concatenate_datasets(parts)
