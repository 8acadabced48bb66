"""Where runs are: one folder each below ``outputs``."""

import re
from pathlib import Path

from magicoder_kit.errors import ParameterError


def outputs_folder(outputs: str = "") -> Path:
    """Return the folder that holds runs.

    ``outputs`` is used as it is where it is given. ``""`` means the ``outputs`` folder of the repository the
    working directory lies in, or of the working directory itself where there is no repository, so a notebook
    finds the same place from JupyterLab and from papermill.
    """
    if outputs:
        return Path(outputs).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "params").is_dir():
            return folder / "outputs"
    return here / "outputs"


def run_folder(run_name: str, outputs: str = "") -> Path:
    """Return the folder of a run by its name."""
    if not re.fullmatch(r"[\w][\w.-]*", run_name):
        raise ParameterError(
            f"run name {run_name!r}: use letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    return outputs_folder(outputs) / run_name
