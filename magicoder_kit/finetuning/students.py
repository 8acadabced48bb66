"""A student: a causal language model held in 4 bits, with a trainable low-rank adapter beside its layers."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from magicoder_kit import devices, embedded
from magicoder_kit.errors import ModelError, ParameterError


@contextlib.contextmanager
def _said_in_one_line(model: str) -> Iterator[None]:
    """Turn what transformers and the hub raise about a model into one line that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"could not load model {model!r} ({reason}); give a local folder, a hub name this machine can reach, "
            f"or {embedded.STUDENT!r}"
        ) from error


def load_tokenizer(model: str) -> Any:
    """Load the tokenizer of a model by name, folder, or ``"embedded"``."""
    from transformers import AutoTokenizer

    with _said_in_one_line(model):
        return AutoTokenizer.from_pretrained(embedded.resolve(model))


def load_base(model: str, *, device: devices.Device, four_bit: bool = True) -> Any:
    """Load a causal language model onto ``device``.

    Parameters
    ----------
    model : str
        A hub name, a folder (merged models and adapters too), or ``"embedded"``.
    device : Device
        Where it computes and in which precision.
    four_bit : bool
        Hold the linear layers in NF4 with double quantisation; embeddings and output layer stay as they are.

    Raises
    ------
    ModelError
        The model cannot be had, or bitsandbytes does not work here.

    Source: Dettmers et al. 2023, QLoRA, sections 2-3.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    place = int(os.environ.get("LOCAL_RANK", 0)) if device.kind == "cuda" else device.kind
    options: dict[str, Any] = {"dtype": device.dtype, "device_map": {"": place}}
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=device.dtype,
        )
    with _said_in_one_line(model):
        try:
            loaded = AutoModelForCausalLM.from_pretrained(embedded.resolve(model), **options)
        except (ImportError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            cure = (
                "repair bitsandbytes or set four_bit to False"
                if four_bit
                else "choose a smaller model or another device"
            )
            raise ModelError(f"could not load model {model!r} on {device.name} ({reason}); {cure}") from error
    # On processors with AVX-512 bf16, bitsandbytes repacks weights at the first pass without gradients, for a
    # kernel that has none: a training that takes a loss first would then learn from wrong gradients.
    for layer in loaded.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
    return loaded


def add_lora(
    model: Any, *, rank: int = 16, alpha: int = 32, dropout: float = 0.05, targets: str | list[str] = "all-linear"
) -> Any:
    """Freeze a model and add trainable low-rank matrices, in fp32, beside its linear layers.

    Source: Hu et al. 2021, LoRA; ``all-linear`` as QLoRA found necessary to match full fine-tuning.
    """
    from peft import LoraConfig, get_peft_model

    # peft's prepare_model_for_kbit_training would also turn embeddings and norms into fp32; that costs memory
    # and, on a processor, half the speed, and frozen weights gain nothing from it.
    model.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, task_type="CAUSAL_LM")
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ParameterError(f"LoRA cannot be added: {str(error).splitlines()[0]}") from error
