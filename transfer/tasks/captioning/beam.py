"""Beam search for all images of a batch at once, on tensors. It knows no model: only a function that makes one step.

N: images, K: beams, M = N x K: rows of the model's state, V: words, L: words of the longest caption plus END.

Rules. A caption is one or more words followed by END: END cannot come first, nor PAD, START or <unk> at all, and after
`max_words` words only END can follow, so that every caption is finished and its score is the log-probability of all its
words and of END under the model. Probabilities are the model's own: what is forbidden is not redistributed.
Each step keeps the K best of all continuations, a finished caption being its own only one (at no cost); so a finished
caption keeps its beam until K better ones push it out. Without length normalisation (alpha = 0) the search is over for
an image when its best caption is finished, since scores only fall. With alpha > 0 captions compete by score /
length ** alpha (length with END) at the end only; the beam itself goes by score.
Greedy's caption can fall out of a plain beam search and yet be better than what that finds. Where it fell out it is
searched separately, and the better one is returned: beam K is never worse than greedy; beam 1 is greedy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Tensor, ...]  # every tensor [M, ...]; follows the beams
Memory: TypeAlias = tuple[Tensor, ...]  # every tensor [N, ...]; what each step sees of the images, all beams alike
Step: TypeAlias = Callable[[Tensor, State, Memory], tuple[Tensor, State]]
"""(last words [M], state, memory) -> (logits [M, V], state)"""


@dataclass(frozen=True)
class Rules:
    """What `search` may write. Word ids `pad`, `start`, `end`; `never`: other ids that are never produced."""

    pad: int
    start: int
    end: int
    never: tuple[int, ...]
    max_words: int
    alpha: float = 0.0
    min_words: int = 1
    no_repeat: int = 0


@torch.inference_mode()
def search(step: Step, state: State, memory: Memory, *, beam: int, rules: Rules) -> tuple[Tensor, Tensor]:
    """The best caption of each image.

    Args:
        step: the model. It is called with N x K rows, the K beams of an image one after another.
        state: the model's state before START, one row for each image.
        memory: what every step sees of the images, one row for each.
        beam: how many beams, K.
        rules: which captions there are.

    Returns:
        Word ids int64 [N, L], PAD after END, without START; and their scores [N]: log-probability / length ** alpha.
    """
    beams = _Beams(state[0].shape[0], beam, rules, state[0].device)
    rows = _take(state, beams.image.flatten())
    for length in range(rules.max_words + 1):
        logits, rows = step(beams.last.flatten(), rows, memory)
        rows = _take(rows, beams.advance(logits, length))
        if bool(beams.over.all()):
            break
    words, scores = beams.best()
    lost = (~beams.greedy_kept).nonzero().squeeze(1)
    if beam > 1 and len(lost) > 0:
        greedy, greedy_scores = search(step, _take(state, lost), _take(memory, lost), beam=1, rules=rules)
        words, scores = _better(words, scores, lost, greedy, greedy_scores, rules.pad)
    return words, scores


class _Beams:
    """The beams of all images: words, scores, and which of them follows greedy's caption."""

    def __init__(self, images: int, beam: int, rules: Rules, device: torch.device) -> None:
        self.rules = rules
        self.image = torch.arange(images, device=device)[:, None].expand(images, beam)  # [N, K]
        self.score: Tensor | None = None  # [N, K]; None: before the first step, when only beam 0 exists
        self.words = torch.full((images, beam, 0), rules.pad, device=device)  # [N, K, length]
        self.last = torch.full((images, beam), rules.start, device=device)  # [N, K]
        self.finished = torch.zeros(images, beam, dtype=torch.bool, device=device)
        self.over = torch.zeros(images, dtype=torch.bool, device=device)
        self.greedy = torch.zeros(images, dtype=torch.int64, device=device)  # which beam is greedy's, where kept
        self.greedy_kept = torch.ones(images, dtype=torch.bool, device=device)

    def advance(self, logits: Tensor, length: int) -> Tensor:
        """Keep the K best continuations; `length` words are there. Returns the row [M] that each comes from."""
        beam = self.image.shape[1]
        total, words = self._continuations(logits, length)  # both [N, K, C]
        choices = total.shape[2]
        self.score, picked = total.flatten(1).topk(beam, dim=1)  # [N, K]
        source = picked // choices
        follows = picked == (self.greedy * choices)[:, None]  # a beam's first continuation is its most probable one
        self.greedy_kept &= follows.any(1) | self.over
        self.greedy = follows.int().argmax(1)
        self.last = words.flatten(1).gather(1, picked)
        past = self.words.gather(1, source[:, :, None].expand(-1, -1, length))
        self.words = torch.cat([past, self.last[:, :, None]], dim=2)
        self.finished = self.finished.gather(1, source) | (self.last == self.rules.end)
        self.over = self.finished[:, 0] if self.rules.alpha == 0 else self.finished.all(1)
        return (self.image * beam + source).flatten()

    def _continuations(self, logits: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Scores and words of every beam's best C = min(K, V) continuations, the best first; both [N, K, C]."""
        images, beam = self.image.shape
        log_sum = logits.logsumexp(1).view(images, beam, 1)
        best, words = self._allowed(logits, length).topk(min(beam, logits.shape[1]), dim=1)
        best, words = best.view(images, beam, -1) - log_sum, words.view(images, beam, -1)
        best = best.masked_fill(self.finished[:, :, None], -torch.inf)
        best[:, :, 0] = best[:, :, 0].masked_fill(self.finished, 0.0)
        words = words.masked_fill(self.finished[:, :, None], self.rules.pad)
        if self.score is None:
            best[:, 1:] = -torch.inf
            return best, words
        return best + self.score[:, :, None], words

    def _allowed(self, logits: Tensor, length: int) -> Tensor:
        """`logits` [M, V] with -inf where the rules forbid the word after `length` words."""
        rules = self.rules
        if length == rules.max_words:
            only_end = torch.full_like(logits, -torch.inf)
            only_end[:, rules.end] = logits[:, rules.end]
            return only_end
        forbidden = [rules.pad, rules.start, *rules.never, *([rules.end] if length == 0 else [])]
        return logits.index_fill(1, torch.tensor(forbidden, device=logits.device), -torch.inf)

    def best(self) -> tuple[Tensor, Tensor]:
        """The best finished caption [N, L] of each image and its score [N]."""
        assert self.score is not None
        length = (self.words != self.rules.pad).sum(2).to(self.score.dtype)  # with END
        score = (self.score / length**self.rules.alpha).masked_fill(~self.finished, -torch.inf)
        score, index = score.max(1)
        return self.words.gather(1, index[:, None, None].expand(-1, -1, self.words.shape[2])).squeeze(1), score


def _take(state: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.index_select(0, rows) for tensor in state)


def _better(
    words: Tensor, scores: Tensor, images: Tensor, other: Tensor, other_scores: Tensor, pad: int
) -> tuple[Tensor, Tensor]:
    """`words` and `scores`, replaced by the others at `images` where those score higher."""
    wins = other_scores > scores[images]
    length = max(words.shape[1], other.shape[1])
    words = torch.nn.functional.pad(words, (0, length - words.shape[1]), value=pad)
    other = torch.nn.functional.pad(other, (0, length - other.shape[1]), value=pad)
    words[images[wins]] = other[wins]
    scores[images[wins]] = other_scores[wins]
    return words, scores
