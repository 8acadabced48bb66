"""A profile's eight notebooks, run headless one after another through papermill.

``run("offline")`` checks every parameter before anything starts, skips the stages whose files still stand,
executes the others in kernels of the running Python, and keeps an executed copy of each in
``outputs/<run>/notebooks``. A copy is written after every cell, whole and without secrets. The process may die at
any moment: the same call goes on where the stages' own journals and manifests say.
"""

from magicoder_kit.batch.execution import StageFailed, run
from magicoder_kit.batch.parameters import Parameter, notebook_parameters, parse_setting
from magicoder_kit.batch.plans import DEFAULT_PROFILE, Plan, check, match_notebook, notebooks, profiles, repository
from magicoder_kit.batch.summary import print_summary

__all__ = [
    "DEFAULT_PROFILE",
    "Parameter",
    "Plan",
    "StageFailed",
    "check",
    "match_notebook",
    "notebook_parameters",
    "notebooks",
    "parse_setting",
    "print_summary",
    "profiles",
    "repository",
    "run",
]
