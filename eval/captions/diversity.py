"""How varied the captions of a model are, as one set: no reference is looked at.

distinct-n: Li et al., arXiv 1510.03055. Their denominator is the number of words; here, as in much public code, it is
that of n-grams, so that n-grams that all differ give 1 for every n. Vocabulary, novel captions and mean length: as in
Shetty et al., arXiv 1703.10476, and van Miltenburg et al., COLING 2018 (C18-1147).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from eval.errors import EvalError


@dataclass(frozen=True)
class Diversity:
    """Of captions as tokens. Words are tokens; shares are fractions of 1."""

    captions: int
    """How many there are, one an image."""
    different: int
    """How many are left when each is counted once."""
    vocabulary: int
    """How many different words they use: V."""
    words: int
    """How many words they have, counted each time: W."""
    mean_length: float
    """Words of a caption: W / captions."""
    distinct1: float
    """Different words / words: V / W. 0 where there is no word."""
    distinct2: float
    """Different bigrams / bigrams; a bigram is two words next to each other in a caption. 0 where there is none."""
    novel: int | None = None
    """How many captions have words and are not among the training captions, token by token. None: not asked for."""

    @property
    def different_share(self) -> float:
        """Of the captions, how many are left when each is counted once."""
        return self.different / self.captions

    @property
    def novel_share(self) -> float | None:
        """Of the captions (the same novel one counts each time), how many are novel. None: not asked for."""
        return None if self.novel is None else self.novel / self.captions


def diversity(tokens: Sequence[str], training: Iterable[str] | None = None) -> Diversity:
    """Diversity of captions.

    Distinct-n and the share of different captions fall with the number of captions: compare sets of one size only.

    Args:
        tokens: of each caption, joined by blanks, as `eval.captions.tokens.tokenize` gives them; "" has no words.
        training: tokens of the training captions, by the same tokenizer; None: novel captions are not asked for.

    Raises:
        EvalError: no captions.
    """
    if isinstance(tokens, str) or not tokens:
        raise EvalError(f"diversity: expected a list of at least one caption's tokens, got {tokens!r:.80}")
    words: list[str] = []
    bigrams: list[tuple[str, str]] = []
    for caption in tokens:
        one = caption.split()
        words += one
        bigrams += pairwise(one)
    vocabulary = len(set(words))
    return Diversity(
        captions=len(tokens),
        different=len(set(tokens)),
        vocabulary=vocabulary,
        words=len(words),
        mean_length=len(words) / len(tokens),
        distinct1=vocabulary / max(len(words), 1),
        distinct2=len(set(bigrams)) / max(len(bigrams), 1),
        novel=None if training is None else _novel(tokens, training),
    )


def _novel(tokens: Sequence[str], training: Iterable[str]) -> int:
    missing = {caption for caption in tokens if caption}
    missing.difference_update(training)
    return sum(caption in missing for caption in tokens)
