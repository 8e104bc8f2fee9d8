"""BLEU-1 to BLEU-4 of captions, by pycocoevalcap's scorer. Source: Papineni et al., "BLEU", ACL 2002, as the COCO
caption server computes it: one brevity penalty for the corpus, against the closest reference lengths (the shorter of
two as close), and counts with 1e-15 and 1e-9 added so that nothing is divided by zero."""

import numpy as np
from numpy.typing import NDArray

from eval.captions.corpus import Corpus, Metric, summed

_SMALL, _TINY = 1e-9, 1e-15  # pycocoevalcap's


class Bleu(Metric):
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
