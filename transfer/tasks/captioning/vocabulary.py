"""Words of captions and their numbers. Source: the vocabulary rule of Vinyals et al., "Show and Tell", CVPR 2015.

The rules, exactly:

1. A caption's words are `tokenize(caption)`. Counts are over all words of all training captions, cut ones included.
2. A word is in the vocabulary if it occurs at least `min_count` times. ("More than 5 times" of other codes is
   `min_count=6`.) No word of a caption is ever a special one, however it is spelled.
3. Ids: 0 <pad>, 1 <start>, 2 <end>, 3 <unk>; then the words by falling count, ties by their code points.
4. A caption becomes <start>, the ids of its first `max_words` words, and <end> if it has no more words than that: from
   a caption that was cut nothing is learned about how captions end. A word that is not in the vocabulary is <unk>,
   which is learned as a word is; the search never writes it. <pad> fills a batch and is never learned.
5. Ids become a caption by joining the words before the first <end> with blanks.

The words are those that the metric counts, so that nothing is learned that it drops and nothing is spelled in a way
that it would split: PTB tokens without punctuation ("man's" is man and 's, "don't" do and n't, "o'clock" and "t-shirt"
one word each). The metric tokenises what the model says again; of 20,000 real captions that changes 3, by a full stop.
Other codes differ: the paper's trains on nltk's tokens, punctuation among them; Karpathy's files have their own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from core import atomic
from core.errors import UserError
from eval.captions import regex_tokens

PAD: Final = 0
START: Final = 1
END: Final = 2
UNK: Final = 3
SPECIAL: Final = ("<pad>", "<start>", "<end>", "<unk>")
FILE: Final = "vocabulary.json"
"""Its file in a run's folder."""


def tokenize(caption: str) -> list[str]:
    """The words of a caption, in order: its PTB tokens in lower case without punctuation; empty where there are none.

    By `eval.captions.regex_tokens`, which needs no Java. No word has a blank in it (a mixed number, "1 1/2", is one
    word with a no-break space).
    """
    tokens = regex_tokens.tokenize([caption])[0]
    return tokens.split(" ") if tokens else []


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
        for word in SPECIAL:
            counts.pop(word, None)
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if not kept:
            raise UserError(
                f"vocabulary: expected words that occur at least min_count={min_count} times in the training captions; "
                f"there are {len(counts)} words, the most frequent {max(counts.values(), default=0)} times"
            )
        return cls((*SPECIAL, *kept))

    def encode(self, caption: str, max_words: int) -> list[int]:
        """START, the ids of the words, END. A caption of more than `max_words` words is cut there and has no END."""
        words, ids = tokenize(caption), self._ids
        row = [START, *[ids.get(word, UNK) for word in words[:max_words]]]
        if len(words) <= max_words:
            row.append(END)
        return row

    def decode(self, ids: Sequence[int]) -> str:
        """The words before the first END, joined by blanks; PAD and START are left out."""
        ids = list(ids)
        stop = ids.index(END) if END in ids else len(ids)
        return " ".join(self.words[i] for i in ids[:stop] if i not in (PAD, START))

    def save(self, path: Path) -> None:
        """Write the words as JSON, whole or not at all. OSError: the folder cannot be written, the disk is full."""
        atomic.write_json(path, {"format": _FORMAT, "words": list(self.words)})

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """What `save` wrote. UserError: the file is not there or not a vocabulary."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise UserError(f"{path}: the vocabulary cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise UserError(
                f"{path}: expected a vocabulary, an object with format {_FORMAT} and a list of words, came: {error}. "
                "Remove the file, and the run writes it anew"
            ) from None
        if found.format != _FORMAT:
            raise UserError(f"{path}: expected a vocabulary of format {_FORMAT}, came {found.format}")
        try:
            return cls(found.words)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def keep(self, path: Path) -> None:
        """Save it, or, where a run has saved one there before, check that it is this one.

        Raises:
            UserError: the file holds another vocabulary, or none. OSError: it cannot be written.
        """
        if not path.exists():
            self.save(path)
        elif difference := self.difference(self.load(path)):
            raise UserError(
                f"{path}: this is the vocabulary of other training captions or of another min_count: {difference}. A "
                "run goes on with its own words only: bring its data back, or begin anew in another folder"
            )

    def difference(self, other: "Vocabulary") -> str | None:
        """How `other` differs from this one, in words; None where they are equal."""
        if self.words == other.words:
            return None
        sides = ((other, self, "only there"), (self, other, "only here"))
        parts = [f"{len(other):,} words there, {len(self):,} here"]
        for one, two, where in sides:
            if alone := [word for word in one.words if word not in two._ids and word not in SPECIAL]:
                parts.append(f"{where}: {', '.join(alone[:5])}{', ...' if len(alone) > 5 else ''}")
        if len(parts) == 1:
            first = next(i for i, pair in enumerate(zip(self.words, other.words, strict=True)) if len(set(pair)) > 1)
            parts.append(f"in another order: id {first} is {other.words[first]!r} there, {self.words[first]!r} here")
        return "; ".join(parts)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i >= len(SPECIAL)}


_FORMAT: Final = 1


class _File(msgspec.Struct):
    format: int
    words: tuple[str, ...]
