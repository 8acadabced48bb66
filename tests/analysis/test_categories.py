import math

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from magicoder_kit import embedded, paper
from magicoder_kit.analysis import categories
from magicoder_kit.errors import ModelError

SOLUTIONS = {
    "Database and SQL Problems": "SELECT name, COUNT(*) FROM customers JOIN orders USING (customer_id) GROUP BY name;",
    "Security and Cryptography Problems": "Encrypt the password, verify its cryptographic hash with the private key.",
    "Data Science and Machine Learning Problems": "Train a machine learning classifier with scikit-learn on the data.",
}


def rows(solutions):
    return [{"problem": "", "solution": solution} for solution in solutions]


def test_a_solution_gets_the_category_nearest_by_cosine():
    model = SentenceTransformer(str(embedded.encoder()), device="cpu")
    solutions, names = model.encode(list(SOLUTIONS.values())), model.encode(list(paper.CATEGORIES))
    cosines = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in names] for a in solutions]
    frame = categories.categorize({"ours": rows(SOLUTIONS.values())})
    assert frame["category"].tolist() == [paper.CATEGORIES[int(np.argmax(of_one))] for of_one in cosines]
    np.testing.assert_allclose(frame["similarity"], np.max(cosines, axis=1), atol=1e-3)


def test_plain_cases_land_where_a_reader_would_put_them():
    assert categories.categorize({"ours": rows(SOLUTIONS.values())})["category"].tolist() == list(SOLUTIONS)


def test_neither_batches_nor_neighbours_change_a_row():
    solutions = list(SOLUTIONS.values())
    apart = categories.categorize({"a": rows(solutions[:1]), "none": [], "b": rows(solutions[1:])}, batch_size=1)
    together = categories.categorize({"a": rows(solutions)})
    assert apart["category"].tolist() == together["category"].tolist()
    np.testing.assert_allclose(apart["similarity"], together["similarity"], atol=1e-3)
    assert list(zip(apart["data set"], apart["index"], strict=True)) == [("a", 0), ("b", 0), ("b", 1)]


def test_any_text_a_row_can_hold_gets_a_category():
    frame = categories.categorize({"ours": rows(["", "\ud800 lone surrogate", "x " * 5_000])})
    assert frame["category"].isin(paper.CATEGORIES).all()


def test_no_rows_give_an_empty_frame_and_no_shares():
    frame = categories.categorize({"ours": []})
    assert frame.columns.tolist() == ["data set", "index", "category", "similarity"]
    assert categories.shares(frame).empty


def test_an_encoder_named_instructor_is_given_both_instructions_and_leaves_them_out_of_the_mean(tmp_path):
    folder = tmp_path / "instructor-of-ours"
    folder.symlink_to(embedded.encoder())
    frame = categories.categorize({"ours": rows(SOLUTIONS.values())}, encoder=str(folder))
    model = SentenceTransformer(str(folder), device="cpu")
    model.set_pooling_include_prompt(False)
    solutions = model.encode(list(SOLUTIONS.values()), prompt="Represent the code for retrieving")
    names = model.encode(list(paper.CATEGORIES), prompt="Represent the comment for retrieving the corresponding code")
    np.testing.assert_allclose(frame["similarity"], (solutions @ names.T).max(axis=1), atol=1e-3)
    plain = categories.categorize({"ours": rows(SOLUTIONS.values())})
    assert not np.allclose(frame["similarity"], plain["similarity"], atol=1e-2)
    assert frame.attrs["encoder"] == str(folder)


def test_an_encoder_that_cannot_be_loaded_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="cannot load the encoder") as refused:
        categories.categorize({"ours": rows(["x"])}, encoder=str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("count", "n"), [(0, 3), (3, 3), (1, 3), (57, 100)])
def test_shares_come_with_the_wilson_interval_of_every_category(count, n):
    chosen, other = paper.CATEGORIES[4], paper.CATEGORIES[0]
    frame = pd.DataFrame({"data set": "ours", "category": [chosen] * count + [other] * (n - count)})
    table = categories.shares(frame)
    assert table["category"].tolist() == list(paper.CATEGORIES)
    assert table["rows"].sum() == n
    row = table.iloc[4]
    z, share = 1.959963984540054, count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert (row["rows"], row["n"], row["share"]) == (count, n, share)
    assert (row["low"], row["high"]) == pytest.approx((max(centre - half, 0), min(centre + half, 1)), abs=1e-9)
