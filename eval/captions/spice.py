"""SPICE of captions, by its own program. Source: Anderson et al., "SPICE", ECCV 2016, arXiv 1607.08822.

The program is in pycocoevalcap, the language models that it needs (two files, 384 MB packed) are not; pycocoevalcap's
wrapper downloads them when it is made. Nothing is downloaded here: SPICE is there for who has put the files in place.
Its own cache of parses is not used: it writes into site-packages, and fails on newer Javas.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from eval.captions import java
from eval.captions.corpus import Corpus, MeanMetric
from eval.errors import EvalError

MODELS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
"""Of stanford-corenlp-full-2015-12-09."""


class Spice(MeanMetric):
    """spice, a fraction of 1: the mean over images of the F-score of scene graphs."""

    @classmethod
    def require(cls) -> None:
        """EvalError: no Java, or the models are not there."""
        java.runtime()
        missing = [str(path) for path in (_folder() / "lib" / name for name in MODELS) if not path.is_file()]
        if missing:
            raise EvalError(
                f"SPICE needs {' and '.join(missing)}, which are not there and are not downloaded: take both from "
                "stanford-corenlp-full-2015-12-09.zip (nlp.stanford.edu), or leave SPICE out of the metrics"
            )

    def __init__(self, corpus: Corpus) -> None:
        """Start the program."""
        found = _ask(corpus, _folder() / "spice-1.0.jar")
        each = np.array([np.nan if value is None else float(value) for value in found], np.float64)
        super().__init__("spice", each, float(np.mean(each)))


def _folder() -> Path:
    """pycocoevalcap's. Its module `spice.spice` is not imported: what it imports downloads when it is called."""
    from pycocoevalcap import spice

    return Path(spice.__file__).parent


def _ask(corpus: Corpus, jar: Path) -> list[Any]:
    """F-scores in the corpus's order. The program wants files: they have no name, so that nothing can stay."""
    pairs = zip(corpus.candidates, corpus.references, strict=True)
    asked = [{"image_id": i, "test": candidate, "refs": list(texts)} for i, (candidate, texts) in enumerate(pairs)]
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as answer:
        question.write(json.dumps(asked).encode())
        question.flush()
        question.seek(0)
        arguments = ["-Xmx8G", "-jar", str(jar), f"/dev/fd/{question.fileno()}"]
        arguments += ["-out", f"/dev/fd/{answer.fileno()}", "-subset", "-silent"]
        java.run("SPICE", arguments, "", 900 + 3.0 * len(asked), (question.fileno(), answer.fileno()))
        answer.seek(0)
        text = answer.read()
    try:
        scores = {entry["image_id"]: entry["scores"]["All"]["f"] for entry in json.loads(text)}
        return [scores[i] for i in range(len(asked))]
    except (ValueError, LookupError, TypeError) as error:
        raise EvalError(f"SPICE's answer cannot be read ({type(error).__name__}: {error}): {text[:200]!r}") from None
