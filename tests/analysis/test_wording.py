import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magicoder_kit.analysis import figures, wording


def rows(*problems, seeds=()):
    return [
        {"problem": problem, "solution": "", **({"seed": seeds[place]} if seeds else {})}
        for place, problem in enumerate(problems)
    ]


def test_seeds_that_occur_more_than_once_are_counted_and_shown():
    seeds = ["x = 1\n", "x=1", "y", "z", "z", "z", "", None]
    sets = {"ours": rows(*"abcdefgh", seeds=seeds), "none": rows("a")}
    ours, none = wording.duplicate_seeds(sets).to_dict("records")
    assert ours == {"data set": "ours", "n": 6, "seeds": 3, "repeated": 2, "rows": 5, "share": pytest.approx(5 / 6)}
    assert none["n"] == 0
    assert none["share"] != none["share"]
    common = wording.common_seeds(sets)
    assert list(zip(common["seed"], common["rows"], strict=True)) == [("z", 3), ("x = 1\n", 2)]
    assert len(wording.common_seeds(sets, most=1)) == 1


def test_an_opening_is_counted_in_every_set_whatever_its_case_and_marks():
    sets = {
        "ours": rows("**Write** a function that", "write a\nFUNCTION", "You don't know", ""),
        "theirs": rows("Write a class", "Write a class!", "Write a function"),
    }
    frame = wording.openings(sets, words=3, most=1)
    assert frame.to_dict("records") == [
        {"data set": "ours", "opening": "write a function", "rows": 2, "n": 4, "share": 0.5},
        {"data set": "ours", "opening": "write a class", "rows": 0, "n": 4, "share": 0.0},
        {"data set": "theirs", "opening": "write a class", "rows": 2, "n": 3, "share": pytest.approx(2 / 3)},
        {"data set": "theirs", "opening": "write a function", "rows": 1, "n": 3, "share": pytest.approx(1 / 3)},
    ]
    assert set(wording.openings(sets, most=9)["opening"]) >= {"you don't know", "(no word)"}


def test_variety_says_how_few_openings_begin_half_of_a_set():
    sets = {"same": rows(*["Write a function"] * 9, "Else"), "each": rows(*"abcdefghij"), "empty": []}
    table = wording.variety(sets, most=2).set_index("data set")
    assert table.loc["same", ["n", "openings", "top", "half"]].tolist() == [10, 2, 1.0, 1]
    assert table.loc["each", ["n", "openings", "top", "half"]].tolist() == [10, 10, 0.2, 5]
    assert table.loc["empty", ["n", "openings", "half"]].tolist() == [0, 0, 0]


@given(st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=40).map(" ".join), max_size=30))
def test_every_point_of_the_curve_is_the_count_it_says(problems):
    frame = wording.vocabulary({"ours": rows(*problems)})
    words = " ".join(problems).split()
    if not words:
        assert frame.empty
        return
    end = frame.iloc[-1]
    assert (end["words"], end["distinct"], end["n"]) == (len(words), len(set(words)), len(problems))
    assert frame["words"].is_monotonic_increasing
    assert frame["words"].is_unique
    assert frame["distinct"].is_monotonic_increasing
    # One more word read is at most one more distinct word.
    assert (frame["distinct"].diff().dropna() <= frame["words"].diff().dropna()).all()


def test_a_row_that_passes_several_marks_is_cut_at_each():
    frame = wording.vocabulary({"ours": rows(" ".join(f"w{number}" for number in range(1_000)))})
    assert (frame["words"] == frame["distinct"]).all()
    assert {10, 100, 1_000} <= set(frame["words"])


def test_a_set_sorted_by_its_words_grows_as_a_mixed_one():
    halves = rows(*["alpha beta"] * 500, *(f"w{number} v{number}" for number in range(500)))
    frame = wording.vocabulary({"sorted": halves}).set_index("words")["distinct"]
    assert 300 < frame[1_000] < 700  # read in the file's order it would be 2


def test_sets_are_counted_at_the_same_points_and_in_the_columns_asked_for():
    sets = {"long": rows(*["a b c"] * 90), "short": rows(*["a b"] * 20)}
    frame = wording.vocabulary(sets)
    points = {name: set(curve["words"]) for name, curve in frame.groupby("data set")}
    assert points["short"] - {40} <= points["long"]
    both = [{"problem": "one two", "solution": "three"}]
    frame = wording.vocabulary({"ours": both}, columns=("problem", "solution"))
    assert frame["distinct"].tolist() == [3]
    assert frame.attrs["columns"] == ["problem", "solution"]


@pytest.mark.parametrize("sets", [{}, {"empty": []}, {"ours": rows("Write a $function$", "x")}])
def test_the_figures_stand_for_any_number_of_sets(sets):
    for figure in (figures.openings(wording.openings(sets)), figures.vocabulary(wording.vocabulary(sets))):
        for suffix in ("png", "svg"):
            file = io.BytesIO()
            figure.savefig(file, format=suffix)
            assert file.tell() > 1_000


def test_the_openings_figure_gives_each_set_its_turn():
    sets = {"one": rows(*["same old words"] * 50), "many": rows(*(f"w{number} a b" for number in range(50)))}
    drawn = [label.get_text() for label in figures.openings(wording.openings(sets), most=2).axes[0].get_yticklabels()]
    assert drawn == ["same old words", "w0 a b"]
