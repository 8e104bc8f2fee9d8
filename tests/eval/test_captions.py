"""BLEU against the caption server's published numbers, its tokenizer's tokens and the formula written plainly."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from eval.captions import java
from eval.captions.bleu import bleu
from eval.captions.tokens import tokenize
from eval.errors import EvalError

REFERENCES = {
    1: ["A dog runs on the grass.", "The brown dog is running, fast!"],
    2: ["Two cats sleep on a sofa.", "A pair of cats on the couch"],
    3: ["A man rides a red motorcycle down a street", "A man on a motorcycle"],
}
CANDIDATES = {1: "a brown dog runs on grass", 2: "two cats on a couch", 3: "a man rides a red motorcycle down the road"}


def test_published_example(real_data: Path) -> None:
    folder = real_data / "metrics/captions"
    expected = json.loads((folder / "expected.json").read_text())
    candidates = {
        entry["image_id"]: entry["caption"]
        for entry in json.loads((folder / "captions_val2014_fakecap_results.json").read_text())
    }
    references: dict[int, list[str]] = {image: [] for image in candidates}
    for entry in json.loads((folder / "captions_val2014_fakecap1000.json").read_text())["annotations"]:
        references.setdefault(entry["image_id"], []).append(entry["caption"])
    score = bleu(candidates, references)
    assert score.bleu4 == expected["Bleu_4_full_digits"] == 0.1908290437674253
    rounded = [round(value, 3) for value in (score.bleu1, score.bleu2, score.bleu3, score.bleu4)]
    assert rounded == [expected[f"Bleu_{n}"] for n in (1, 2, 3, 4)]
    assert (score.candidate_length, score.reference_length) == (expected["guess"][0], expected["reflen"])


def test_published_tokens(real_data: Path) -> None:
    pairs = json.loads((real_data / "metrics/captions/ptb_pairs.json").read_text())
    texts, tokens = zip(*pairs, strict=True)
    assert tokenize(texts) == list(tokens)


def plain_bleu(candidates: dict[int, str], references: dict[int, list[str]], order: int) -> float:
    tokens = {k: candidates[k].split() for k in candidates}
    right, asked = [0] * order, [0] * order
    length = closest = 0
    for image, words in tokens.items():
        others = [other.split() for other in references[image]]
        length += len(words)
        closest += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(1, order + 1):
            grams = [Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1)) for s in [words, *others]]
            asked[n - 1] += sum(grams[0].values())
            right[n - 1] += sum(min(count, max(o[gram] for o in grams[1:])) for gram, count in grams[0].items())
    mean = math.prod(r / a for r, a in zip(right, asked, strict=True)) ** (1 / order)
    return mean * min(1.0, math.exp(1 - closest / length))


def test_against_the_formula() -> None:
    plain = {
        image: [text.strip(".!").replace(",", "").lower() for text in texts] for image, texts in REFERENCES.items()
    }
    score = bleu(CANDIDATES, REFERENCES)
    expected = [plain_bleu(CANDIDATES, plain, n) for n in (1, 2, 3, 4)]
    assert [score.bleu1, score.bleu2, score.bleu3, score.bleu4] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_line_separators_shift_nothing(separator: str) -> None:
    odd = {image: [text.replace(" ", separator, 1) for text in texts] for image, texts in REFERENCES.items()}
    assert bleu({k: v + separator for k, v in CANDIDATES.items()}, odd) == bleu(CANDIDATES, REFERENCES)


@pytest.mark.parametrize("locale", ["C", "tr_TR.UTF-8", "de_DE.UTF-8"])
def test_locale_changes_nothing(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert tokenize(["IT IS a café, 1,5 km"]) == ["it is a café 1,5 km"]


def test_empty_candidate_counts() -> None:
    whole = bleu(CANDIDATES, REFERENCES)
    score = bleu(CANDIDATES | {2: " \n"}, REFERENCES)
    assert score.candidate_length == whole.candidate_length - 5
    assert 0 < score.bleu4 < whole.bleu4
    assert bleu(dict.fromkeys(REFERENCES, ""), REFERENCES).bleu1 == 0


def test_refused() -> None:
    with pytest.raises(EvalError, match="1 images have a caption but no references: 9"):
        bleu(CANDIDATES | {9: "a"}, REFERENCES)
    with pytest.raises(EvalError, match="2 images have references but no caption: 2, 3"):
        bleu({1: "a"}, REFERENCES)
    with pytest.raises(EvalError, match="image 2 has an empty reference"):
        bleu(CANDIDATES, REFERENCES | {2: ["a cat", " "]})
    with pytest.raises(EvalError, match=r"image 2: references are \[\]"):
        bleu(CANDIDATES, REFERENCES | {2: []})
    with pytest.raises(EvalError, match="image 2: references are 'a cat'"):
        bleu({2: "a cat"}, {2: "a cat"})
    with pytest.raises(EvalError, match="no images"):
        bleu({}, {})


def test_java_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pycocoevalcap.tokenizer import ptbtokenizer

    folder = Path(ptbtokenizer.__file__).parent
    before = sorted(folder.iterdir())
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    broken.chmod(0o755)
    for program, message in ((broken, "exit code 3: no memory"), (tmp_path / "absent", "cannot be started")):
        monkeypatch.setattr(java, "runtime", lambda program=program: program)
        with pytest.raises(EvalError, match=message):
            tokenize(["a dog"])
    assert sorted(folder.iterdir()) == before
