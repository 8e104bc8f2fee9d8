"""The tokens that the COCO caption server counts: Stanford's PTB tokens in lower case, without punctuation.

pycocoevalcap's jar and its list of punctuation are used, its Python wrapper is not: that one shifts every caption after
one with a line separator to the wrong image, leaves temporary files in site-packages when Java fails, follows the
process's locale and starts Java once for each side. Here one Java process reads all captions from its standard input in
UTF-8, and as many lines as captions must come back.

Two things of the standard are kept, since published numbers have them. The tokenizer looks past the end of a line: a
caption that ends in a single letter and a full stop, or in "no.", keeps the stop or not by how the next caption begins.
So references follow each other in the order of images, and candidates too, as in pycocoevalcap; the two never meet. And
brackets stay, as -lrb- and so on: the list of punctuation has them in capitals.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from core.data.captions import one_line
from eval.captions import java, regex_tokens, token_cache
from eval.errors import EvalError

Tokenizer = Literal["ptb", "regex"]
"""ptb: the standard, by Java. regex: without Java and close to it, not for numbers beside published ones."""

_END: Final = "x"
"""A line after which the lines before are tokenized as at the end of a file."""


def tokenize(captions: Iterable[str], tokenizer: Tokenizer = "ptb") -> list[str]:
    """The tokens of every caption, joined by blanks; an empty string where there is no word.

    Control characters, line separators and lone surrogates count as blanks, but for those that the standard reads as
    Windows's quotes and dashes (`core.data.captions.one_line`).

    Raises:
        EvalError: Java is missing, fails or hangs.
    """
    return tokenize_both(list(captions), (), tokenizer)[0]


def tokenize_both(
    references: Sequence[str], candidates: Sequence[str], tokenizer: Tokenizer = "ptb"
) -> tuple[list[str], list[str]]:
    """The tokens of both, by one start of Java; those of many references are kept on disk for the next time."""
    ours, theirs = ([one_line(text) for text in side] for side in (references, candidates))
    if tokenizer == "regex":
        return regex_tokens.tokenize(ours), regex_tokens.tokenize(theirs)
    jar = _jar()
    key = token_cache.key(ours, jar, Path(__file__))
    known = token_cache.load(key, len(ours))
    if known is not None:
        return known, _stanford(theirs, jar)
    found = _stanford([*ours, _END, *theirs] if theirs else ours, jar)
    token_cache.save(key, found[: len(ours)])
    return found[: len(ours)], found[len(ours) + 1 :]


def _stanford(lines: list[str], jar: Path) -> list[str]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    if not lines:
        return []
    arguments = ["-XX:TieredStopAtLevel=1", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    text = "".join(f"{line}\n" for line in lines)
    out = java.run("the PTB tokenizer", [*arguments, "-preserveLines", "-lowerCase"], text, 120 + 0.01 * len(lines))
    found = out.split("\n")[:-1]
    if len(found) != len(lines):
        raise EvalError(f"the PTB tokenizer gave {len(found)} lines for {len(lines)} captions: {out[:200]!r}")
    drop = frozenset(PUNCTUATIONS)
    # As pycocoevalcap splits: at blanks alone. A mixed number (1 1/2) is one token with a no-break space inside.
    return [" ".join(word for word in line.rstrip().split(" ") if word not in drop) for line in found]


def _jar() -> Path:
    """The tokenizer's program, in pycocoevalcap."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    return Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
