"""Merge an adapter into its base: one 16-bit model that any tool loads, without peft."""

import shutil
from pathlib import Path

from magicoder_kit import devices
from magicoder_kit.errors import ModelError
from magicoder_kit.finetuning import students


def merge(adapter: Path, *, model: str, output: Path, device: devices.Device) -> Path:
    """Merge an adapter into the 16-bit base and write the model and its tokenizer to ``output``.

    The adapter was trained beside 4-bit weights; it is added to the base's own 16-bit ones, because weights
    put back from 4 bits have lost precision for good.

    Parameters
    ----------
    adapter : Path
        The folder :func:`qlora.train` wrote.
    model : str
        The base it was trained on.
    output : Path
        The folder to make; one that stands there is replaced when the new one is whole.
    device : Device
        Where to compute. ``"fp16"`` gives an fp16 model, any other precision bf16.

    Returns
    -------
    Path
        ``output``.

    Raises
    ------
    ModelError
        There is no adapter, or it does not fit the base.
    """
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(
            f"{adapter} holds no adapter; train one first, or name the folder that has adapter_config.json"
        )
    sixteen_bit = device._replace(precision="fp16" if device.precision == "fp16" else "bf16")
    base = students.load_base(model, device=sixteen_bit, four_bit=False)
    try:
        merged = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(f"{adapter} does not fit {model!r}; name the base it was trained on") from error
    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    merged.save_pretrained(part)
    students.load_tokenizer(model).save_pretrained(part)
    shutil.rmtree(output, ignore_errors=True)
    part.rename(output)
    return output
