"""Beam search for all images of a batch at once, on tensors. It knows no model: only a function that makes one step.

N: images, n: those still searched, K: beams, k: beams of a step (1 at first, then K where there are so many
continuations), M = n x k: rows of the model's state, V: words, L: `max_words` + 1, the ids of the longest caption.

Rules. A caption is one or more words followed by END. PAD, START and `never` are not written at all. END cannot come
before `min_words` words, and after `max_words` words only END can come, so that every caption is finished. With
`no_repeat` = g > 0 no g words follow each other twice in a caption (1: no word twice). Where that leaves a beam no word
at all before `min_words`, END may come: such a caption is shorter, but never empty.
A caption's score is the log-probability of all its words and of END under the model. Probabilities are the model's own:
what is forbidden is not redistributed. Scores are float32, float64 where the logits are.

Search. Each step keeps the K best continuations of an image's beams; of equal ones those of the better beam, then those
with the lower word id. A continuation with END is a finished caption: it is put aside, and its beam is free at the next
step (so ruotianluo/ImageCaptioning.pytorch; not so sgrvinod's tutorial, where the search goes on with a beam less).
The best of all captions put aside is returned: the largest score / length ** alpha, length with END; of equal ones that
found first. The beam itself goes by score alone. An image's search is over when no beam can beat its best caption any
more: scores only fall, and no caption is longer than L. So stopping early changes no result.

Beam 1 is greedy: the most probable word that is allowed, until END. Greedy's caption can fall out of a larger beam and
yet be better than what that finds. Where it fell out and could still be better, it is searched separately, and the
better one is returned: beam K is never worse than greedy, by score / length ** alpha. (Up to the rounding of the
model's own arithmetic, which may depend on how many rows it is given.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Final, NamedTuple, TypeAlias

import torch
from torch import Tensor

from core.errors import UserError

State: TypeAlias = tuple[Tensor, ...]  # every tensor [M, ...]; follows the beams
Memory: TypeAlias = tuple[Tensor, ...]  # every tensor [n, ...]; what each step sees of the images, all beams alike
Step: TypeAlias = Callable[[Tensor, State, Memory], tuple[Tensor, State]]
"""(last words [M], state, memory) -> (logits [M, V], state); the k = M // n beams of an image one after another."""

_LOOK_EVERY: Final = 4  # steps between two looks at which images are over, where a look makes the host wait


@dataclass(frozen=True)
class Rules:
    """What `search` may write; the module's docstring says what each field means exactly."""

    pad: int
    """Id that fills a caption after END."""
    start: int
    """Id before the first word."""
    end: int
    """Id after the last word."""
    never: tuple[int, ...]
    """Other ids that are never written."""
    max_words: int
    """Most words of a caption."""
    alpha: float = 0.0
    """Length normalisation. 0: none."""
    min_words: int = 1
    """Fewest words of a caption."""
    no_repeat: int = 0
    """Length of the n-grams that come once at most. 0: no such rule."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 1 <= self.min_words <= self.max_words:
            raise ValueError(f"expected 1 <= min_words <= max_words, got {self.min_words} and {self.max_words}")
        if not self.alpha >= 0 or self.no_repeat < 0:
            raise ValueError(f"expected alpha and no_repeat of 0 or more, got {self.alpha} and {self.no_repeat}")
        if self.end in (self.pad, self.start, *self.never):
            raise ValueError(f"end: expected an id that may be written, got {self.end}, which is forbidden")


@torch.inference_mode()
def search(step: Step, state: State, memory: Memory, *, beam: int, rules: Rules) -> tuple[Tensor, Tensor]:
    """The best caption of each image.

    Args:
        step: the model. It is called with n x k rows, and with the memory of those n images.
        state: the model's state before START, one row for each image; one tensor at least.
        memory: what every step sees of the images, one row for each.
        beam: how many beams, K.
        rules: which captions there are.

    Returns:
        Word ids int64 [N, L], PAD after END, without START; and their scores [N]: log-probability / length ** alpha.

    Raises:
        UserError: a vocabulary without words, or a model whose probabilities are not numbers.
    """
    if beam < 1:
        raise ValueError(f"beam: expected at least 1, got {beam}")
    none = torch.full(state[0].shape[:1], -torch.inf, device=state[0].device)
    words, scores, lost = _searched(step, state, memory, none, beam, rules)
    again = (lost > scores).nonzero().squeeze(1)
    if beam > 1 and len(again) > 0:
        greedy, found, _ = _searched(step, _take(state, again), _take(memory, again), scores[again], 1, rules)
        wins = found > scores[again]
        words[again[wins]], scores[again[wins]] = greedy[wins], found[wins]
    if not bool(scores.isfinite().all()):
        raise UserError("captioning: expected logits that are finite numbers, the model gives others; did it diverge?")
    return words, scores


def _searched(
    step: Step, state: State, memory: Memory, least: Tensor, beam: int, rules: Rules
) -> tuple[Tensor, Tensor, Tensor]:
    """The best captions, their scores, and `_Beams.lost`. Only captions that score above `least` [N] count."""
    device = least.device
    never = torch.tensor([rules.pad, rules.start, *rules.never], device=device)
    beams, rows, done, room = _first(least, rules), state, [], least.new_empty(0)
    for length in range(rules.max_words + 1 if len(least) else 0):
        logits, rows = step(beams.last.flatten(), rows, memory)
        if len(room) < len(logits):
            room = logits.new_empty(logits.shape, dtype=torch.promote_types(logits.dtype, torch.float32))
        log_p = torch.log_softmax(logits, 1, dtype=room.dtype, out=room[: len(logits)])
        _forbid(log_p, beams, length, rules, never)
        beams, source = _advance(beams, log_p.view(*beams.last.shape, -1), length, beam, rules)
        if _looks(device, length):
            alive = (~beams.over).nonzero().squeeze(1)
            if len(alive) == 0:
                break
            if len(alive) < len(source):
                done.append(beams.at(beams.over.nonzero().squeeze(1)))
                beams, source, memory = beams.at(alive), source[alive], _take(memory, alive)
        rows = _take(rows, source.flatten())
    return _gathered([*done, beams])


def _looks(device: torch.device, length: int) -> bool:
    """Whether to look which images are over, after this step."""
    return device.type == "cpu" or length % _LOOK_EVERY == _LOOK_EVERY - 1


class _Beams(NamedTuple):
    """The searches of n images, every tensor [n, ...]."""

    image: Tensor  # [n] which image it is
    last: Tensor  # [n, k] the last word
    score: Tensor  # [n, k] log-probability so far, the best first; -inf: no such beam
    words: Tensor  # [n, k, length] words so far
    best: Tensor  # [n, L] the best caption put aside; PAD where none is
    best_score: Tensor  # [n] its score / length ** alpha; -inf where none is
    over: Tensor  # [n] whether nothing can beat it
    greedy: Tensor  # [n] the beam that greedy's caption is in; -1: in none, it is finished or lost
    lost: Tensor  # [n] what greedy's score / length ** alpha is below, where it was lost; else -inf

    def at(self, index: Tensor) -> "_Beams":
        """Those of some of the images."""
        return _Beams(*(tensor.index_select(0, index) for tensor in self))


def _first(least: Tensor, rules: Rules) -> _Beams:
    """Before the first word: one beam each."""
    images, device = len(least), least.device
    return _Beams(
        image=torch.arange(images, device=device),
        last=torch.full((images, 1), rules.start, device=device),
        score=torch.zeros(images, 1, device=device),
        words=torch.full((images, 1, 0), rules.pad, device=device),
        best=torch.full((images, rules.max_words + 1), rules.pad, device=device),
        best_score=least,
        over=torch.zeros(images, dtype=torch.bool, device=device),
        greedy=torch.zeros(images, dtype=torch.int64, device=device),
        lost=torch.full((images,), -torch.inf, device=device),
    )


def _forbid(log_p: Tensor, beams: _Beams, length: int, rules: Rules, never: Tensor) -> None:
    """Set log-probabilities [M, V] after `length` words to -inf where the rules forbid the word."""
    if log_p.shape[1] <= len({rules.pad, rules.start, rules.end, *rules.never}):
        raise UserError(f"captioning: expected a vocabulary with words, got {log_p.shape[1]} ids that are none")
    end = log_p[:, rules.end].clone()
    if length == rules.max_words:
        log_p.fill_(-torch.inf)
        log_p[:, rules.end] = end
        return
    log_p.index_fill_(1, never, -torch.inf)
    if length < rules.min_words:
        log_p[:, rules.end] = -torch.inf
    if rules.no_repeat > 0:
        log_p.scatter_(1, _repeats(beams.words.flatten(0, 1), rules), -torch.inf)
        if 0 < length < rules.min_words:
            stuck = log_p.amax(1) == -torch.inf
            log_p[:, rules.end] = end.where(stuck, -torch.inf)


def _repeats(words: Tensor, rules: Rules) -> Tensor:
    """Of words so far [M, length]: those [M, any] that would end an n-gram for the second time, PAD in other places."""
    size = rules.no_repeat
    if words.shape[1] < size:
        return words[:, :0]
    grams = words.unfold(1, size, 1)  # [M, length - size + 1, size]
    newest = words[:, words.shape[1] - size + 1 :]  # [M, size - 1]
    known = (grams[:, :, :-1] == newest[:, None]).all(2)  # all of them for size 1
    return grams[:, :, -1].where(known, rules.pad)


def _advance(beams: _Beams, log_p: Tensor, length: int, beam: int, rules: Rules) -> tuple[_Beams, Tensor]:
    """One word more, after `length` words; and the row [n, k] of the model's state that each beam comes from."""
    images, width, vocabulary = log_p.shape
    score, picked = _continuations(log_p, beams.score, beam)  # [n, k], k of the next step
    source, last = picked // vocabulary, picked % vocabulary
    past = beams.words.gather(1, source[:, :, None].expand(-1, -1, length))
    words = torch.cat([past, last[:, :, None]], dim=2)  # [n, k, length + 1]
    ended = (last == rules.end) & (score > -torch.inf)
    best, best_score = _put_aside(beams, words, score, ended, rules)
    live = score.masked_fill(ended, -torch.inf)
    longest = (rules.max_words + 1) ** rules.alpha
    mine = source == beams.greedy[:, None]  # a beam's most probable continuation is the first of those picked
    mine_at = mine.int().argmax(1, keepdim=True)
    lost = ~mine.any(1) & (beams.greedy >= 0)
    goes_on = mine.any(1) & ~ended.gather(1, mine_at)[:, 0]
    advanced = _Beams(
        image=beams.image,
        last=last,
        score=live,
        words=words,
        best=best,
        best_score=best_score,
        over=beams.over | ~(live.amax(1) / longest > best_score),
        greedy=mine_at[:, 0].where(goes_on, -1),
        lost=torch.where(lost, score[:, -1] / longest, beams.lost),  # what was not picked is below what was
    )
    return advanced, torch.arange(images, device=source.device)[:, None] * width + source


def _put_aside(beams: _Beams, words: Tensor, score: Tensor, ended: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """The best captions [n, L] and their scores [n], with those that this step finished."""
    length = words.shape[2]
    first = ended.int().argmax(1, keepdim=True)  # all are as long, so that the first is the best of them
    found = (score.gather(1, first)[:, 0] / length**rules.alpha).where(ended.any(1), -torch.inf)
    better = (found > beams.best_score) & ~beams.over
    caption = words.gather(1, first[:, :, None].expand(-1, -1, length))[:, 0]
    caption = torch.nn.functional.pad(caption, (0, rules.max_words + 1 - length), value=rules.pad)
    return torch.where(better[:, None], caption, beams.best), torch.where(better, found, beams.best_score)


def _continuations(log_p: Tensor, score: Tensor, beam: int) -> tuple[Tensor, Tensor]:
    """Score and place (beam x V + word) of the best continuations of [n, k, V], the best first; both [n, k of next].

    The K best of all k x V are in the K blocks of words whose best is best, so that only these are looked into.
    """
    _, width, vocabulary = log_p.shape
    size = max(1, isqrt(vocabulary))  # words of a block; the last one's may be fewer
    peaks = torch.nn.functional.max_pool1d(log_p, size, ceil_mode=True)  # [n, k, blocks]
    blocks = peaks.shape[2]
    block = _largest((peaks + score[:, :, None]).flatten(1), min(beam, width * blocks)).sort(1).values  # [n, b]
    owner = block // blocks
    word = (block % blocks * size)[:, :, None] + torch.arange(size, device=block.device)  # [n, b, size]
    place = owner[:, :, None] * vocabulary + word.clamp(max=vocabulary - 1)
    value = log_p.flatten(1).gather(1, place.flatten(1)).view(place.shape) + score.gather(1, owner)[:, :, None]
    value = value.masked_fill(word >= vocabulary, -torch.inf).flatten(1)
    picked = _largest(value, min(beam, width * vocabulary))
    return value.gather(1, picked), place.flatten(1).gather(1, picked)


def _largest(values: Tensor, count: int) -> Tensor:
    """Places [n, count] of the largest of [n, any], the largest first; of equal ones the first (topk: any)."""
    least = values.topk(count, dim=1).values[:, -1:]
    rank = (values > least).long() + (values >= least).long()  # 2: among them for certain, 1: as many as there is room
    index = torch.arange(values.shape[1], device=values.device)
    among = (rank * values.shape[1] - index).topk(count, dim=1).indices  # of one rank, the first place first
    return among.gather(1, values.gather(1, among).sort(dim=1, descending=True, stable=True).indices)


def _take(state: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.index_select(0, rows) for tensor in state)


def _gathered(parts: list[_Beams]) -> tuple[Tensor, Tensor, Tensor]:
    """Captions [N, L], scores [N] and `lost` [N] of all images, in the batch's order."""
    order = torch.cat([part.image for part in parts]).argsort()
    words, scores, lost = (
        torch.cat(tensors)[order] for tensors in zip(*((p.best, p.best_score, p.lost) for p in parts), strict=True)
    )
    return words, scores, lost
