"""The same survivors, the same order and the same reasons as the reference's rule read straight."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from magicoder_kit import cleaning, records

FIELD = st.text("ab \n\t\u3000", max_size=4)


@st.composite
def examples(draw):
    fields = draw(st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=12))
    return [example(index, *three) for index, three in enumerate(fields)]


def example(index, seed, problem, solution, lang="python"):
    return {
        "lang": lang,
        "raw_index": 10 * index,
        "index": index,
        "seed": seed,
        "openai_fingerprint": "fp",
        "problem": problem,
        "solution": solution,
    }


def straight(rows, seed):
    """The rule of paper.md, with the global random module, three sets and no memory of dropped rows."""
    rows = [dict(row) for row in rows]
    random.seed(seed)
    random.shuffle(rows)
    seeds, problems, solutions, kept, reasons = set(), set(), set(), [], []
    for row in rows:
        a, b, c = ("".join(row[name].split()) for name in ("seed", "problem", "solution"))
        if a in seeds:
            reasons.append((row["index"], "duplicate_seed"))
        elif b in problems:
            reasons.append((row["index"], "duplicate_problem"))
        elif c in solutions:
            reasons.append((row["index"], "duplicate_solution"))
        else:
            kept.append(row)
            seeds.add(a)
            problems.add(b)
            solutions.add(c)
    return kept, reasons


@given(rows=examples(), seed=st.sampled_from([666, 0, 1]))
def test_survivors_order_and_reasons_are_those_of_the_straight_rule(rows, seed):
    kept, rejected = cleaning.deduplicate(rows, seed=seed)
    expected, reasons = straight(rows, seed)
    assert kept == expected
    assert [(row["index"], row["reason"]) for row in rejected] == reasons


@given(rows=examples())
def test_every_row_is_kept_or_rejected_and_none_is_changed(rows):
    before = [dict(row) for row in rows]
    kept, rejected = cleaning.deduplicate(rows)
    assert rows == before
    bare = [{column: row[column] for column in records.EXAMPLE_COLUMNS} for row in rejected]
    assert sorted(row["index"] for row in kept + bare) == [row["index"] for row in rows]
    assert all(row in before for row in kept + bare)
    assert all(set(row) == {*records.EXAMPLE_COLUMNS, "reason", "detail"} for row in rejected)


@given(rows=examples())
def test_the_detail_names_a_kept_row_that_has_the_same(rows):
    kept, rejected = cleaning.deduplicate(rows)
    named = {f"{row['lang']} row {row['index']}": row for row in kept}
    for row in rejected:
        column = row["reason"].removeprefix("duplicate_")
        repeats = named[row["detail"].removeprefix(f"the {column} of ")]
        assert "".join(repeats[column].split()) == "".join(row[column].split())


@given(rows=examples())
def test_cleaning_twice_drops_nothing_more(rows):
    kept, _ = cleaning.deduplicate(rows)
    again, rejected = cleaning.deduplicate(kept)
    assert rejected == []
    assert sorted(row["index"] for row in again) == sorted(row["index"] for row in kept)


def test_the_default_order_is_that_of_the_papers_seed():
    rows = [example(index, f"s{index}", f"p{index}", f"t{index}") for index in range(20)]
    order = list(range(20))
    random.seed(666)
    random.shuffle(order)
    kept, rejected = cleaning.deduplicate(rows)
    assert [row["index"] for row in kept] == order
    assert rejected == []


def test_what_a_rejected_row_alone_had_may_come_again():
    rows = [example(0, "a", "p", "s"), example(1, "a", "q", "t"), example(2, "b", "q", "u")]
    seed = next(seed for seed in range(100) if shuffled_order(3, seed) == [0, 1, 2])
    kept, rejected = cleaning.deduplicate(rows, seed=seed)
    assert [row["index"] for row in kept] == [0, 2]
    assert [(row["reason"], row["detail"]) for row in rejected] == [("duplicate_seed", "the seed of python row 0")]


def test_white_space_of_any_kind_does_not_tell_rows_apart_and_letter_case_does():
    rows = [
        example(0, "if x:\n\treturn", "p0", "s0", lang="swift"),
        example(1, "if x: return\u2003\x0b", "p1", "s1"),
        example(2, "IF x: return", "p2", "s2"),
    ]
    kept, rejected = cleaning.deduplicate(rows)
    assert Counter(row["reason"] for row in rejected) == {"duplicate_seed": 1}
    assert {row["index"] for row in rejected} < {0, 1}
    assert len(kept) == 2


def shuffled_order(count, seed):
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order
