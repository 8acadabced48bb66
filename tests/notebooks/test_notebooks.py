"""The eight notebooks headless: each alone under papermill, and all of them killed at ten random moments.

The teacher is a server whose answers depend on the request alone, so that a killed and an undisturbed run must
end in the same files; model, training, sandbox and kernels are the real ones.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BIN = Path(sys.executable).parent
KILLS = 10

pytestmark = pytest.mark.slow


def settings(base_url: str) -> dict[str, dict]:
    """Return parameters that make every notebook small; the stages stay whole."""
    languages = ("python", "rust", "java")
    teacher = {"teacher": "test-teacher", "base_urls": [base_url]}
    return {
        "01": {"sources": dict.fromkeys(languages, "bundled"), "quota": dict.fromkeys(languages, 4)},
        "02": {**teacher, "n_snippets": 2},
        "03": {**teacher, "variant": "paper", "max_in_flight": 2},
        "06": {"epochs": 1.0, "max_tokens": 256, "checkpoint_steps": 1, "held_out": 2, "warmup_steps": 0},
        "07": {"n_problems": 3, "forms": ["template"], "max_new_tokens": 48},
    }


def made(run: Path) -> dict[str, object]:
    """Return what a run must end in, however often it was killed; seconds are left out."""
    lines = (run / "07_evaluation/verdicts.jsonl").read_text().splitlines()
    verdicts = [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]
    files = [
        "01_snippet_sampling/snippets.jsonl",
        "03_generation/examples.jsonl",
        "04_cleaning_decontamination/dataset.jsonl",
        "06_qlora_finetuning/training/adapter/adapter_model.safetensors",
        "07_evaluation/completions.jsonl",
    ]
    return {name: (run / name).read_bytes() for name in files} | {"verdicts": verdicts}


def test_each_notebook_runs_alone_and_ten_kills_change_nothing(teacher_server, tmp_path):
    server = teacher_server("ok", "--latency=0.3")
    environment = os.environ | {"MAGICODER_KIT_HEADLESS": "1"}
    small = settings(server.base_url)
    for notebook in NOTEBOOKS:
        parameters = small.get(notebook.name[:2], {}) | {"outputs": str(tmp_path), "run_name": "alone"}
        (tmp_path / "parameters.yaml").write_text(yaml.safe_dump(parameters))
        command = [BIN / "papermill", notebook, tmp_path / notebook.name, "-f", tmp_path / "parameters.yaml"]
        done = subprocess.run(
            [*command, "--no-progress-bar"], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((tmp_path / "alone" / notebook.stem / "manifest.json").read_text())["status"] == "done"

    # JSON is YAML, which --set reads.
    chosen = [
        f"--set={nb}.{name}={json.dumps(value)}" for nb, values in small.items() for name, value in values.items()
    ]
    every = [f"--set={notebook.name[:2]}.outputs={tmp_path}" for notebook in NOTEBOOKS]
    command = [BIN / "magicoder-kit", "run", "offline", "--run-name", "killed", *chosen, *every]
    rng, kills, asked_alone = random.Random(976), 0, len(server.answered())
    while True:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said, _ = process.communicate(timeout=rng.uniform(3, 14) if kills < KILLS else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, said
        break
    assert kills == KILLS, "the run ended before it was killed ten times"
    assert made(tmp_path / "killed") == made(tmp_path / "alone")
    # Notebook 03 keeps 2 requests in flight and 02 at most 6; nothing journaled is asked for again.
    journals = (tmp_path / "killed").glob("0[23]*/responses.journal.jsonl")
    journaled = sum('"request_id"' in line for journal in journals for line in journal.read_text().splitlines())
    asked_killed = len(server.answered()) - asked_alone
    assert journaled <= asked_killed <= journaled + kills * 6

    began = time.monotonic()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stderr.count("up to date") + again.stdout.count("up to date") == len(NOTEBOOKS)
    assert time.monotonic() - began < 60


def test_a_run_whose_responses_never_parse_stops_at_03_in_one_line(teacher_server, tmp_path):
    server = teacher_server("unparsable")
    chosen = [f"--set={number}.outputs={tmp_path}" for number in range(1, 9)]
    chosen += ["--set=01.sources={python: bundled}", "--set=01.quota={python: 4}"]
    for number in ("02", "03"):
        chosen += [f"--set={number}.teacher=test-teacher", f"--set={number}.base_urls=[{server.base_url}]"]
    done = subprocess.run(
        [BIN / "magicoder-kit", "run", "offline", "--run-name", "none", *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "none of 4 responses parsed" in done.stderr + done.stdout
    assert not (tmp_path / "none" / "04_cleaning_decontamination").exists()
    assert (tmp_path / "none" / "03_generation" / "rejected.jsonl").exists()
