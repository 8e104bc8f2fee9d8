"""METEOR 1.5 of captions, by its own program. Source: Denkowski and Lavie, "Meteor Universal", WMT 2014.

pycocoevalcap's jar is driven here without its Python wrapper, which asks for one caption at a time, follows the
process's locale, reads no error and splits a reference in two at "|||". Options are the caption server's: English,
METEOR's own normalisation of texts, otherwise METEOR's defaults for ranking.

Letters: N images, R resamples.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.captions import java
from eval.captions.corpus import Corpus, Metric, summed
from eval.errors import EvalError

_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_NUMBERS = 23
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)
"""Of exact, stem, synonym and paraphrase matches: the English parameters of METEOR 1.5's default task."""


class Meteor(Metric):
    """meteor, a fraction of 1, from the statistics of all images together."""

    @classmethod
    def require(cls) -> None:
        """EvalError: no Java."""
        java.runtime()

    def __init__(self, corpus: Corpus) -> None:
        """Start the program, which loads its paraphrases for some seconds, and ask for everything at once."""
        lines = [
            " ||| ".join(("SCORE", *map(_plain, references), _plain(candidate)))
            for candidate, references in zip(corpus.candidates, corpus.references, strict=True)
        ]
        found = java.run("METEOR", _arguments(), "".join(f"{line}\n" for line in lines), 300 + 0.3 * len(lines))
        statistics = found.split("\n")[:-1]
        if len(statistics) != len(lines):
            raise EvalError(f"METEOR gave {len(statistics)} lines for {len(lines)} images: {found[:200]!r}")
        try:
            rows = np.array([line.split() for line in statistics], np.float64).reshape(len(lines), _NUMBERS)
        except ValueError:
            raise EvalError(
                f"METEOR's answer cannot be read: {found[:200]!r}, expected {_NUMBERS} numbers a line"
            ) from None
        rows[_same(rows), 20] = 0  # so METEOR sums: a candidate that is its reference has no chunk
        self._statistics = rows
        self.values = {"meteor": float(formula(self._statistics.sum(axis=0, keepdims=True))[0])}
        self.per_image = {"meteor": formula(self._statistics)}

    def resampled(self, weights: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """Exact: METEOR's formula on the summed statistics of the drawn images."""
        return {"meteor": formula(summed(self._statistics, weights))}


def formula(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """METEOR of (summed) statistics: [R, 23] -> [R].

    The 23: words of candidate and reference, function words of both; for each of the four kinds of match the content
    words of candidate and reference and the function words of both; chunks; all matched words of both.
    """
    length, other, functions, other_functions = statistics[:, :4].T
    matches = statistics[:, 4:20].reshape(-1, 4, 4)  # [R, kind, (content of both, function of both)]
    weighted = np.einsum("rks,k->rs", matches, np.array(_WEIGHTS))
    found = _DELTA * weighted[:, :2] + (1 - _DELTA) * weighted[:, 2:]
    asked = _DELTA * np.stack([length - functions, other - other_functions], 1)
    asked += (1 - _DELTA) * np.stack([functions, other_functions], 1)
    precision, recall = np.divide(found, asked, out=np.zeros_like(found), where=asked > 0).T
    weakest = np.minimum(precision, recall) > 0
    mean = np.where(
        weakest, 1 / ((1 - _ALPHA) / np.where(weakest, precision, 1) + _ALPHA / np.where(weakest, recall, 1)), 0
    )
    chunks, both = statistics[:, 20], statistics[:, 21:].mean(axis=1)
    fragments = np.divide(chunks, both, out=np.zeros_like(both), where=both > 0)
    fragments[_same(statistics)] = 0
    return np.asarray(mean * (1 - _GAMMA * fragments**_BETA))


def _same(statistics: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where all words of both match in one chunk: there is no penalty, whose formula would have one: [R]."""
    return np.asarray((statistics[:, 20:23] == np.insert(statistics[:, :2], 0, 1, axis=1)).all(axis=1))


def _plain(tokens: str) -> str:
    """Tokens without METEOR's separator."""
    return tokens.replace("|||", "").replace("  ", " ")


def _arguments() -> list[str]:
    """As pycocoevalcap's wrapper has them."""
    import pycocoevalcap.meteor.meteor as wrapper

    jar = Path(wrapper.__file__).with_name(wrapper.METEOR_JAR)
    return ["-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
