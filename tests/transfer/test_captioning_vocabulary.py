"""The rules of the vocabulary, against numbers worked out by hand, and its file."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from core.data.coco import CocoCaptions
from core.errors import UserError
from transfer.tasks.captioning.vocabulary import END, FILE, PAD, SPECIAL, START, UNK, Vocabulary, tokenize

CAPTIONS = ("A dog runs.", "a dog sits", "The cat sits.")


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man's T-shirt, 2 dogs!", ["a", "man", "'s", "t-shirt", "2", "dogs"]),
        ("They DON'T, it's; we’re", ["they", "do", "n't", "it", "'s", "we", "'re"]),
        ('  café\'s sign - "Größe"', ["café", "'s", "sign", "größe"]),
        ("8 o'clock, St. Louis", ["8", "o'clock", "st.", "louis"]),
        ("1 1/2 dogs", ["1\xa01/2", "dogs"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_are_lowercased_and_split_as_the_metric_splits_them(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


def test_the_metric_counts_the_words_that_a_model_was_taught(real_data: Path) -> None:
    """A caption that is encoded, said, and tokenised for the metric: the words of Stanford's tokenizer come out."""
    pairs = json.loads((real_data / "metrics" / "captions" / "ptb_pairs.json").read_text())[::4]
    vocabulary = Vocabulary.build((caption for caption, _ in pairs), 1)
    said = (vocabulary.decode(vocabulary.encode(caption, 100)) for caption, _ in pairs)
    changed = [tokens for one, (_, tokens) in zip(said, pairs, strict=True) if " ".join(tokenize(one)) != tokens]
    assert len(changed) <= len(pairs) * 0.001, changed


def test_the_threshold_and_the_order() -> None:
    """a 2, dog 2, sits 2; cat, runs, the 1."""
    assert Vocabulary.build(CAPTIONS, 1).words == (*SPECIAL, "a", "dog", "sits", "cat", "runs", "the")
    assert Vocabulary.build(reversed(CAPTIONS), 2).words == (*SPECIAL, "a", "dog", "sits")
    with pytest.raises(UserError, match=r"min_count=3 .* 6 words, the most frequent 2 times"):
        Vocabulary.build(CAPTIONS, 3)
    with pytest.raises(UserError, match=r"there are 0 words, the most frequent 0 times"):
        Vocabulary.build((), 1)


def test_real_captions_are_counted_as_they_are(real_data: Path) -> None:
    """Of the counts of all words: those of min_count and no others, never a less frequent before a more frequent."""
    captions = [one for record in CocoCaptions().records(real_data, "train") for one in record.captions]
    counts = Counter(word for caption in captions for word in tokenize(caption))
    words = Vocabulary.build(captions, 4).words[len(SPECIAL) :]
    assert set(words) == {word for word, count in counts.items() if count >= 4}
    assert [counts[word] for word in words] == sorted((counts[word] for word in words), reverse=True)
    assert len(words) > 100


def test_encoding_marks_rare_words_and_cuts_long_captions_without_an_end() -> None:
    vocabulary = Vocabulary.build(CAPTIONS, 2)
    assert vocabulary.encode("A cat sits.", 3) == [START, 4, UNK, 6, END]
    assert vocabulary.encode("A dog sits.", 2) == [START, 4, 5]
    assert vocabulary.encode("...", 2) == [START, END]


def test_a_caption_cannot_write_a_special_word() -> None:
    captions = [f"{word} dog" for word in SPECIAL] * 5
    vocabulary = Vocabulary.build(captions, 1)
    assert vocabulary.words[len(SPECIAL)] == "dog"
    for caption in captions:
        first, *ids, last = vocabulary.encode(caption, 20)
        assert (first, last) == (START, END)
        assert not {PAD, START, END} & set(ids)


def test_decoding_stops_at_the_first_end() -> None:
    vocabulary = Vocabulary.build(CAPTIONS, 2)
    assert vocabulary.decode([START, 4, 5, END, 6, PAD]) == "a dog"
    assert vocabulary.decode(vocabulary.encode("a dog sits", 20)) == "a dog sits"
    assert vocabulary.decode([END]) == ""


def test_words_that_are_no_vocabulary_are_refused() -> None:
    with pytest.raises(UserError, match="'dog' is there more than once"):
        Vocabulary((*SPECIAL, "dog", "dog"))
    with pytest.raises(UserError, match="<pad>, <start>, <end>, <unk> first, got dog"):
        Vocabulary(("dog",))
    with pytest.raises(UserError, match="<unk> first, got none"):
        Vocabulary(())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(["Größe, 'tis \U0001f415", *CAPTIONS], 1)
    vocabulary.save(tmp_path / FILE)
    assert Vocabulary.load(tmp_path / FILE) == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_run_keeps_its_vocabulary_and_refuses_another(tmp_path: Path) -> None:
    path = tmp_path / FILE
    Vocabulary.build(CAPTIONS, 1).keep(path)
    written = path.read_bytes()
    Vocabulary.build(CAPTIONS, 1).keep(path)
    with pytest.raises(
        UserError, match=r"vocabulary\.json: .*10 words there, 7 here; only there: cat, runs, the\. A run"
    ):
        Vocabulary.build(CAPTIONS, 2).keep(path)
    assert path.read_bytes() == written


def test_how_two_vocabularies_differ() -> None:
    here = Vocabulary((*SPECIAL, "a", "dog"))
    assert here.difference(Vocabulary((*SPECIAL, "a", "dog"))) is None
    other = Vocabulary((*SPECIAL, "a", *"bcdefg"))
    assert here.difference(other) == "11 words there, 6 here; only there: b, c, d, e, f, ...; only here: dog"
    other = Vocabulary((*SPECIAL, "dog", "a"))
    assert here.difference(other) == "6 words there, 6 here; in another order: id 4 is 'dog' there, 'a' here"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "expected a vocabulary"),
        ("[]", "expected a vocabulary"),
        ('{"format": 1}', "missing required field `words`. Remove the file"),
        ('{"format": 1, "words": [1]}', "Expected `str`, got `int` - at `$.words[0]`"),
        (json.dumps({"format": 2, "words": SPECIAL}), "expected a vocabulary of format 1, came 2"),
        (json.dumps({"format": 1, "words": ["a"]}), "<unk> first, got a"),
        (None, "the vocabulary cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_is_no_vocabulary(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / FILE
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*{re.escape(reason)}"):
        Vocabulary.load(path)
