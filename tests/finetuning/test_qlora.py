"""A training that is killed ends as one that is not, and what stands in its way is said in one line."""

import functools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from magicoder_kit import devices, embedded
from magicoder_kit.errors import KitError, ModelError
from magicoder_kit.finetuning import export, pairs, qlora, students

PAIRS = pairs.from_examples(
    {"problem": f"Return x plus {n}.", "solution": f"```python\ndef add(x):\n    return x + {n}\n```"} for n in range(6)
)
SETTINGS = {"model": "embedded", "epochs": 1.0, "batch_size": 2, "warmup_steps": 1, "rank": 4, "checkpoint_steps": 1}
SETTINGS |= {"targets": ["q_proj", "v_proj"]}

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from magicoder_kit.finetuning import qlora
pairs, settings, output, stop = json.loads(sys.argv[1])
def on_log(row):
    if row["step"] == stop:
        os.kill(os.getpid(), signal.SIGKILL)
qlora.train(pairs, output=Path(output), on_log=on_log, **settings)
"""


def train_in_a_process(output: Path, *, stop_at: int) -> int:
    arguments = json.dumps([PAIRS, SETTINGS, str(output), stop_at])
    return subprocess.run([sys.executable, "-c", SCRIPT, arguments], timeout=300).returncode


def without_speed(report: dict) -> list[dict]:
    return [{name: row[name] for name in row if name != "tokens_per_second"} for row in report["train_log"]]


@functools.cache
def undisturbed() -> tuple[Path, dict]:
    output = Path(tempfile.mkdtemp(prefix="qlora-"))
    return output, qlora.train(PAIRS, output=output, **SETTINGS)


def teardown_module():
    shutil.rmtree(undisturbed()[0])


@pytest.mark.slow
def test_training_lowers_the_loss_and_says_of_what():
    output, report = undisturbed()
    assert report["loss_after"] < report["loss_before"]
    assert report["loss_of"] == "6 of the 6 training rows (none were held out)"
    assert [row["step"] for row in report["train_log"]] == [0, 1, 2, 3, 3]
    assert report["train_log"][1]["tokens_per_second"] > 0
    assert sorted(path.name for path in output.iterdir()) == ["adapter", "training.json"]


@pytest.mark.slow
def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path: Path):
    assert train_in_a_process(tmp_path, stop_at=2) == -signal.SIGKILL
    first = tmp_path / "checkpoints" / "checkpoint-1"
    half = shutil.copytree(first, tmp_path / "checkpoints" / "checkpoint-2")
    (half / "trainer_state.json").write_text('{"epoch": 0.6')
    assert train_in_a_process(tmp_path, stop_at=-1) == 0
    output, report = undisturbed()
    for path in (output / "adapter").iterdir():
        assert (tmp_path / "adapter" / path.name).read_bytes() == path.read_bytes(), path.name
    resumed = json.loads((tmp_path / "training.json").read_text())
    assert without_speed(resumed) == without_speed(report)
    assert (resumed["loss_before"], resumed["loss_after"]) == (report["loss_before"], report["loss_after"])


@pytest.mark.slow
def test_a_finished_training_is_not_run_again():
    output, report = undisturbed()
    before = (output / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    seen: list[dict] = []
    assert qlora.train(PAIRS, output=output, on_log=seen.append, **SETTINGS) == report
    assert seen == report["train_log"]
    assert (output / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_merged_model_is_the_16_bit_base_plus_the_adapter_and_is_made_the_same_twice(tmp_path: Path):
    import torch
    from safetensors.torch import load_file

    adapter, device = undisturbed()[0] / "adapter", devices.detect("bf16")
    made = [export.merge(adapter, model="embedded", output=tmp_path / name, device=device) for name in ("one", "two")]
    for path in made[0].iterdir():
        assert path.read_bytes() == (made[1] / path.name).read_bytes(), path.name
    assert students.load_tokenizer(str(made[0])).eos_token_id == 2
    base = load_file(Path(embedded.resolve("embedded")) / "model.safetensors")
    merged, low_rank = load_file(made[0] / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    assert merged.keys() == base.keys()
    settings = json.loads((adapter / "adapter_config.json").read_text())
    changed = 0
    for name, weight in base.items():
        assert merged[name].dtype == torch.bfloat16
        part = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        if f"{part}A.weight" not in low_rank:
            assert torch.equal(merged[name], weight), name
            continue
        update = low_rank[f"{part}B.weight"] @ low_rank[f"{part}A.weight"] * settings["lora_alpha"] / settings["r"]
        assert torch.equal(merged[name], (weight.float() + update).to(torch.bfloat16)), name
        changed += int((merged[name] != weight).sum())
    assert changed > 0


def test_an_unknown_base_is_refused_in_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # Read at import; no network is tried.
    with pytest.raises(ModelError, match="no-such/model") as caught:
        qlora.train(PAIRS, output=tmp_path, **(SETTINGS | {"model": "no-such/model"}))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="holds no adapter"):
        export.merge(tmp_path, model="embedded", output=tmp_path / "merged", device=devices.detect())


def test_holding_out_every_row_is_refused(tmp_path: Path):
    with pytest.raises(KitError, match="held_out is 6, but only 6 rows"):
        qlora.train(PAIRS, output=tmp_path, held_out=6, **SETTINGS)
