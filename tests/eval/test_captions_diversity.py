"""Diversity against counts made by hand, and by plain loops on real captions."""

import json
from pathlib import Path

import pytest

from eval.captions.diversity import diversity
from eval.errors import EvalError

TOKENS = ["a dog runs", "a dog runs", "a cat", "dog", ""]


def test_counts_by_hand() -> None:
    """Words: a dog runs, twice; a cat; dog: 9, of them different 4. Bigrams: 2 + 2 + 1 = 5, different 3."""
    found = diversity(TOKENS, training=["a cat", "a dog", "dog runs"])
    assert (found.captions, found.different, found.vocabulary, found.words) == (5, 4, 4, 9)
    assert found.mean_length == 9 / 5
    assert found.distinct1 == 4 / 9
    assert found.distinct2 == 3 / 5
    assert found.novel == 3, "the dog that runs, twice, and the dog alone; no words are nothing new"
    assert found.different_share == 4 / 5
    assert found.novel_share == 3 / 5


def test_bigrams_do_not_cross_captions() -> None:
    assert diversity(["a b", "b a"]).distinct2 == 1.0
    assert diversity(["a", "b"]).distinct2 == 0.0


def test_novel_is_asked_for() -> None:
    assert diversity(TOKENS).novel is None
    assert diversity(TOKENS).novel_share is None
    assert diversity(TOKENS, training=[]).novel == 4
    assert diversity(TOKENS, training=iter(TOKENS)).novel == 0


def test_no_words_at_all() -> None:
    found = diversity(["", ""], [])
    assert (found.distinct1, found.distinct2, found.vocabulary, found.mean_length, found.novel) == (0, 0, 0, 0, 0)
    assert found.different == 1


@pytest.mark.parametrize("tokens", [[], "a dog"])
def test_no_captions(tokens: list[str]) -> None:
    with pytest.raises(EvalError, match="at least one"):
        diversity(tokens)


def test_real_captions(real_data: Path) -> None:
    """Plain loops over 20,000 captions in Stanford's tokens."""
    tokens = [pair[1] for pair in json.loads((real_data / "metrics/captions/ptb_pairs.json").read_text())]
    generated, training = tokens[:2000], tokens[1500:]
    seen: dict[int, set[tuple[str, ...]]] = {1: set(), 2: set()}
    total = {1: 0, 2: 0}
    for caption in generated:
        words = caption.split(" ")
        for n in (1, 2):
            for at in range(len(words) - n + 1):
                seen[n].add(tuple(words[at : at + n]))
                total[n] += 1
    found = diversity(generated, training)
    assert found.distinct1 == len(seen[1]) / total[1]
    assert found.distinct2 == len(seen[2]) / total[2]
    assert found.vocabulary == len(seen[1])
    novel = [caption for caption in generated if training.count(caption) == 0]
    assert found.novel == len(novel) <= 1500
    assert found.novel > 1000
