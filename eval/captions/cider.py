"""CIDEr of captions. Source: Vedantam et al., "CIDEr", CVPR 2015, arXiv 1411.5726, as its authors' code computes it.

What the COCO caption server, pycocoevalcap and nearly every table call CIDEr is the paper's CIDEr-D (section 6): counts
clipped to the reference's and a Gaussian penalty of the length difference (sigma 6). `cider` is that one, by
pycocoevalcap's scorer. `cider_plain` is what the paper and its authors' code call CIDEr, with neither of the two
(equation 2); as in that code words are not stemmed, and both are multiplied by 10.

Document frequencies are those of the corpus's own references: numbers of sets of different size do not compare, and one
image alone has 0.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.captions.corpus import Corpus, MeanMetric

_ORDERS = 4
_Counts = Mapping[tuple[str, ...], int]
_Vector = tuple[dict[tuple[str, ...], float], list[float]]
"""Weights of n-grams, and the length of each order's part."""


class Cider(MeanMetric):
    """cider: CIDEr-D, 0 to 10; papers print 100 times it."""

    def __init__(self, corpus: Corpus) -> None:
        """Compare every candidate with its references."""
        value, each = _scorer(corpus).compute_score()
        super().__init__("cider", np.asarray(each, np.float64), float(value))


class CiderPlain(MeanMetric):
    """cider_plain: the mean cosine of tf-idf vectors over orders 1 to 4 and references, times 10."""

    def __init__(self, corpus: Corpus) -> None:
        """Compare every candidate with its references."""
        scorer = _scorer(corpus)
        scorer.compute_doc_freq()
        images = math.log(len(corpus.images))
        idf = {gram: images - math.log(count) for gram, count in scorer.document_frequency.items()}

        def vector(counts: _Counts) -> _Vector:
            weights = {gram: count * idf.get(gram, images) for gram, count in counts.items()}
            squares = [0.0] * _ORDERS
            for gram, weight in weights.items():
                squares[len(gram) - 1] += weight * weight
            return weights, [math.sqrt(square) for square in squares]

        each = [
            10 * sum(_cosine(own, vector(other)) for other in others) / len(others)
            for own, others in zip(map(vector, scorer.ctest), scorer.crefs, strict=True)
        ]
        super().__init__("cider_plain", np.array(each), float(np.mean(each)))


def _cosine(one: _Vector, other: _Vector) -> float:
    """The mean over the orders; an order of which one caption has nothing gives 0."""
    products = [0.0] * _ORDERS
    weights = other[0]
    for gram, weight in one[0].items():
        if gram in weights:
            products[len(gram) - 1] += weight * weights[gram]
    lengths = (a * b for a, b in zip(one[1], other[1], strict=True))
    return sum(p / length for p, length in zip(products, lengths, strict=True) if length) / _ORDERS


def _scorer(corpus: Corpus) -> Any:
    """pycocoevalcap's, with the n-grams of all captions counted."""
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer()
    for candidate, references in zip(corpus.candidates, corpus.references, strict=True):
        scorer += (candidate, references)
    return scorer
