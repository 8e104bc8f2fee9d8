"""Scores of captions as text for people, as JSON for programs, and image by image as CSV. All numbers in percent."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from core.data.captions import one_line
from eval.captions.bootstrap import PERCENT, Intervals
from eval.captions.diversity import Diversity
from eval.captions.evaluation import Scored, Truth
from eval.captions.scores import CaptionScores
from eval.captions.tokens import Tokenizer
from eval.columns import Line, between, columns, count
from eval.difference import Differences

TITLES: Final[Mapping[str, str]] = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "cider_plain": "CIDEr, plain",
    "spice": "SPICE",
}
"""What people call the numbers, by the keys of `CaptionScores.values`."""
TOKENS: Final[Mapping[Tokenizer, str]] = {
    "ptb": "Stanford's PTB, as the COCO caption server",
    "regex": "regex, close to the caption server's: not for numbers that are compared with published ones",
}
"""Of each tokenizer, what was counted as a word, in words."""


@dataclass(frozen=True)
class Summary:
    """What was asked for; None: not asked for."""

    results: str
    truth: Truth
    tokenizer: Tokenizer
    scores: CaptionScores
    diversity: Diversity
    training: str = ""
    """What novel captions are not in."""
    intervals: Intervals | None = None
    difference: Differences | None = None

    def text(self) -> str:
        """All of it."""
        parts = [_head(self), _values(self.scores, self.intervals), _captions(self)]
        if self.difference is not None:
            parts.append(self.difference.text(TITLES))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        """All of it; the shares and distinct-n of the diversity are percent too, its other numbers are counts."""
        found: dict[str, Any] = {
            "results": self.results,
            "references": asdict(self.truth),
            "images": len(self.scores.images),
            "tokenizer": self.tokenizer,
            "scores": percent(self.scores.values),
            "candidate_length": self.scores.candidate_length,
            "reference_length": self.scores.reference_length,
            "diversity": _diversity(self.diversity),
        }
        if self.intervals is not None:
            found["intervals"] = {"level": 0.95} | asdict(self.intervals)
        if self.difference is not None:
            found["difference"] = self.difference.as_json()
        return found


def percent(values: Mapping[str, float]) -> dict[str, float]:
    """100 times each: what papers print."""
    return {key: PERCENT * value for key, value in values.items()}


def per_image(scored: Scored) -> str:
    """CSV, a line for each image: its id, its number of words, its own scores in percent, its caption as one line.

    BLEU of one caption is smoothed as pycocoevalcap does it (`CaptionScores.per_image`): its mean is not the corpus's.
    """
    out, scores = io.StringIO(), scored.scores
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image_id", "words", *scores.per_image, "caption"])
    for at, (image, tokens) in enumerate(zip(scores.images, scores.tokens.candidates, strict=True)):
        values = (f"{PERCENT * each[at]:.6g}" for each in scores.per_image.values())
        writer.writerow([image, len(tokens.split()), *values, one_line(scored.captions[image])])
    return out.getvalue()


def _head(summary: Summary) -> str:
    truth, scored = summary.truth, len(summary.scores.images)
    left_out = "" if scored == truth.images else f"; scored are the {scored:,} that have a caption"
    return (
        f"{summary.results}: {count(scored, 'caption')}\n"
        f"{truth.name}: {count(truth.images, 'image')}, {count(truth.captions, 'reference')}{left_out}\n"
        f"tokens: {TOKENS[summary.tokenizer]}"
    )


def _values(scores: CaptionScores, intervals: Intervals | None) -> str:
    lines: list[Line] = [[TITLES[key], value] for key, value in percent(scores.values).items()]
    if intervals is None:
        return columns(["", "%"], lines)
    for key, line in zip(scores.values, lines, strict=True):
        line.append(between(intervals.values[key]))
    below = f"95% intervals from {intervals.resamples} resamples of the images"
    return f"{columns(['', '%', '95%'], lines)}\n{below}"


def _captions(summary: Summary) -> str:
    """Length and diversity."""
    found, scores = summary.diversity, summary.scores
    ratio = scores.candidate_length / max(scores.reference_length, 1)
    lines = [
        f"mean length  {found.mean_length:.2f} words; {scores.candidate_length:,} in all, "
        f"{scores.reference_length:,} in the references closest in length (ratio {ratio:.3f})",
        f"different    {_share(found.different, found.captions)}",
        f"vocabulary   {count(found.vocabulary, 'word')}",
        f"distinct-1   {PERCENT * found.distinct1:.2f}% of the words",
        f"distinct-2   {PERCENT * found.distinct2:.2f}% of the bigrams",
    ]
    if found.novel is not None:
        lines.append(f"novel        {_share(found.novel, found.captions)}: not in {summary.training}")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {count(whole, 'caption')} ({PERCENT * part / whole:.2f}%)"


def _diversity(found: Diversity) -> dict[str, float | None]:
    shares = {
        "different_share": found.different_share,
        "novel_share": found.novel_share,
        "distinct1": found.distinct1,
        "distinct2": found.distinct2,
    }
    return asdict(found) | {key: None if share is None else PERCENT * share for key, share in shares.items()}
