"""Intervals and paired differences against sets with copied images, scored anew by pycocoevalcap's own code."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.captions.bootstrap import differences, intervals
from eval.captions.reading import read_references, read_results
from eval.captions.scores import CaptionScores, score
from eval.errors import EvalError
from eval.localization.bootstrap import Bootstrap

METRICS = ("bleu", "rouge_l", "cider")
IMAGES, RESAMPLES = 20, 100


def some(folder: Path, images: int) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
    results = read_results(folder / "metrics/captions/captions_val2014_fakecap_results.json")
    references = read_references(folder / "metrics/captions/captions_val2014_fakecap1000.json")
    captions = dict(list(results.items())[:images])
    return captions, {image: references[image] for image in captions}


@pytest.fixture(scope="module")
def scores(real_data: Path) -> CaptionScores:
    return score(*some(real_data, IMAGES), METRICS, "regex")


@pytest.fixture(scope="module")
def other(real_data: Path) -> CaptionScores:
    """Worse captions: every third is the one of the image before."""
    captions, references = some(real_data, IMAGES)
    texts = list(captions.values())
    worse = {image: texts[at - 1] if at % 3 == 0 else texts[at] for at, image in enumerate(captions)}
    return score(worse, references, METRICS, "regex")


def bleu_of_copies(scores: CaptionScores, counts: NDArray[np.uint8]) -> list[float]:
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    for tokens, references, count in zip(scores.tokens.candidates, scores.tokens.references, counts, strict=True):
        for _ in range(count):
            scorer += (tokens, list(references))
    return [float(value) for value in scorer.compute_score(option="closest")[0]]


def test_intervals_are_those_of_sets_with_copied_images(scores: CaptionScores) -> None:
    found = intervals(scores, RESAMPLES, seed=3)
    assert (found.resamples, found.seed) == (RESAMPLES, 3)
    assert set(found.values) == set(scores.values)
    drawn = Bootstrap(IMAGES, RESAMPLES, 3).weights
    plain = np.array([bleu_of_copies(scores, counts) for counts in drawn.T])  # [R, 4]
    for n in range(4):
        low, high = np.percentile(100 * plain[:, n], [2.5, 97.5])
        assert found.values[f"bleu{n + 1}"] == pytest.approx((low, high), rel=1e-9)
    for key in ("rouge_l", "cider"):
        means = [np.repeat(scores.per_image[key], counts).mean() for counts in drawn.T]
        assert found.values[key] == pytest.approx(tuple(np.percentile(100 * np.array(means), [2.5, 97.5])), rel=1e-9)


def test_the_number_lies_in_its_interval(scores: CaptionScores) -> None:
    for key, (low, high) in intervals(scores, 1000).values.items():
        assert low < 100 * scores.values[key] < high


def test_a_difference_is_of_the_same_resamples(scores: CaptionScores, other: CaptionScores) -> None:
    """Paired: narrower than the two intervals would allow, and equal to the plain loop over resamples."""
    found = differences(scores, other, RESAMPLES, seed=3)
    drawn = Bootstrap(IMAGES, RESAMPLES, 3).weights
    plain = [100 * (bleu_of_copies(scores, one)[3] - bleu_of_copies(other, one)[3]) for one in drawn.T]
    bleu4 = found["bleu4"]
    assert bleu4.interval == pytest.approx(tuple(np.percentile(plain, [2.5, 97.5])), abs=1e-9)
    assert bleu4.share_above == np.mean(np.array(plain) > 0)
    assert (bleu4.first, bleu4.second) == (100 * scores.values["bleu4"], 100 * other.values["bleu4"])
    assert bleu4.value == bleu4.first - bleu4.second
    low, high = intervals(scores, RESAMPLES, 3).values["cider"]
    difference = found["cider"]
    assert difference.interval[1] - difference.interval[0] < high - low


def test_a_difference_to_itself_is_nothing(scores: CaptionScores) -> None:
    for one in differences(scores, scores, RESAMPLES).values():
        assert (one.value, one.interval, one.share_above) == (0.0, (0.0, 0.0), 0.0)


def test_only_the_same_images_and_metrics_are_compared(real_data: Path, scores: CaptionScores) -> None:
    fewer = score(*some(real_data, IMAGES - 1), METRICS, "regex")
    with pytest.raises(EvalError, match="20 and 19 images, 19 of them in both"):
        differences(scores, fewer)
    with pytest.raises(EvalError, match=r"a difference of other metrics: .*cider, and bleu1"):
        differences(scores, score(*some(real_data, IMAGES), ("bleu",), "regex"))


def test_a_seed_is_a_draw(scores: CaptionScores) -> None:
    assert intervals(scores, RESAMPLES, 1) == intervals(scores, RESAMPLES, 1)
    assert intervals(scores, RESAMPLES, 1).values != intervals(scores, RESAMPLES, 2).values


def test_one_image_has_no_width(real_data: Path) -> None:
    found = intervals(score(*some(real_data, 1), METRICS, "regex"), RESAMPLES)
    assert json.loads(json.dumps(found.values)) == {key: [low, low] for key, (low, _) in found.values.items()}
