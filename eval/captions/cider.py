"""CIDEr of captions, by pycocoevalcap's scorer. Source: Vedantam et al., "CIDEr", CVPR 2015, arXiv 1411.5726.

What the COCO caption server and nearly every table call CIDEr is the paper's CIDEr-D (section 6): counts clipped to the
reference's, a Gaussian penalty of the length difference (sigma 6), no stemming, times 10. `cider` is that one.
"""

import numpy as np

from eval.captions.corpus import Corpus, MeanMetric


class Cider(MeanMetric):
    """cider: CIDEr-D, 0 to 10; papers print 100 times it."""

    def __init__(self, corpus: Corpus) -> None:
        """Compare every candidate with its references; document frequencies are those of the corpus's references."""
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        scorer = CiderScorer()
        for candidate, references in zip(corpus.candidates, corpus.references, strict=True):
            scorer += (candidate, references)
        value, each = scorer.compute_score()
        super().__init__("cider", np.asarray(each, np.float64), float(value))
