"""Promises of the embedded teacher, with the real model in a real process."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import openai
import pytest

from magicoder_kit import embedded, local_server


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_server.reach("embedded", log=tmp_path_factory.mktemp("teacher") / "teacher.log") as endpoint:
        yield endpoint


def complete(endpoint, text, **settings):
    client = openai.OpenAI(base_url=endpoint.base_urls[0], api_key="none")
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=endpoint.model, messages=messages, **{"temperature": 0, **settings})


@pytest.mark.slow
def test_its_answer_is_the_models_own_greedy_one(endpoint):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    said = complete(endpoint, "Write a Python function that reverses a string.", max_tokens=24)
    tokenizer = AutoTokenizer.from_pretrained(embedded.student())
    model = AutoModelForCausalLM.from_pretrained(embedded.student(), dtype=local_server.devices.detect().dtype)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Write a Python function that reverses a string."}],
        add_generation_prompt=True,
        tokenize=False,
    )
    ids = tokenizer(chat, return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        made = model.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids.input_ids.shape[1] :]
    assert said.choices[0].message.content == tokenizer.decode(made, skip_special_tokens=True)
    assert said.usage.prompt_tokens == ids.input_ids.shape[1]


@pytest.mark.slow
def test_requests_answered_together_get_the_answers_they_get_alone(endpoint):
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"Say the number {word} and nothing else." for word in ("one", "seventeen", "four hundred and two")]
    alone = [complete(endpoint, text, max_tokens=8).choices[0].message.content for text in texts]
    with ThreadPoolExecutor(3) as pool:
        together = [
            r.choices[0].message.content for r in pool.map(lambda t: complete(endpoint, t, max_tokens=8), texts)
        ]
    # Batched arithmetic may turn a near tie; most answers must be the same text.
    assert sum(a == b for a, b in zip(alone, together, strict=True)) >= 2


def test_the_token_limit_is_kept_and_told(endpoint):
    said = complete(endpoint, "Count from one to one thousand in words.", max_tokens=5)
    assert said.choices[0].finish_reason == "length"
    assert said.usage.completion_tokens == 5


def test_another_models_name_is_refused(endpoint):
    with pytest.raises(openai.NotFoundError, match="smollm2"):
        openai.OpenAI(base_url=endpoint.base_urls[0], api_key="none").chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "hi"}]
        )


def test_it_does_not_outlive_a_killed_kernel(tmp_path):
    code = f"""
        from pathlib import Path
        from magicoder_kit import local_server
        endpoint = local_server.reach("embedded", log=Path({str(tmp_path / "teacher.log")!r}))
        print(endpoint._process.pid, flush=True)
        input()
    """
    kernel = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server = _last_number(kernel)
    os.kill(server, 0)
    kernel.send_signal(signal.SIGKILL)
    kernel.wait()
    deadline = time.monotonic() + 10
    while _runs(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(server)


def _last_number(process):
    for line in process.stdout:
        if line.strip().isdigit():
            return int(line)
    raise AssertionError("the server did not start")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
