"""ROUGE_L of captions, by pycocoevalcap's scorer. Source: Lin, "ROUGE", 2004, section 3, as the COCO caption server
computes it: of an image's references the best precision and the best recall, which may be of two, with beta = 1.2."""

import numpy as np

from eval.captions.corpus import Corpus, MeanMetric


class RougeL(MeanMetric):
    """rouge_l, a fraction of 1: the mean over images."""

    def __init__(self, corpus: Corpus) -> None:
        """Compare every candidate with its references."""
        from pycocoevalcap.rouge.rouge import Rouge

        scorer = Rouge()
        pairs = zip(corpus.candidates, corpus.references, strict=True)
        each = np.array([scorer.calc_score([candidate], references) for candidate, references in pairs])
        super().__init__("rouge_l", each, float(np.mean(each)))
