"""The teacher is asked in the paper's words, and its answer is read by the reference's rule."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from magicoder_kit import paper, prompts
from magicoder_kit.errors import ParameterError

HARMFUL = ["{code}", "{0} {x!r} {{}}", "```\nx\n```", "\\n \\1 \\g<0> $x ${y} %s", "{", "", "\u2028\r\n\x00"]

PARTS = st.sampled_from(
    [
        "[Problem Description]",
        "[problem description]",
        "## [SOLUTION]:",
        "[Solution]",
        "x",
        " ",
        "\n",
        "\r\n",
        "\x0b",
        "\u2028",
        "İ",
    ]
)
RESPONSES = st.lists(PARTS, max_size=12).map("".join)


@pytest.fixture
def variants(monkeypatch):
    monkeypatch.setattr(prompts, "VARIANTS", dict(prompts.VARIANTS))


def straight(text):
    """The rule of paper.md in one loop: (problem, solution) with either possibly empty, or None."""
    lines, problem_line, solution_line = text.splitlines(keepends=True), -1, -1
    for number, line in enumerate(lines):
        if "[problem description]" in line.lower() and problem_line < 0:
            problem_line = number
        if "[solution]" in line.lower() and solution_line < 0:
            solution_line = number
    if problem_line < 0 or solution_line < 0 or not problem_line < solution_line:
        return None
    return "".join(lines[problem_line + 1 : solution_line]).strip(), "".join(lines[solution_line + 1 :]).strip()


def test_the_papers_prompt_is_asked_in_its_exact_words():
    system, user = prompts.build("paper", "x = 1\n")
    assert system == {
        "role": "system",
        "content": "You are exceptionally skilled at crafting high-quality programming problems and offering "
        "precise solutions.",
    }
    assert user["role"] == "user"
    lines = user["content"].split("\n")
    assert len(lines) == 13
    assert lines[0] == (
        "Please gain inspiration from the following random code snippet to create a high-quality programming problem. "
        "Present your output in two distinct sections: [Problem Description] and [Solution]."
    )
    assert lines[1:9] == [
        "",
        "Code snippet for inspiration:",
        "```",
        "x = 1",
        "",
        "```",
        "",
        "Guidelines for each section:",
    ]
    assert lines[10].startswith("1. [Problem Description]: This should be **completely self-contained**, providing all")
    assert lines[10].endswith("pertinent to this problem are explicitly included.")
    assert lines[12] == (
        "2. [Solution]: Offer a comprehensive, **correct** solution that accurately addresses the "
        "[Problem Description] you provided."
    )


def test_not_a_letter_of_the_method_s_constants_changes_unnoticed():
    quoted = (paper.SYSTEM_PROMPT, paper.USER_PROMPT, paper.TRAINING_TEMPLATE, paper.INSTRUCTION)
    digest = hashlib.sha256("\0".join(quoted).encode()).hexdigest()
    assert digest == "6d773fb3dd697095f20a5dedbe71cdcbae854490e7b5f43ae24d88b43a5ca936"


@pytest.mark.parametrize("variant", ["paper", "one_shot"])
@pytest.mark.parametrize("snippet", HARMFUL)
def test_a_snippet_passes_unharmed_whatever_it_holds(variant, snippet):
    before, after = paper.USER_PROMPT.split("{code}")
    last = prompts.build(variant, snippet)[-1]
    assert last == {"role": "user", "content": before + snippet + after}


@given(snippet=st.text())
def test_any_snippet_stands_once_in_the_last_message_and_nowhere_else(snippet):
    for variant in ("paper", "one_shot"):
        blank, built = prompts.build(variant, ""), prompts.build(variant, snippet)
        assert built[:-1] == blank[:-1]
        assert len(built[-1]["content"]) == len(blank[-1]["content"]) + len(snippet)


def test_the_worked_example_is_an_earlier_turn_that_parses_and_is_right():
    messages = prompts.build("one_shot", "y = 2\n")
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1]["content"].replace(prompts._EXAMPLE_SNIPPET, "y = 2\n") == messages[3]["content"]
    problem, solution = prompts.parse_response(messages[2]["content"])
    namespace = {}
    exec(solution.split("```python\n")[1].split("```")[0], namespace)
    assert namespace["balances"](["rent,-40", "sales,90", "rent,40"]) == {"sales": 90}
    assert '`{"sales": 90}`' in problem


def test_what_a_caller_does_to_messages_does_not_change_the_variant():
    prompts.build("paper", "a")[0]["content"] = "changed"
    assert prompts.build("paper", "a")[0]["content"] == paper.SYSTEM_PROMPT


def test_a_variant_of_ones_own_can_be_registered(variants):
    mine = [{"role": "user", "content": "Invent: {code}"}]
    prompts.register("mine", mine)
    mine[0]["content"] = "changed"
    assert prompts.build("mine", "{x}") == [{"role": "user", "content": "Invent: {x}"}]


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": "no place"}]])
def test_a_variant_without_a_place_for_the_snippet_is_refused(variants, messages):
    with pytest.raises(ParameterError, match=r"'bad'.*must hold \{code\}"):
        prompts.register("bad", messages)


def test_an_unknown_variant_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match="'papr'; there are paper, one_shot"):
        prompts.build("papr", "")


@given(text=RESPONSES | st.text())
@example(text="[Problem Description] [Solution]\nx")
@example(text="[Solution]\n[Problem Description]\nx\n[Solution]\ny")
@example(text="[Problem Description]\np\n[Problem Description]\nq\n[Solution]\ns\n[Solution]\nt")
def test_a_response_is_split_as_the_straight_rule_splits_it(text):
    expected = straight(text)
    assert prompts.parse_response(text) == (expected if expected and all(expected) else None)


@given(text=RESPONSES | st.text())
def test_the_reason_is_empty_exactly_where_the_response_parses(text):
    reason = prompts.why_unparsed(text)
    assert (reason == "") == (prompts.parse_response(text) is not None)
    if straight(text) is None:
        both = "[problem description]" in text.lower() and "[solution]" in text.lower()
        assert reason == ("headers_out_of_order" if both else "no_headers")
    else:
        problem, solution = straight(text)
        assert reason == ("empty_problem" if not problem else "empty_solution" if not solution else "")


@given(problem=st.text("abc \n`", min_size=1), solution=st.text("abc \n`", min_size=1))
def test_a_well_formed_answer_comes_back_stripped(problem, solution):
    text = f"Sure!\n**[Problem Description]**\n{problem}\n**[Solution]**\n{solution}"
    stripped = problem.strip(), solution.strip()
    assert prompts.parse_response(text) == (stripped if all(stripped) else None)
