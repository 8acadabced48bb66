"""Promises of what a notebook shows, with and without somebody to click."""

import ipywidgets
import pytest

from magicoder_kit import snippets, widgets

ROWS = [{"lang": "python", "seed": "a < b & c\n"}, {"lang": "rust", "seed": "fn main() {}\n"}]


@pytest.fixture
def headless(monkeypatch):
    monkeypatch.setenv(widgets.HEADLESS, "1")


@pytest.fixture
def interactive(monkeypatch):
    monkeypatch.delenv(widgets.HEADLESS, raising=False)


def test_the_source_shown_is_the_functions_own():
    shown = widgets.source(snippets.draw).data
    assert "magicoder_kit.snippets.draw" in shown
    assert "splitlines" in shown
    assert shown.startswith("<details>")


@pytest.mark.usefixtures("headless")
def test_headless_every_widget_is_its_first_page():
    assert "1 of 2" in widgets.browse(ROWS, ["lang", "seed"]).data
    assert "a &lt; b &amp; c" in widgets.browse(ROWS, ["seed"]).data
    asked = []
    assert "python" in widgets.prompt_lab(ROWS, ["paper"], lambda *question: asked.append(question)).data
    assert asked == []


@pytest.mark.usefixtures("interactive")
def test_the_browser_pages_with_its_slider():
    slider, page = widgets.browse(ROWS, ["seed"]).children
    assert isinstance(slider, ipywidgets.IntSlider)
    slider.value = 2
    assert "fn main() {}" in page.value


@pytest.mark.usefixtures("interactive")
def test_the_prompt_lab_asks_for_what_is_chosen():
    asked = []

    def ask(variant, snippet):
        asked.append((variant, snippet["lang"]))
        return {"response": "[Problem Description] <none>"}

    controls, page = widgets.prompt_lab(ROWS, ["paper", "one_shot"], ask).children
    variant, number, button = controls.children
    variant.value, number.value = "one_shot", 2
    button.click()
    assert asked == [("one_shot", "rust")]
    assert "&lt;none&gt;" in page.value


def test_no_rows_are_said_and_not_an_error():
    assert "no rejected" in widgets.browse([], ["lang"], title="rejected").data


def test_tokens_the_loss_counts_are_marked():
    shown = widgets.trained_tokens([("ask ", False), ("<answer>", True)]).data
    assert "1 of 2 tokens" in shown
    assert "&lt;answer&gt;</span>" in shown
