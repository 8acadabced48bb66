"""Runs and stages: folders that explain themselves, survive a kill, and are not made twice.

A run is ``outputs/<run>/``; a stage is a folder in it named as its notebook. The opening cell of a notebook
calls :func:`open_stage`, its cells write through the :class:`Stage`, and its last cell calls
:meth:`Stage.finish`, which seals ``manifest.json``. Three promises:

* every file is written beside its place and moved into it (journals append whole lines instead);
* the manifest names parameters, inputs and kit version by one fingerprint: the same fingerprint is not
  computed again (:func:`why_stale`), another one empties the folder of everything but its journals, whose
  rows are keyed by what was asked and so stay true;
* a stage that is open is locked, by a lock of the operating system that dies with its holder.
"""

from magicoder_kit.runs.fingerprints import ENVIRONMENT, MANIFEST, digest, fingerprint, read_manifest, why_stale
from magicoder_kit.runs.folders import outputs_folder, run_folder
from magicoder_kit.runs.locks import lock, lock_for_children
from magicoder_kit.runs.provenance import versions
from magicoder_kit.runs.secrecy import find_secrets, scrub
from magicoder_kit.runs.stages import Stage, open_stage, pick

__all__ = [
    "ENVIRONMENT",
    "MANIFEST",
    "Stage",
    "digest",
    "find_secrets",
    "fingerprint",
    "lock",
    "lock_for_children",
    "open_stage",
    "outputs_folder",
    "pick",
    "read_manifest",
    "run_folder",
    "scrub",
    "versions",
    "why_stale",
]
