import contextlib
import math
import multiprocessing
import os
import sqlite3

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from magicoder_kit import embedded, paper
from magicoder_kit.analysis import categories, clusters, embeddings
from magicoder_kit.errors import ModelError, ParameterError

SOLUTIONS = {
    "Database and SQL Problems": "SELECT name, COUNT(*) FROM customers JOIN orders USING (customer_id) GROUP BY name;",
    "Security and Cryptography Problems": "Encrypt the password, verify its cryptographic hash with the private key.",
    "Data Science and Machine Learning Problems": "Train a machine learning classifier with scikit-learn on the data.",
}


@pytest.fixture
def fresh(tmp_path):
    """Return a cache folder that nobody has written to."""
    return tmp_path / "cache"


def rows(solutions):
    return [{"problem": "", "solution": solution} for solution in solutions]


def test_a_solution_gets_the_category_nearest_by_cosine(fresh):
    model = SentenceTransformer(str(embedded.encoder()), device="cpu")
    solutions, names = model.encode(list(SOLUTIONS.values())), model.encode(list(paper.CATEGORIES))
    cosines = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in names] for a in solutions]
    frame = categories.categorize({"ours": rows(SOLUTIONS.values())}, cache=fresh)
    assert frame["category"].tolist() == [paper.CATEGORIES[int(np.argmax(of_one))] for of_one in cosines]
    np.testing.assert_allclose(frame["similarity"], np.max(cosines, axis=1), atol=1e-3)


def test_plain_cases_land_where_a_reader_would_put_them():
    assert categories.categorize({"ours": rows(SOLUTIONS.values())})["category"].tolist() == list(SOLUTIONS)


def test_neither_batches_nor_neighbours_change_a_row(tmp_path):
    solutions = list(SOLUTIONS.values())
    apart = categories.categorize(
        {"a": rows(solutions[:1]), "none": [], "b": rows(solutions[1:])}, batch_size=1, cache=tmp_path / "one"
    )
    together = categories.categorize({"a": rows(solutions)}, cache=tmp_path / "other")
    assert apart["category"].tolist() == together["category"].tolist()
    np.testing.assert_allclose(apart["similarity"], together["similarity"], atol=1e-3)
    assert list(zip(apart["data set"], apart["index"], strict=True)) == [("a", 0), ("b", 0), ("b", 1)]


def test_any_text_a_row_can_hold_gets_a_category(fresh):
    frame = categories.categorize({"ours": rows(["", "\ud800 lone surrogate", "x " * 5_000])}, cache=fresh)
    assert frame["category"].isin(paper.CATEGORIES).all()


def test_no_rows_give_an_empty_frame_and_no_shares():
    frame = categories.categorize({"ours": []})
    assert frame.columns.tolist() == ["data set", "index", "category", "similarity"]
    assert categories.shares(frame).empty


def test_an_encoder_named_instructor_is_given_both_instructions_and_leaves_them_out_of_the_mean(tmp_path, fresh):
    folder = tmp_path / "instructor-of-ours"
    folder.symlink_to(embedded.encoder())
    frame = categories.categorize({"ours": rows(SOLUTIONS.values())}, encoder=str(folder), cache=fresh)
    model = SentenceTransformer(str(folder), device="cpu")
    model.set_pooling_include_prompt(False)
    solutions = model.encode(list(SOLUTIONS.values()), prompt="Represent the code for retrieving")
    names = model.encode(list(paper.CATEGORIES), prompt="Represent the comment for retrieving the corresponding code")
    np.testing.assert_allclose(frame["similarity"], (solutions @ names.T).max(axis=1), atol=1e-3)
    plain = categories.categorize({"ours": rows(SOLUTIONS.values())}, cache=fresh)
    assert not np.allclose(frame["similarity"], plain["similarity"], atol=1e-2)
    assert frame.attrs["encoder"] == str(folder)


@pytest.mark.parametrize("encoder", ["", "no-owner/no-such-instructor"])
def test_an_encoder_that_cannot_be_loaded_is_one_line(tmp_path, fresh, encoder):
    with pytest.raises(ModelError, match="cannot load the encoder") as refused:
        categories.categorize({"ours": rows(["x"])}, encoder=encoder or str(tmp_path), cache=fresh)
    assert "\n" not in str(refused.value)


def test_a_text_embedded_before_needs_no_model_again(tmp_path, fresh):
    folder = tmp_path / "instructor-of-ours"
    folder.mkdir()
    for file in embedded.encoder().iterdir():
        (folder / file.name).symlink_to(file)
    first = embeddings.embed(["SELECT 1", "def f(): pass"], encoder=str(folder), cache=fresh)
    weights = folder / "model.safetensors"
    stat = weights.stat()
    weights.unlink()
    with pytest.raises(ModelError):
        embeddings.embed(["SELECT 1"], encoder=str(folder), cache=fresh)
    # A file of the same size and time holds the place of the weights: the vectors are known without reading it.
    with weights.open("wb") as file:
        file.truncate(stat.st_size)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = embeddings.embed([" def f(): pass\n", "SELECT 1"], encoder=str(folder), cache=fresh)
    assert (again == first[::-1]).all()
    with pytest.raises(ModelError):
        embeddings.embed(["a new text"], encoder=str(folder), cache=fresh)


def test_encoder_and_instruction_part_the_vectors_of_one_text(tmp_path, fresh):
    folder = tmp_path / "instructor-of-ours"
    folder.symlink_to(embedded.encoder())
    vectors = [
        embeddings.embed(["SELECT 1"], cache=fresh),
        embeddings.embed(["SELECT 1"], instruction="Represent the code", cache=fresh),
        embeddings.embed(["SELECT 1"], instruction="Represent the code", encoder=str(folder), cache=fresh),
    ]
    assert len({vector.tobytes() for vector in vectors}) == 3


def embed_in_a_process(texts, cache, vectors):
    vectors.put(embeddings.embed(texts, cache=cache))


@pytest.mark.slow
def test_two_processes_share_a_cache(fresh):
    texts = [f"def function_{number}(x):\n    return x + {number}" for number in range(600)]
    spawned = multiprocessing.get_context("spawn")
    vectors = spawned.Queue()
    both = [spawned.Process(target=embed_in_a_process, args=(texts[start:], fresh, vectors)) for start in (0, 300)]
    for process in both:
        process.start()
    found = sorted((vectors.get(timeout=240) for _ in both), key=len)
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    np.testing.assert_allclose(found[1][300:], found[0], atol=1e-5)
    with contextlib.closing(sqlite3.connect(fresh / embeddings.FILE)) as kept:
        assert kept.execute("SELECT COUNT(*) FROM vectors").fetchone() == (600,)
    np.testing.assert_allclose(np.linalg.norm(found[1], axis=1), 1, atol=1e-5)


def test_a_file_that_is_no_cache_is_one_line_with_the_way_out(fresh):
    fresh.mkdir()
    (fresh / embeddings.FILE).write_text("not a database" * 100)
    with pytest.raises(ModelError, match="delete that file") as refused:
        embeddings.embed(["x"], cache=fresh)
    assert "\n" not in str(refused.value)


def test_the_encoder_agrees_with_a_reader_well_above_chance():
    labelled = categories.labelled_rows()
    assert len(labelled) == 60
    assert {row["category"] for row in labelled} == set(paper.CATEGORIES)
    measured = categories.agreement(labelled)
    assert (measured["encoder"], measured["n"]) == ("embedded", 60)
    # One in ten would agree by chance.
    assert measured["low"] > 0.2
    placed = categories.categorize({"labelled": labelled})["category"]
    assert measured["agreed"] == sum(placed == [row["category"] for row in labelled])
    assert measured["low"] < measured["share"] == measured["agreed"] / 60 < measured["high"]


@pytest.mark.parametrize(
    ("labelled", "told"), [([], "at least one"), ([{"category": "Web"}], "unknown category 'Web'")]
)
def test_rows_that_cannot_be_compared_are_one_line(labelled, told):
    with pytest.raises(ParameterError, match=told):
        categories.agreement(labelled)


@pytest.mark.parametrize("projection", clusters.PROJECTIONS)
def test_clusters_part_what_is_plainly_different(projection):
    queries = [f"SELECT name FROM customers WHERE id = {number};" for number in range(6)]
    sorts = [f"def sort_{number}(values):\n    return sorted(values)" for number in range(4)]
    datasets = {
        "a": [{"problem": f"## C# and a **Query**\n```sql\n{text}", "solution": text} for text in queries],
        "b": [{"problem": "Sort. " * 50, "solution": text} for text in sorts],
    }
    frame = clusters.clusters(datasets, n_clusters=2, projection=projection)
    assert frame["cluster"].tolist() == [1] * 6 + [2] * 4
    assert list(zip(frame["data set"], frame["index"], strict=True)) == [
        *(("a", index) for index in range(6)),
        *(("b", index) for index in range(4)),
    ]
    assert np.isfinite(frame[["x", "y", "distance"]].to_numpy()).all()
    again = clusters.clusters(datasets, n_clusters=2, projection=projection)
    assert frame.equals(again)
    table = clusters.typical(frame, datasets, width=40)
    assert table[["cluster", "rows", "share", "data set"]].to_numpy().tolist() == [[1, 6, 0.6, "a"], [2, 4, 0.4, "b"]]
    assert table["opening"][0].startswith("C# and a Query sql SELECT")
    assert len(table["opening"][1]) <= 40
    nearest = frame[frame["cluster"] == 1].sort_values("distance", kind="stable").iloc[0]
    assert (table["index"][0], table["distance"][0]) == (nearest["index"], nearest["distance"])


@pytest.mark.parametrize("projection", clusters.PROJECTIONS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_set_of_very_few_rows_has_clusters_too(projection, n):
    frame = clusters.clusters({"a": rows(list(SOLUTIONS.values())[:n])}, n_clusters=1, projection=projection)
    assert frame["cluster"].tolist() == [1] * n
    assert np.isfinite(frame[["x", "y"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("wrong", "told"), [({"n_clusters": 4}, "between 1 and the 3"), ({"projection": "umap"}, "use pca or tsne")]
)
def test_a_wrong_choice_of_clusters_is_one_line(wrong, told):
    with pytest.raises(ParameterError, match=told):
        clusters.clusters({"a": rows(SOLUTIONS.values())}, **wrong)


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
