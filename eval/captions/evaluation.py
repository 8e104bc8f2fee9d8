"""Results files on a file of references: read and checked first, then scored. Two of them on the same images."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.captions.reading import matched, read_references, read_results, read_training
from eval.captions.scores import CaptionScores, score
from eval.captions.tokens import Tokenizer
from eval.columns import count, first_ten
from eval.errors import EvalError


@dataclass(frozen=True)
class Truth:
    """What captions were scored against."""

    name: str
    """The file, with its split if it has several."""
    images: int
    """How many it has."""
    captions: int
    """How many references it has."""


@dataclass(frozen=True, eq=False)
class Scored:
    """One model's captions, by image id, and their scores."""

    name: str
    captions: Mapping[Any, str]
    scores: CaptionScores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the files say."""

    truth: Truth
    references: Mapping[Any, Sequence[str]]
    """Of the images that were scored."""
    one: Scored
    other: Scored | None
    """Of the same images in the same order."""
    training: Sequence[str] | None
    """Training captions, as they are written."""


def evaluate(
    results: Path,
    references: Path,
    metrics: Sequence[str],
    *,
    split: str | None = None,
    subset: bool = False,
    tokenizer: Tokenizer = "ptb",
    against: Path | None = None,
    training: Path | None = None,
) -> Evaluation:
    """Score a results file. Every file is read and checked before anything is scored.

    Args:
        results: as `read_results`.
        references: as `read_references`.
        metrics: as `score`.
        split: of Karpathy's file.
        subset: score the images that the results have, rather than all of the references.
        tokenizer: as `score`.
        against: other results, of the same images at least.
        training: as `read_training`.

    Raises:
        DataError, EvalError: a file is not what it must be, images do not match, or as `score`.
    """
    captions = read_results(results)
    known = read_references(references, split)
    name = str(references) if split is None else f"{references} {split}"
    mine = matched(results, captions, name, known, subset)
    others = None
    if against is not None:
        others = read_results(against)
        matched(against, others, name, known, subset)
        others = _same_images(against, others, results, captions)
    learned = None if training is None else read_training(training)
    truth = Truth(name, len(known), sum(map(len, known.values())))
    one = Scored(str(results), captions, _score(results, captions, mine, metrics, tokenizer))
    other = None
    if against is not None and others is not None:
        other = Scored(str(against), others, _score(against, others, mine, metrics, tokenizer))
    return Evaluation(truth, mine, one, other, learned)


def _same_images(against: Path, others: dict[int, str], results: Path, captions: dict[int, str]) -> dict[int, str]:
    """The other captions of the images that these captions are of."""
    if missing := [image for image in captions if image not in others]:
        raise EvalError(f"{against}: no caption of {count(len(missing), 'image')} of {results} ({first_ten(missing)})")
    return {image: others[image] for image in captions}


def _score(
    path: Path,
    captions: Mapping[int, str],
    references: Mapping[int, Sequence[str]],
    metrics: Sequence[str],
    tokenizer: Tokenizer,
) -> CaptionScores:
    """What the scores log becomes a warning that names the file: there may be two."""
    log, said = logging.getLogger("eval.captions"), _Said(logging.WARNING)
    before, log.propagate = log.propagate, False  # else it is said twice where somebody listens to all logs
    log.addHandler(said)
    try:
        scores = score(captions, references, metrics, tokenizer)
    finally:
        log.removeHandler(said)
        log.propagate = before
    for message in said.messages:
        warnings.warn(f"{path}: {message}", stacklevel=3)
    return scores


class _Said(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
