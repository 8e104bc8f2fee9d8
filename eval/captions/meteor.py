"""METEOR 1.5 of captions, by its own program. Source: Denkowski and Lavie, "Meteor Universal", WMT 2014.

pycocoevalcap's jar is driven here without its Python wrapper, which asks for one caption at a time, follows the
process's locale, reads no error and splits a reference in two at "|||". Options are the caption server's: English,
METEOR's own normalisation of texts, otherwise METEOR's defaults for ranking.

Letters: N images, R resamples.
"""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from eval.captions import java
from eval.captions.corpus import Corpus, Metric, summed
from eval.errors import EvalError

_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)
"""Of exact, stem, synonym and paraphrase matches: the English parameters of METEOR 1.5's default task."""
_NUMBERS = 23
"""Statistics of a caption that METEOR prints."""


class Meteor(Metric):
    """meteor, a fraction of 1, from the statistics of all images together."""

    def __init__(self, corpus: Corpus) -> None:
        """Start the program, which loads its paraphrases for some seconds, and ask for everything at once."""
        lines = [
            " ||| ".join(("SCORE", *map(_plain, references), _plain(candidate)))
            for candidate, references in zip(corpus.candidates, corpus.references, strict=True)
        ]
        with _Program(timeout=300 + 0.3 * len(lines)) as program:
            statistics = program.ask(lines, len(lines))
            scores = program.ask(["EVAL ||| " + " ||| ".join(statistics)], len(lines) + 1)
        self._statistics = np.array([line.split() for line in statistics], np.float64).reshape(-1, _NUMBERS)
        each = np.array(scores, np.float64)
        self.values = {"meteor": float(each[-1])}
        self.per_image = {"meteor": each[:-1]}

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
        weakest, 1 / (_ALPHA / np.where(weakest, precision, 1) + (1 - _ALPHA) / np.where(weakest, recall, 1)), 0
    )
    chunks, *matched = statistics[:, 20:].T
    both = sum(matched) / 2
    fragments = np.divide(chunks, both, out=np.zeros_like(both), where=both > 0)
    fragments[(matched[0] == length) & (matched[1] == other) & (chunks == 1)] = 0
    return np.asarray(mean * (1 - _GAMMA * fragments**_BETA))


def _plain(tokens: str) -> str:
    """Tokens without METEOR's separator."""
    return " ".join(tokens.replace("|||", "").split(" "))


class _Program:
    """The running program: a context."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._late = False

    def __enter__(self) -> "_Program":
        import pycocoevalcap.meteor.meteor as wrapper

        jar = Path(wrapper.__file__).with_name(wrapper.METEOR_JAR)
        command = [str(java.runtime()), "-Xmx2G", *java.OPTIONS, "-jar", str(jar)]
        command += ["-", "-", "-stdio", "-l", "en", "-norm"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise EvalError(f"METEOR cannot be started: {error}") from None
        self._said: list[bytes] = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self._timer = threading.Timer(self._timeout, self._stop)
        self._timer.daemon = True
        self._timer.start()
        return self

    def ask(self, lines: Sequence[str], answers: int) -> list[str]:
        """As many lines as expected. They are written beside the reading: a pipe that is full would stop both."""
        writer = threading.Thread(target=self._write, args=(lines,), daemon=True)
        writer.start()
        assert self._process.stdout is not None
        found = [self._process.stdout.readline() for _ in range(answers)]
        writer.join(self._timeout)
        if not found[-1].endswith(b"\n"):
            raise EvalError(self._failure())
        wrong = next((line for line in found if line.startswith(b"Error")), None)
        if wrong is not None:
            raise EvalError(f"METEOR does not understand what it was asked: {wrong.decode(errors='replace').strip()}")
        return [line.decode().strip() for line in found]

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _close(pipe)

    def _write(self, lines: Sequence[str]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode(errors="replace"))
            self._process.stdin.flush()
        except (OSError, ValueError):
            return  # it died: the reader sees that, and says so

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._said.extend(self._process.stderr)

    def _stop(self) -> None:
        self._late = True
        self._process.kill()

    def _failure(self) -> str:
        code = self._process.wait()
        self._reader.join(5)
        if self._late:
            return f"METEOR was stopped: it had not answered after {self._timeout:.0f} seconds{java.said(b''.join(self._said))}"
        return f"METEOR failed with exit code {code}{java.said(b''.join(self._said))}"


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        return  # what was still to be written has no reader
