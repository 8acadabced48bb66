"""What this machine computes with, and the number format that suits it."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch


class Device(NamedTuple):
    """Where a model runs. ``precision`` is ``"bf16"``, ``"fp16"`` or ``"fp32"``; ``reason`` says why."""

    kind: str
    name: str
    memory_gb: float
    precision: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.memory_gb:.1f} GB), {self.precision}: {self.reason}"

    @property
    def dtype_name(self) -> str:
        """The precision as command lines name it, such as ``"bfloat16"``."""
        return {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[self.precision]

    @property
    def dtype(self) -> "torch.dtype":
        """The precision as torch names it."""
        import torch

        dtype: torch.dtype = getattr(torch, self.dtype_name)
        return dtype


def detect(precision: str = "auto") -> Device:
    """Find the device models run on and choose its precision.

    Parameters
    ----------
    precision : str
        ``"auto"``, or the format to use whatever the device would suggest.
    """
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        # Ampere (8.0) brought bf16 arithmetic; on a T4 (7.5) torch emulates it slowly.
        chosen, reason = ("bf16", "Ampere or newer") if properties.major >= 8 else ("fp16", "no bf16 before Ampere")
        device = Device("cuda", properties.name, properties.total_memory / 1e9, chosen, reason)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        chosen, reason = (
            ("bf16", "the processor has bf16 instructions") if fast else ("fp32", "no bf16 instructions here")
        )
        device = Device("cpu", cpu_name(), memory_gb(), chosen, reason)
    return device if precision == "auto" else device._replace(precision=precision, reason="as asked")


def hardware() -> dict[str, str | int | float]:
    """Return the processor, cores, memory and GPUs, for manifests. Does not load torch."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(memory_gb(), 1),
        "gpu": gpu_names() or "none",
        "system": f"{platform.system()} {platform.machine()}",
    }


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gb() -> float:
    """Return the machine's memory in GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def gpu_names() -> str:
    """Return the names of NVIDIA GPUs, or ``""``."""
    if not shutil.which("nvidia-smi"):
        return ""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    found = subprocess.run(asked, capture_output=True, text=True)
    return "; ".join(found.stdout.strip().splitlines()) if found.returncode == 0 else ""
