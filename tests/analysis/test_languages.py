import pytest
from hypothesis import given
from hypothesis import strategies as st

from magicoder_kit import paper
from magicoder_kit.analysis import languages


def row(lang="python", problem="", solution=""):
    return {"lang": lang, "seed": "", "problem": problem, "solution": solution}


def test_shares_are_of_the_data_set_they_stand_beside():
    datasets = {"ours": [row("python"), row("rust"), row("python")], "theirs": [row("php")]}
    frame = languages.distribution(datasets)
    assert frame.to_dict("records") == [
        {"data set": "ours", "language": "python", "rows": 2, "n": 3, "share": pytest.approx(2 / 3)},
        {"data set": "ours", "language": "rust", "rows": 1, "n": 3, "share": pytest.approx(1 / 3)},
        {"data set": "theirs", "language": "php", "rows": 1, "n": 1, "share": 1.0},
    ]


def test_a_set_without_a_lang_column_is_counted_as_not_given():
    frame = languages.distribution({"evol": [{"problem": "p", "solution": "s"}]})
    assert list(frame["language"]) == ["not given"]


def test_a_data_set_without_rows_has_no_languages_and_breaks_nothing():
    assert languages.distribution({"empty": []}).empty
    assert languages.fences({"empty": []}).empty
    assert languages.python_share({"empty": []})["share"].isna().all()


@pytest.mark.parametrize(
    ("label", "language"),
    [
        *((name, name) for name in paper.LANGUAGES),
        ("py", "python"),
        ("Python3", "python"),
        ("c++", "cpp"),
        ("C#", "csharp"),
        ("cs", "csharp"),
        ("js", "javascript"),
        ("ts", "typescript"),
        ("sh", "shell"),
        ("bash", "shell"),
        (" rust ", "rust"),
        ("python title=main.py", "python"),
        ("python:main.py", "python"),
        ("{.python .numberLines}", "python"),
        ("", "unlabelled"),
        ("haskell", "haskell"),
    ],
)
def test_a_fence_label_is_folded_to_the_name_the_released_data_uses(label, language):
    assert languages.block_languages(f"Text\n```{label}\ncode\n```\nmore") == [language]


@given(
    st.lists(st.tuples(st.sampled_from(["python", "rust", ""]), st.lists(st.sampled_from(["x = 1", "", "  `y`"])))),
    st.sampled_from(["```", "````", "~~~"]),
    st.sampled_from(["", "    "]),
)
def test_every_closed_block_is_found_once_and_in_order(blocks, fence, indent):
    text = "Intro with ```inline``` code\n"
    for label, lines in blocks:
        text += "\n".join([indent + fence + label, *(indent + line for line in lines), indent + fence, "between", ""])
    assert languages.block_languages(text) == [label or "unlabelled" for label, _ in blocks]


def test_a_longer_fence_keeps_the_blocks_within_it_to_itself():
    assert languages.block_languages("````markdown\n```python\nx\n```\n````") == ["markdown"]


def test_an_answer_cut_short_counts_its_last_block_and_a_stray_fence_does_not():
    assert languages.block_languages("```java\nint x = 1;") == ["java"]
    assert languages.block_languages("```java\nint x;\n```\n```\n") == ["java"]


def test_a_row_counts_once_for_each_language_of_its_blocks():
    solution = "```python\na\n```\n```python\nb\n```\n```sh\nc\n```"
    frame = languages.fences({"ours": [row(solution=solution), row(solution="prose")]}).set_index("language")
    assert frame["rows"].to_dict() == {"no block": 1, "python": 1, "shell": 1}
    assert set(frame["share"]) == {0.5}


def test_the_papers_rule_looks_for_one_mark_in_problem_or_solution():
    rows = [
        row(solution="```python\nx\n```"),
        row(problem="Given\n```python\nx\n```", solution="```rust\ny\n```"),
        row(solution="```py\nx\n```"),
        row(solution="python"),
    ]
    share = languages.python_share({"ours": rows}).iloc[0]
    assert (share["rows"], share["n"], share["share"]) == (2, 4, 0.5)


def test_the_papers_split_parts_every_row_into_one_of_three():
    rows = [
        row(solution="```python\nx\n```\n```rust\ny\n```"),
        row(problem="```python\nx\n```", solution="prose"),
        row(problem="```sql\nx\n```", solution="prose"),
        row(solution="```\nx\n```"),
        row(solution="x = 1"),
    ]
    frame = languages.split({"ours": rows, "bare": rows[-1:]})
    counted = frame.set_index(["data set", "language"])["rows"].to_dict()
    assert counted == {
        ("ours", "python"): 2,
        ("ours", "other languages"): 2,
        ("ours", "no block"): 1,
        ("bare", "no block"): 1,
    }
    assert frame.groupby("data set")["share"].sum().tolist() == pytest.approx([1.0, 1.0])
    python = languages.python_share({"ours": rows}).iloc[0]
    assert python["rows"] == counted["ours", "python"]


def test_seeds_and_solutions_stand_side_by_side_and_a_set_without_seeds_has_no_column_of_them():
    sets = {
        "ours": [row("shell", solution="```python\nx\n```"), row("python", solution="```py\nx\n```")],
        "theirs": [{"problem": "p", "solution": "```rust\nx\n```"}],
    }
    table = languages.side_by_side(sets)
    assert list(table.columns) == [("ours", "seeds"), ("ours", "solutions"), ("theirs", "solutions")]
    assert table.loc["python"].tolist() == [0.5, 1.0, 0.0]
    assert table.loc["rust"].tolist() == [0.0, 0.0, 1.0]
    assert set(table.index) == {"python", "shell", "rust"}
    assert languages.side_by_side({"empty": []}).empty
