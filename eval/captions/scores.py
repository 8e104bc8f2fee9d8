"""All metrics of captions at once, on one tokenization of candidates and references."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from eval.captions.bleu import Bleu
from eval.captions.cider import Cider, CiderPlain
from eval.captions.corpus import Corpus, Id, Metric, check
from eval.captions.java import runtime
from eval.captions.meteor import Meteor
from eval.captions.rouge import RougeL
from eval.captions.spice import Spice
from eval.captions.tokens import Tokenizer, tokenize_both
from eval.errors import EvalError

_log = logging.getLogger(__name__)
METRICS: Final[Mapping[str, type[Metric]]] = {
    "bleu": Bleu,
    "meteor": Meteor,
    "rouge_l": RougeL,
    "cider": Cider,
    "cider_plain": CiderPlain,
    "spice": Spice,
}
"""What `score` can be asked for. `cider` is CIDEr-D, which tables call CIDEr; see eval.captions.cider."""


@dataclass(frozen=True, eq=False)
class CaptionScores:
    """Numbers as the COCO caption server has them: fractions, and CIDEr to 10; papers print 100 times both."""

    images: tuple[Hashable, ...]
    """[N], in the order of the references."""
    values: dict[str, float]
    """Of the corpus: bleu1 to bleu4, meteor, rouge_l, cider, ..., as asked for."""
    per_image: dict[str, NDArray[np.float64]]
    """Of every image: [N] each, the same keys. BLEU's are pycocoevalcap's: with 1e-15 added to counts of 0."""
    candidate_length: int
    """Tokens of all candidates."""
    reference_length: int
    """Tokens: the sum over images of the reference length closest to the candidate's, the shorter of two as close."""
    tokens: Corpus
    """What was compared."""
    _metrics: tuple[Metric, ...] = field(repr=False)

    def resampled(self, weights: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """The corpus's numbers in resamples of the images, exact, without comparing any caption anew.

        BLEU and METEOR come from the summed statistics of the drawn images, ROUGE_L, CIDEr and SPICE are means.
        CIDEr's document frequencies are those of the whole set in every resample.

        Args:
            weights: how often each image is drawn in each resample: [N, R].

        Returns:
            [R] of each of `values`.
        """
        return {key: each for metric in self._metrics for key, each in metric.resampled(weights).items()}


def score(
    candidates: Mapping[Id, str],
    references: Mapping[Id, Sequence[str]],
    metrics: Sequence[str] = ("bleu", "meteor", "rouge_l", "cider"),
    tokenizer: Tokenizer = "ptb",
) -> CaptionScores:
    """Score one caption an image against the image's references.

    Images are taken in the order of the references, as COCO's evaluation takes them: the order of the candidates, which
    a program's threads may have made, changes no digit. (The order of the references may change the last ones: see
    eval.captions.tokens.)

    Args:
        candidates: a caption of every image. Without words it counts as an empty caption.
        references: at least one caption of every image.
        metrics: names in `METRICS`.
        tokenizer: "regex" does without Java and is close to the standard: not for published numbers.

    Raises:
        EvalError: an unknown metric, images that only one side has, no images, an image without references, an empty
            reference, references without any word; Java or SPICE's models are missing; a program fails or hangs.
    """
    require(metrics, tokenizer)
    check(candidates, references)
    images = tuple(references)
    texts = [text for image in images for text in references[image]]
    theirs, ours = tokenize_both(texts, [candidates[image] for image in images], tokenizer)
    tokens = iter(theirs)
    others = tuple(tuple(next(tokens) for _ in references[image]) for image in images)
    corpus = Corpus(images, tuple(ours), others)
    _look(corpus)
    found = tuple(METRICS[name](corpus) for name in dict.fromkeys(metrics))
    values = {key: value for metric in found for key, value in metric.values.items()}
    per_image = {key: each for metric in found for key, each in metric.per_image.items()}
    return CaptionScores(images, values, per_image, *lengths(corpus), corpus, found)


def require(metrics: Sequence[str], tokenizer: Tokenizer = "ptb") -> None:
    """See, before anything is computed, that `score` can do what it will be asked for.

    Raises:
        EvalError: an unknown metric or none, an unknown tokenizer; Java or SPICE's models are missing.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise EvalError(f"captions: metrics {', '.join(unknown) or 'none'}, expected some of {', '.join(METRICS)}")
    if tokenizer not in get_args(Tokenizer):
        raise EvalError(f"captions: tokenizer {tokenizer!r}, expected {' or '.join(map(repr, get_args(Tokenizer)))}")
    if tokenizer == "ptb":
        runtime()
    for name in metrics:
        METRICS[name].require()


def _look(corpus: Corpus) -> None:
    """Say which captions have no words. EvalError: no reference has."""
    if not any(text for each in corpus.references for text in each):
        raise EvalError("captions: no reference has a word, only punctuation")
    empty = [str(image) for image, text in zip(corpus.images, corpus.candidates, strict=True) if not text]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        _log.warning("%d of %d captions have no words and count as empty: %s", len(empty), len(corpus.images), shown)


def lengths(corpus: Corpus) -> tuple[int, int]:
    """Tokens of the candidates, and the sum of the closest reference lengths."""
    own = [len(tokens.split()) for tokens in corpus.candidates]
    others = ([len(tokens.split()) for tokens in each] for each in corpus.references)
    closest = (min((abs(n - length), n) for n in each)[1] for length, each in zip(own, others, strict=True))
    return sum(own), sum(closest)
