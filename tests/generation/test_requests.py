"""A request is the paper's, and there may be any number of them."""

from magicoder_kit import generation, paper, prompts

SNIPPETS = [{"lang": "python", "raw_index": 7 * i, "index": i, "seed": f"x = {i}\n"} for i in range(5)]


def requests(snippets=SNIPPETS, **settings):
    return generation.Requests(snippets, **{"variant": "paper", "model": "test-teacher", **settings})


def test_the_token_limit_is_the_papers_rule():
    limits = {}
    for tokens in (100, 6_000, 8_182, 9_000):
        limits[tokens] = requests(SNIPPETS[:1], count_tokens=lambda text, n=tokens: n)[0]["max_tokens"]
    assert limits == {100: 2_500, 6_000: 8_192 - 6_000 - 10, 8_182: 0, 9_000: -818}


def test_the_system_prompt_is_no_part_of_the_rule_and_earlier_turns_are():
    texts = {}
    for variant in ("paper", "one_shot"):
        counted = []
        asked = requests(variant=variant, count_tokens=lambda text, seen=counted: seen.append(text) or 4 * len(text))
        texts[variant] = asked[0]["max_tokens"]
        users = [m["content"] for m in prompts.build(variant, SNIPPETS[0]["seed"]) if m["role"] != "system"]
        assert asked[0]["max_tokens"] == min(2_500, 8_192 - 4 * sum(map(len, users)) - 10)
    assert texts["one_shot"] < texts["paper"]


def test_the_seed_is_the_papers_plus_the_index_and_the_system_prompt_comes_first():
    asked = list(requests(variant="one_shot"))
    assert [one["seed"] for one in asked] == [paper.SEED + i for i in range(5)]
    heads = {tuple(message["content"] for message in one["messages"][:-1]) for one in asked}
    assert len(heads) == 1, "what a server's prefix cache keeps must be the same for every request"
    assert asked[0]["messages"][0] == {"role": "system", "content": paper.SYSTEM_PROMPT}


def test_what_stays_the_same_is_counted_once():
    counted = []
    asked = requests(variant="one_shot", count_tokens=lambda text: counted.append(text) or 1)
    list(asked)
    # Three messages stay the same; the last differs for each of the five snippets.
    assert len(counted) == 3 + 5


def test_the_id_tells_everything_apart_that_an_answer_depends_on():
    settings = [{}, {"temperature": 0.5}, {"max_new_tokens": 9}, {"seed": 1}, {"variant": "one_shot"}, {"model": "b"}]
    ids = [requests(count_tokens=len, **setting)[0]["request_id"] for setting in settings]
    assert len(set(ids)) == len(ids)
    assert ids == [requests(count_tokens=len, **setting)[0]["request_id"] for setting in settings]
