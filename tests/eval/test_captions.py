"""Caption metrics against published numbers, pycocoevalcap's programs and the papers' formulas written plainly."""

import json
import logging
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eval.captions import java, meteor, spice
from eval.captions.corpus import Corpus, check
from eval.captions.scores import METRICS, CaptionScores, require, score
from eval.errors import EvalError

REFERENCES = {
    1: ["A dog runs on the grass.", "The brown dog is running, fast!"],
    2: ["Two cats sleep on a sofa.", "A pair of cats on the couch"],
    3: ["A man rides a red motorcycle down a street", "A man on a motorcycle"],
}
CANDIDATES = {1: "a brown dog runs on grass", 2: "two cats on a couch", 3: "a man rides a red motorcycle down the road"}
PYTHON = ("bleu", "rouge_l", "cider", "cider_plain")
AAC_METRICS = {
    "bleu1": 0.5793995754573356,
    "bleu2": 0.40439129741018104,
    "bleu3": 0.2785363856619147,
    "bleu4": 0.1908290437674253,
    "meteor": 0.19525467177780284,
    "rouge_l": 0.39625269357570847,
    "cider": 0.5997905185184199,
}
"""What aac-metrics 0.5.5 (Labbe et al.) prints of the caption server's 1000 images."""

EVAL_OF_PART = 0.19117032092559866
"""METEOR 1.5's EVAL of the statistics of the first hundred images, the first ten of them twice."""


@pytest.fixture(scope="module")
def published(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> CaptionScores:
    folder = real_data / "metrics/captions"
    candidates = {
        entry["image_id"]: entry["caption"]
        for entry in json.loads((folder / "captions_val2014_fakecap_results.json").read_text())
    }
    references: dict[int, list[str]] = {image: [] for image in candidates}
    for entry in json.loads((folder / "captions_val2014_fakecap1000.json").read_text())["annotations"]:
        references[entry["image_id"]].append(entry["caption"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")  # as a German locale does
        return score(candidates, references)


def test_published_example(published: CaptionScores, real_data: Path) -> None:
    expected = json.loads((real_data / "metrics/captions/expected.json").read_text())
    assert published.values["bleu4"] == expected["Bleu_4_full_digits"] == 0.1908290437674253
    theirs = {f"bleu{n}": f"Bleu_{n}" for n in (1, 2, 3, 4)} | {
        "meteor": "METEOR",
        "rouge_l": "ROUGE_L",
        "cider": "CIDEr",
    }
    assert {key: round(published.values[key], 3) for key in theirs} == {k: expected[name] for k, name in theirs.items()}
    assert (published.candidate_length, published.reference_length) == (expected["guess"][0], expected["reflen"])


def test_another_program_has_the_same_digits(published: CaptionScores) -> None:
    assert published.values == pytest.approx(AAC_METRICS, rel=1e-14)


def test_resamples_of_every_image_once_give_the_number_itself(published: CaptionScores) -> None:
    found = published.resampled(np.ones((1000, 2), np.uint8))
    assert {key: list(each) for key, each in found.items()} == {
        key: pytest.approx([value, value], rel=1e-13) for key, value in published.values.items()
    }


def test_resamples_count_copies(published: CaptionScores) -> None:
    """Against the corpus of the first hundred images, the first ten of them twice: METEOR by its program's EVAL."""
    weights = np.zeros((1000, 1), np.uint8)
    weights[:100], weights[:10] = 1, 2
    rows = [*range(10), *range(100)]
    found = published.resampled(weights)
    tokens = published.tokens
    part = Corpus(tuple(rows), tuple(tokens.candidates[i] for i in rows), tuple(tokens.references[i] for i in rows))
    for key, value in METRICS["bleu"](part).values.items():
        assert found[key] == pytest.approx([value], rel=1e-12)
    assert found["meteor"] == pytest.approx([EVAL_OF_PART], abs=1e-14)
    assert found["cider"] == pytest.approx([published.per_image["cider"][rows].mean()], rel=1e-12)


def test_meteor_formula_is_its_programs() -> None:
    """Statistics that METEOR 1.5 printed for three captions, and its EVAL of each."""
    rows = [
        [7, 17, 4, 8, 3, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 7, 7],
        [17, 10, 6, 6, 4, 4, 4, 4, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 5, 9, 9],
        [11, 8, 4, 4, 3, 3, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 3, 6, 7],
        [0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    expected = [0.1900920790810015, 0.3797229740771159, 0.37156282483005143, 0]
    assert meteor.formula(np.array(rows, np.float64)) == pytest.approx(expected, abs=1e-15)


def test_captions_that_are_their_reference_have_no_chunk_in_meteors_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six rows that METEOR 1.5 printed, four of them of such captions, and its EVAL of all."""
    rows = [
        [13, 13, 6, 8, 1, 1, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 4, 6, 6],
        [10, 10, 7, 7, 3, 3, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 10],
        [6, 9, 1, 5, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
        [29, 29, 13, 13, 16, 16, 13, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 29, 29],
        [14, 14, 8, 8, 6, 6, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 14, 14],
        [9, 9, 4, 4, 5, 5, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9],
    ]
    monkeypatch.setattr(java, "run", lambda *_: "".join(" ".join(map(str, row)) + "\n" for row in rows))
    found = meteor.Meteor(Corpus(tuple(range(6)), ("a",) * 6, (("a",),) * 6))
    assert found.values["meteor"] == pytest.approx(0.5192962022721691, abs=1e-15)
    each = [0.14731118098837012, 1, 0.02373887240356083, 1, 1, 1]
    assert list(found.per_image["meteor"]) == pytest.approx(each, abs=1e-15)
    whole = np.ones((6, 1), np.uint8)
    assert found.resampled(whole)["meteor"] == pytest.approx([0.5192962022721691], abs=1e-15)


def plain_bleu(corpus: Corpus, order: int) -> float:
    right, asked = [0] * order, [0] * order
    length = closest = 0
    for candidate, references in zip(corpus.candidates, corpus.references, strict=True):
        words, others = candidate.split(), [other.split() for other in references]
        length += len(words)
        closest += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(1, order + 1):
            grams = [Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1)) for s in [words, *others]]
            asked[n - 1] += sum(grams[0].values())
            right[n - 1] += sum(min(count, max(o[gram] for o in grams[1:])) for gram, count in grams[0].items())
    mean = math.prod(r / a for r, a in zip(right, asked, strict=True)) ** (1 / order)
    return mean * min(1.0, math.exp(1 - closest / length))


def plain_rouge(corpus: Corpus) -> list[float]:
    """Lin 2004, equations 2 to 4: the longest common subsequence by its definition over prefixes."""
    found = []
    for candidate, references in zip(corpus.candidates, corpus.references, strict=True):
        one = candidate.split()
        recalls, precisions = [], []
        for other in (reference.split() for reference in references):
            row = [0] * (len(other) + 1)
            for word in one:
                row = longer(row, word, other)
            recalls.append(row[-1] / len(other))
            precisions.append(row[-1] / len(one))
        r, p = max(recalls), max(precisions)
        found.append((1 + 1.2**2) * r * p / (r + 1.2**2 * p) if r and p else 0.0)
    return found


def longer(row: list[int], word: str, other: list[str]) -> list[int]:
    """The lengths with every prefix of `other`, one word later."""
    new = [0]
    for j, known in enumerate(other):
        new.append(row[j] + 1 if word == known else max(row[j + 1], new[j]))
    return new


def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def plain_cider(corpus: Corpus, *, clipped: bool) -> list[float]:
    """Vedantam et al. 2015: equations 1 to 3; clipped: CIDEr-D's."""
    totals = np.zeros(len(corpus.images))
    for n in (1, 2, 3, 4):
        documents = [set().union(*(grams(text, n) for text in texts)) for texts in corpus.references]
        every = sorted(set().union(*documents, *(grams(text, n) for text in corpus.candidates)))
        seen = np.array([sum(gram in document for document in documents) for gram in every])
        idf = np.log(len(documents) / np.maximum(seen, 1))
        for image, (candidate, texts) in enumerate(zip(corpus.candidates, corpus.references, strict=True)):
            for text in texts:
                own, theirs = grams(candidate, n), grams(text, n)
                one, other = (idf * np.array([counts[gram] for gram in every]) for counts in (own, theirs))
                lengths = np.linalg.norm(one) * np.linalg.norm(other)
                product = (np.minimum(one, other) if clipped else one) @ other
                gap = len(candidate.split()) - len(text.split())
                penalty = math.exp(-(gap**2) / (2 * 6**2)) if clipped else 1
                totals[image] += 10 / 4 / len(texts) * penalty * (product / lengths if lengths else 0)
    return list(totals)


def test_against_the_formulas() -> None:
    scores = score(CANDIDATES, REFERENCES, PYTHON, "regex")
    corpus = scores.tokens
    assert corpus.references[0] == ("a dog runs on the grass", "the brown dog is running fast")
    for n in (1, 2, 3, 4):
        assert scores.values[f"bleu{n}"] == pytest.approx(plain_bleu(corpus, n), rel=1e-6)
    for key, each in (
        ("rouge_l", plain_rouge(corpus)),
        ("cider", plain_cider(corpus, clipped=True)),
        ("cider_plain", plain_cider(corpus, clipped=False)),
    ):
        assert list(scores.per_image[key]) == pytest.approx(each, rel=1e-12)
        assert scores.values[key] == pytest.approx(np.mean(each), rel=1e-12)
        assert min(each) > 0
    assert scores.values["cider_plain"] > scores.values["cider"]
    assert scores.images == (1, 2, 3)


def test_the_order_of_the_candidates_changes_nothing() -> None:
    """Whether the stop of "an i." stays is the next caption's doing, and a mean's last bits its order's."""
    references = {number: ["An i.", f"The {number}"] for number in range(20)} | REFERENCES
    candidates = {number: "A dog" if number % 3 else "an i." for number in range(20)} | CANDIDATES
    found = score(candidates, references, PYTHON)
    again = score(dict(reversed(candidates.items())), references, PYTHON)
    assert again.images == found.images == tuple(references)
    assert again.tokens == found.tokens
    assert again.values == found.values
    assert {text for text in found.tokens.candidates if text[:2] == "an"} == {"an i", "an i."}
    weights = np.random.default_rng(0).integers(0, 3, (len(references), 4)).astype(np.uint8)
    one, other = found.resampled(weights), again.resampled(weights)
    assert all(list(one[key]) == list(other[key]) for key in one)


def test_the_paper_of_cider_on_real_captions(published: CaptionScores) -> None:
    tokens = published.tokens
    part = Corpus(tokens.images[:25], tokens.candidates[:25], tokens.references[:25])
    for key, clipped in (("cider", True), ("cider_plain", False)):
        found = METRICS[key](part)
        assert list(found.per_image[key]) == pytest.approx(plain_cider(part, clipped=clipped), rel=1e-11)


def test_empty_candidates_count(caplog: pytest.LogCaptureFixture) -> None:
    whole = score(CANDIDATES, REFERENCES, PYTHON, "regex")
    with caplog.at_level(logging.WARNING):
        found = score(CANDIDATES | {2: " \n", 3: "?!."[2:]}, REFERENCES, PYTHON, "regex")
    assert [record.getMessage() for record in caplog.records] == [
        "2 of 3 captions have no words and count as empty: 2, 3"
    ]
    assert found.candidate_length == whole.candidate_length - 5 - 9
    assert 0 < found.values["bleu1"] < whole.values["bleu1"]
    for key in ("rouge_l", "cider", "cider_plain"):
        assert list(found.per_image[key])[1:] == [0, 0]
    assert score(dict.fromkeys(REFERENCES, ""), REFERENCES, ("bleu",), "regex").values["bleu1"] < 1e-9


def test_a_reference_without_words_is_kept() -> None:
    """As the server does: it takes part in BLEU's closest length, and gives nothing else."""
    found = score({1: "a dog", 2: "a cat"}, {1: ["a dog", "..."], 2: ["one cat"]}, PYTHON, "regex")
    assert found.tokens.references[0] == ("a dog", "")
    assert found.per_image["rouge_l"][0] == 1
    with pytest.raises(EvalError, match="no reference has a word"):
        score({1: "a"}, {1: ["..."]}, PYTHON, "regex")


def test_refused() -> None:
    for candidates, references, message in (
        (CANDIDATES | {9: "a"}, REFERENCES, "1 images have a caption but no references: 9"),
        ({1: "a"}, REFERENCES, "2 images have references but no caption: 2, 3"),
        ({1: "a"}, {key: ["a"] for key in range(1, 40)}, r"38 .*: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, \.\.\.$"),
        (CANDIDATES, REFERENCES | {2: ["a cat", " "]}, "image 2 has an empty reference"),
        (CANDIDATES, REFERENCES | {2: []}, r"image 2: references are \[\]"),
        ({2: "a cat"}, {2: "a cat"}, "image 2: references are 'a cat'"),
        ({2: None}, {2: ["a cat"]}, "image 2: the caption is None, expected a text"),
        ({2: "a"}, {2: ["a", 5]}, "expected texts"),
        ({}, {}, "no images"),
    ):
        with pytest.raises(EvalError, match=message):
            check(candidates, references)  # type: ignore[arg-type]
    with pytest.raises(
        EvalError, match="metrics bleu5, expected some of bleu, meteor, rouge_l, cider, cider_plain, spice"
    ):
        score(CANDIDATES, REFERENCES, ("bleu", "bleu5"))
    with pytest.raises(EvalError, match="metrics none"):
        require(())
    with pytest.raises(EvalError, match="tokenizer '13a', expected 'ptb' or 'regex'"):
        require(("bleu",), "13a")  # type: ignore[arg-type]


def test_meteor_is_asked_once_and_its_separator_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(name: str, arguments: list[str], text: str, timeout: float) -> str:
        asked.append((text, timeout))
        return "1 1 0 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1\n" * text.count("\n")

    monkeypatch.setattr(java, "run", answer)
    corpus = Corpus((1, 2), ("a ||| dog", ""), (("a ||| cat", "b"), ("c",)))
    found = meteor.Meteor(corpus)
    assert asked == [("SCORE ||| a cat ||| b ||| a dog\nSCORE ||| c ||| \n", 300.6)]
    assert list(found.per_image["meteor"]) == [1, 1]
    assert found.values == {"meteor": 1}, "a candidate that is its reference adds no chunk to the sum"
    for said, message in (
        ("Error: specify SCORE or EVAL or SING\n", "METEOR gave 1 lines for 2 images: 'Error: specify"),
        ("1,0 2\n1,0 2\n", "METEOR's answer cannot be read: '1,0 2.*expected 23 numbers a line"),
    ):
        monkeypatch.setattr(java, "run", lambda *_, said=said: said)
        with pytest.raises(EvalError, match=message):
            meteor.Meteor(corpus)


def test_spice_is_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spice, "_folder", lambda: tmp_path)
    with pytest.raises(EvalError, match=r"stanford-corenlp-3\.6\.0-models\.jar, which are not there and are not downl"):
        score(CANDIDATES, REFERENCES, ("bleu", "spice"))
    assert not list(tmp_path.iterdir())


def test_spice_gives_its_program_files_without_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in spice.MODELS:
        (tmp_path / "lib" / name).touch()
    program = tmp_path / "java"
    program.write_text(
        "#!/usr/bin/env python3\nimport json, sys\nat = sys.argv.index('-out')\n"
        "asked = json.load(open(sys.argv[at - 1]))\n"
        "scores = [{'image_id': e['image_id'], 'scores': {'All': {'f': len(e['refs']) / 8}}} for e in asked]\n"
        "json.dump(scores[::-1], open(sys.argv[at + 1], 'w'))\n"
    )
    program.chmod(0o755)
    empty = tmp_path / "tmp"
    empty.mkdir()
    monkeypatch.setenv("TMPDIR", str(empty))
    monkeypatch.setattr(spice, "_folder", lambda: tmp_path)
    monkeypatch.setattr(java, "runtime", lambda: program)
    found = score({1: "a", 2: "b"}, {1: ["a"], 2: ["b", "c"]}, ("spice",), "regex")
    assert (found.values, list(found.per_image["spice"])) == ({"spice": 0.1875}, [0.125, 0.25])
    program.write_text("#!/bin/sh\n")
    with pytest.raises(EvalError, match="SPICE's answer cannot be read"):
        score({1: "a"}, {1: ["a"]}, ("spice",), "regex")
    assert not list(empty.iterdir())
