"""BLEU-1 to BLEU-4 of captions, by pycocoevalcap's scorer. Source: Papineni et al., "BLEU", ACL 2002, as the COCO
caption server computes it: one brevity penalty for the corpus, against the closest reference lengths (the shorter of
two as close), and counts with 1e-15 and 1e-9 added so that nothing is divided by zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.captions.corpus import Corpus, Id, Metric, check, summed
from eval.captions.tokens import tokenize_both

_SMALL, _TINY = 1e-9, 1e-15  # pycocoevalcap's


class BleuMetric(Metric):
    """bleu1 to bleu4: BLEU with n-grams of up to 1, 2, 3 and 4 words, fractions of 1."""

    def __init__(self, corpus: Corpus) -> None:
        """Count."""
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer

        scorer = BleuScorer(n=4)
        for candidate, references in zip(corpus.candidates, corpus.references, strict=True):
            scorer += (candidate, references)
        values, per_image = scorer.compute_score(option="closest")
        self.values = {f"bleu{n}": float(value) for n, value in enumerate(values, 1)}
        self.per_image = {f"bleu{n}": np.array(each) for n, each in enumerate(per_image, 1)}
        self.candidate_length = int(scorer.testlen("closest"))
        """Tokens, all candidates together."""
        self.reference_length = int(scorer.reflen("closest"))
        """Tokens: the sum over images of the reference length closest to the candidate's."""
        closest = [min((abs(r - c["testlen"]), r) for r in c["reflen"])[1] for c in scorer.ctest]
        rows = [
            (*c["correct"], *c["guess"], c["testlen"], length) for c, length in zip(scorer.ctest, closest, strict=True)
        ]
        self._statistics = np.array(rows, np.float64)  # [N, 10]

    def resampled(self, weights: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """Exact: from the summed counts of the drawn images."""
        sums = summed(self._statistics, weights)
        precision = np.cumprod((sums[:, :4] + _TINY) / (sums[:, 4:8] + _SMALL), axis=1)
        ratio = (sums[:, 8] + _TINY) / (sums[:, 9] + _SMALL)
        brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
        return {f"bleu{n}": np.asarray(precision[:, n - 1] ** (1 / n) * brevity) for n in (1, 2, 3, 4)}


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU as fractions of 1; papers print 100 times these. Lengths in tokens."""

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    candidate_length: int
    reference_length: int
    """Sum over images of the reference length closest to the candidate's, the shorter of two as close."""


def bleu(candidates: Mapping[Id, str], references: Mapping[Id, Sequence[str]]) -> Bleu:
    """BLEU of one caption an image against the image's references.

    An empty candidate counts as a caption without words. Raises EvalError for images that only one side has, an image
    without references, an empty reference, no images, or Java missing or failing.
    """
    check(candidates, references)
    texts = [text for image in candidates for text in references[image]]
    others, own = tokenize_both(texts, list(candidates.values()))
    tokens = iter(others)
    each = tuple(tuple(next(tokens) for _ in references[image]) for image in candidates)
    found = BleuMetric(Corpus(tuple(candidates), tuple(own), each))
    one, two, three, four = found.values.values()
    return Bleu(one, two, three, four, found.candidate_length, found.reference_length)
