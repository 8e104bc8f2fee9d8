"""The numbers of predicted captions, as papers print them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.records import CaptionSet
from core.errors import UserError
from core.stage import Metric, Outcome
from eval.captions.bootstrap import PERCENT, intervals
from eval.captions.diversity import diversity
from eval.captions.scores import require, score
from eval.errors import EvalError

ORDER = ("bleu4", "bleu1", "bleu2", "bleu3")
"""The headline, and its siblings; other metrics come after, in the order in which they are asked for."""


def check(metrics: Sequence[str]) -> None:
    """Refuse what could only fail when the training is over.

    Raises:
        UserError: an unknown metric, or one whose programs are not there.
    """
    try:
        require(("bleu", *metrics))
    except EvalError as error:  # which the processes of a job do not tell each other
        raise UserError(str(error)) from error


def outcome(
    saved: Sequence[dict[str, Any]], data: CaptionSet, split: str, root: Path, metrics: Sequence[str]
) -> Outcome:
    """BLEU-4 first, all in percent (CIDEr times 100, as papers have it); its intervals, lengths and diversity beside.

    Args:
        saved: entries of COCO's results format, one an image of the split.
        data, split, root: where the references are.
        metrics: names in `eval.captions.scores.METRICS`; BLEU is computed in any case.

    Raises:
        EvalError: what `score` refuses.
    """
    references = {record.id: record.captions for record in data.records(root, split)}
    found = score({entry["image_id"]: entry["caption"] for entry in saved}, references, ("bleu", *metrics))
    names = (*ORDER, *(name for name in found.values if name not in ORDER))
    varied, spread = diversity(found.tokens.candidates), intervals(found)
    return Outcome(
        {name: Metric(PERCENT * found.values[name], "%", higher_is_better=True) for name in names},
        {
            "candidate_length": found.candidate_length,
            "reference_length": found.reference_length,
            "different_captions": varied.different,
            "diversity": {
                "words": varied.words, "vocabulary": varied.vocabulary, "mean_length": varied.mean_length,
                "distinct1": varied.distinct1, "distinct2": varied.distinct2,
            },
            "intervals": {
                "level": "95% over images", "resamples": spread.resamples,
                **{name: list(spread.values[name]) for name in names},
            },
        },
    )  # fmt: skip
