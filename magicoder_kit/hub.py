"""Data sets on the hub: one door, which says within seconds that the hub does not answer."""

import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicoder_kit.errors import CorpusError

if TYPE_CHECKING:
    from datasets import Dataset

ANSWER_S = 4.0
"""How long the hub may take to answer at all, name server included."""


def load_dataset(name: str, /, *, split: str = "train", limit: int = 0, **options: Any) -> "Dataset":
    """Load one split of a data set from the hub, from the hub's cache on this machine, or from a folder.

    Parameters
    ----------
    name : str
        ``owner/name`` on the hub, or a folder with data files.
    split : str
        The split to load.
    limit : int
        The first this many rows, and no more is fetched than they need; 0 is all of them.
    **options
        Passed to ``datasets.load_dataset`` (``name`` of a configuration, ``data_dir``, ``revision`` ...).

    Raises
    ------
    CorpusError
        The hub does not answer and its cache lacks the set; or the set or the split does not exist, is gated or
        is damaged, as the hub's client says.
    """
    import datasets
    from datasets import config

    # Where the hub does not answer, its client tries on for 20 seconds; told that it is offline, it looks into its
    # cache at once.
    told_offline, answering = config.HF_HUB_OFFLINE, Path(name).is_dir() or answers()
    config.HF_HUB_OFFLINE = told_offline or not answering
    try:
        loaded = datasets.load_dataset(name, split=split, streaming=limit > 0 and answering, **options)
        if isinstance(loaded, datasets.Dataset):
            return loaded.select(range(min(limit or len(loaded), len(loaded))))
        return datasets.Dataset.from_list(list(loaded.take(limit)))
    except Exception as error:  # The client raises a dozen kinds.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if not answering:
            reason = f"{config.HF_ENDPOINT} does not answer, and its cache on this machine lacks the set"
        raise CorpusError(f"could not load {name}: {reason}") from error
    finally:
        config.HF_HUB_OFFLINE = told_offline


def answers(seconds: float = ANSWER_S) -> bool:
    """Say whether the hub answers within some seconds, be it with a refusal."""
    from datasets import config

    if config.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(config.HF_ENDPOINT, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # A refusal is an answer.
        except OSError:  # no network, no such name, a proxy that is not there
            return
        answered.set()

    # A silent name server is beyond any time limit; the thread that waits for it can be left behind.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answered.is_set()
