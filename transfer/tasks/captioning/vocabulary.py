"""Words of captions and their numbers. Source: the vocabulary rule of Vinyals et al., "Show and Tell", CVPR 2015.

A caption is lowercased and split into words by `tokenize`; words that occur at least `min_count` times in the training
captions are in the vocabulary, the others become <unk>. A sequence is START, the words' ids, END. PAD fills a batch.

`tokenize` serves training only. The metric tokenises captions again, as the Penn Treebank does; so contractions are
split here as there ("man's" -> man 's, "don't" -> do n't), and punctuation, which the metric drops, is no word here
(the paper's code keeps it: it trains on nltk's tokens).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from core.errors import UserError

PAD: Final = 0
START: Final = 1
END: Final = 2
UNK: Final = 3
SPECIAL: Final = ("<pad>", "<start>", "<end>", "<unk>")

_WORD = re.compile(
    r"n't(?![^\W_])"  # of "do n't", below
    r"|'(?:s|m|d|re|ve|ll)(?![^\W_])"  # 's of "man's"
    r"|[^\W_]+?(?=n't(?![^\W_]))"  # do of "don't"
    r"|[^\W_]+(?:-[^\W_]+)*"  # letters and digits; "t-shirt" is one word
)


def tokenize(caption: str) -> list[str]:
    """The words of a caption, lowercased, in order; empty when there is no letter or digit in it."""
    return _WORD.findall(caption.lower().replace("’", "'"))


@dataclass(frozen=True)
class Vocabulary:
    """The words that a captioning model knows; the id of `words[i]` is i, and `SPECIAL` comes first."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.words[: len(SPECIAL)] != SPECIAL:
            came = ", ".join(self.words[: len(SPECIAL)]) or "none"
            raise UserError(f"vocabulary: expected {', '.join(SPECIAL)} first, got {came}")
        if len(set(self.words)) != len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise UserError(f"vocabulary: expected every word once, {twice!r} is there more than once")

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int) -> "Vocabulary":
        """The words that occur at least `min_count` times, the most frequent first, ties by the alphabet.

        Raises:
            UserError: no word is that frequent.
        """
        counts = Counter(word for caption in captions for word in tokenize(caption))
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if not kept:
            raise UserError(
                f"vocabulary: expected words that occur at least min_count={min_count} times in the training captions; "
                f"there are {len(counts)} words, the most frequent {max(counts.values(), default=0)} times"
            )
        return cls((*SPECIAL, *kept))

    def encode(self, caption: str, max_words: int) -> list[int]:
        """START, the ids of the words, END. A caption of more than `max_words` words is cut there and has no END."""
        words = tokenize(caption)
        ids = [self._ids.get(word, UNK) for word in words[:max_words]]
        return [START, *ids, *([END] if len(words) <= max_words else [])]

    def decode(self, ids: Sequence[int]) -> str:
        """The words before the first END, joined by blanks; PAD and START are left out."""
        ids = list(ids)
        stop = ids.index(END) if END in ids else len(ids)
        return " ".join(self.words[i] for i in ids[:stop] if i not in (PAD, START))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i >= len(SPECIAL)}
