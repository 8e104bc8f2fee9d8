"""Tokens without Java beside the standard's."""

import json
import random
from pathlib import Path

import pytest

from eval.captions.regex_tokens import _tokens, tokenize

LIKE_THE_STANDARD = {
    "A man's dogs' \"toy\" isn't here; they've it.": "a man 's dogs toy is n't here they 've it",
    "Cannot, gonna & gotta: 'tis the o'clock rock'n'roll": "can not gon na & got ta 't is the o'clock rock 'n' roll",
    "Two T-shirts (black/white) on a table...": "two t-shirts -lrb- black/white -rrb- on a table",
    "At 5 p.m. Mr. Smith is in the U.S. on St. Louis Ave.": "at 5 p.m. mr. smith is in the u.s. on st. louis ave.",
    "grass.The man , dog.,": "grass.the man dog.",
    "10:30am, 1,000 people, 3.5 of 1 1/2, 50% $5 #1": "10:30 am 1,000 people 3.5 of 1\xa01/2 50 % $ 5 # 1",
    "wow!! what?! no. 5 and no.": "wow !! what ?! no. 5 and no",
    "the letter I. The dog": "the letter i the dog",
    "a word <unk> <end> :) @home #tag R&B AT&T b&w": "a word <unk> <end> :-rrb- @home #tag r&b at&t b & w",
    "man’s don’t “so” – … naïve café ½ €5 ‘a’": "man 's do n't so naïve café 1/2 $ 5 a",
    "Plan B. THE MAN": "plan b the man",
    "plan B. tHE man. Plan B. The.": "plan b. the man plan b. the",
    "W.W.II, J.C.Penney, a.m.-p.m. W.W.2": "w.w.ii j.c.penney a.m.-p.m. w.w. 2",
    "good ol' boy's li'l nat'l o'clock.,": "good ol' boy 's li'l nat'l o'clock.",
    "the '90S and '57 Chevy, '57, 5'10\" tall": "the '90s and '57 chevy 57 5 10 tall",
    "1½ cakes of the '00s and '20s": "1 1/2 cakes of the 00s and '20s",
    "onn't a@b.c. it''s the fro’snt sig''n glaze@d, w@ith?": "onn t a@b.c it s the fro 's nt sig n glaze@d, w@ith?",
    "salt 'n pepper, ('n)": "salt 'n pepper -lrb- n -rrb-",
    "Texas A&amp;M, &lt;3 it&#39;s": "texas a&m < 3 it &#39; s",
    "3-way/4-way, 2-1/2, 1/2-2": "3-way/4-way 2-1/2 1/2 -2",
    "66., t-shirt.; A&M.: a #1., 10:30., don't.,": "66. t-shirt. a&m. a # 1. 10:30 do n't",
    "(555) 555-1234 and (555)555-1234": "-lrb-555-rrb-\xa0555-1234 and -lrb-555-rrb-555-1234",
    "HTTP://A.COM/b flickr.com/photos a.com/b on@a": "http://a.com/b flickr.com/photos a.com / b on@a",
    "## ** >> * # > 5′ ★★ → ♥ ±5": "## ** >> * # > 5 ′ ★ ★ → ♥ ± 5",
    "-lrb- all -rrb-": "-lrb- all -rrb-",
    "...": "",
    "": "",
}
"""What CoreNLP 3.4.1 gives; `test_the_standard_says_so` asks it."""


def test_like_the_standard() -> None:
    assert dict(zip(LIKE_THE_STANDARD, tokenize(list(LIKE_THE_STANDARD)), strict=True)) == LIKE_THE_STANDARD


def test_the_standard_says_so() -> None:
    from eval.captions.tokens import tokenize as standard

    lines = [line for text in LIKE_THE_STANDARD for line in (text, "x")]  # "x": no sentence begins there
    assert dict(zip(LIKE_THE_STANDARD, standard(lines)[::2], strict=True)) == LIKE_THE_STANDARD


def test_agreement(real_data: Path) -> None:
    pairs = json.loads((real_data / "metrics/captions/ptb_pairs.json").read_text())
    found = tokenize([" ".join(text.split("\n")) for text, _ in pairs])
    same = sum(one == expected for one, (_, expected) in zip(found, pairs, strict=True))
    assert same / len(pairs) >= 0.9998


def test_chunks_give_what_the_whole_gives() -> None:
    rng = random.Random(0)
    letters = "aA.,'\"-<>/&;:!?()$%@#*\\^=+ 01no. I. 1/2 n't 's ’sé½"
    for _ in range(8_000):
        text = "".join(rng.choice(letters) for _ in range(rng.randint(0, 25)))
        assert tokenize([text])[0] == _tokens(text)


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a@." * 20_000, "a," * 20_000, "a." * 20_000, "1/" * 20_000, "'" * 50_000, "(" * 50_000]
)
def test_long_words_take_no_time(text: str) -> None:
    assert tokenize([text])[0] or set(text) == {"'"}
