"""The tokens that the COCO caption server counts: Stanford's PTB tokens in lower case, without punctuation.

pycocoevalcap's jar and its list of punctuation are used, its Python wrapper is not: that one shifts every caption after
one with a line separator to the wrong image, leaves temporary files in site-packages when Java fails, follows the
process's locale and starts Java once for each side. Here a Java process reads all captions from its standard input in
UTF-8, and as many lines as captions must come back.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from eval.captions import java
from eval.errors import EvalError

Tokenizer = Literal["ptb", "regex"]
"""ptb: the standard, by Java. regex: without Java and close to it, not for numbers beside published ones."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, all that Java or Python may take for the end of a line, and lone surrogates."""


def tokenize(captions: Iterable[str], tokenizer: Tokenizer = "ptb") -> list[str]:
    """The tokens of every caption, joined by blanks; an empty string where there is no word.

    Control characters, line separators and lone surrogates count as blanks.

    Raises:
        EvalError: Java is missing, fails or hangs.
    """
    lines = [_CONTROL.sub(" ", caption) for caption in captions]
    if tokenizer == "regex":
        raise EvalError("the regex tokenizer is not there yet")
    return _stanford(lines) if lines else []


def _stanford(lines: list[str]) -> list[str]:
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    arguments = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    found = java.run(
        "the PTB tokenizer", arguments, "".join(f"{line}\n" for line in lines), 120 + 0.01 * len(lines)
    ).split("\n")[:-1]
    if len(found) != len(lines):
        raise EvalError(f"the PTB tokenizer gave {len(found)} lines for {len(lines)} captions")
    drop = frozenset(ptbtokenizer.PUNCTUATIONS)
    # As pycocoevalcap splits: at blanks alone. A mixed number (1 1/2) is one token with a no-break space inside.
    return [" ".join(word for word in line.rstrip().split(" ") if word not in drop) for line in found]
