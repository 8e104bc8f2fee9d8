"""Teacher forcing on packed captions: the longest first, step after step, no row for PAD; scheduled sampling in it.

Letters as in `decoder`; R: inputs of a batch, which is words, all captions together, as many as `decoder.targets` has.
What is "packed" is [R, ...]: the first step's rows, one for each caption, then the second's, for those that have one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from transfer.tasks.captioning.beam import State
from transfer.tasks.captioning.vocabulary import PAD


@dataclass(frozen=True)
class Packed:
    """The inputs of a batch: all ids but each caption's last."""

    words: Tensor
    """int64 [R], packed."""
    sizes: Tensor
    """int64 [T - 1], on the CPU: captions that have an input at each step; falls from N, no 0."""
    order: Tensor
    """int64 [N]: which caption stands at each row, the longest first."""
    back: Tensor
    """int64 [R]: the packed row of every word, caption after caption: what is packed, indexed by it, is in the order of
    `decoder.targets`."""

    @classmethod
    def of(cls, tokens: Tensor) -> Self:
        """Of int64 [N, T]: START, words, END, then PAD. Waits for the device, once, for the captions' lengths."""
        lengths = (tokens[:, 1:] != PAD).sum(1).cpu()  # [N]
        order = lengths.argsort(descending=True, stable=True)
        steps = torch.arange(int(lengths.max()))
        sizes = (lengths > steps[:, None]).sum(1)
        packed = (sizes.cumsum(0) - sizes) + order.argsort()[:, None]  # [N, T - 1]: the packed row of each word
        places = order * tokens.shape[1] + steps[:, None]  # [T - 1, N]: where in `tokens` a packed word stands
        words = tokens.flatten()[places[lengths[order] > steps[:, None]].to(tokens.device)]
        back = packed[lengths[:, None] > steps]
        return cls(words, sizes, order.to(tokens.device), back.to(tokens.device))

    def sequence(self, packed: Tensor) -> PackedSequence:
        """Packed [R, ...] as torch's RNNs and `pad_packed_sequence` want it; captions stay in `order`."""
        return PackedSequence(packed, self.sizes)


def recur(
    captions: Packed,
    given: Callable[[Tensor], Tensor],
    advance: Callable[[Tensor, State], State],
    state: State,
    say: Callable[[Tensor], Tensor],
    dropout: Callable[[Tensor], Tensor],
    sampled: float,
) -> Tensor:
    """The outputs of a recurrent decoder, dropped out, in the order of `decoder.targets`: [R, H].

    With scheduled sampling each input word after START is, with probability `sampled` and on its own, replaced by one
    drawn from what the decoder says (with this step's dropout) at the place before. No gradient goes through the draw.

    Args:
        captions: the inputs.
        given: what a step needs of its words: ids [n] -> [n, G]. Called once for all words, again for drawn ones.
        advance: one step: ([n, G], state [n, ...]) -> state; its first tensor is the output.
        state: before START, rows in `captions.order`.
        say: outputs, dropped out -> logits.
        dropout: of the outputs.
        sampled: a probability.
    """
    sizes = captions.sizes.tolist()
    inputs = torch.split(given(captions.words), sizes)
    chosen = _coins(sizes, sampled, captions.words.device)
    outputs: list[Tensor] = []
    for size, step, rows in zip(sizes, inputs, chosen, strict=True):
        if len(rows) > 0:
            with torch.no_grad():
                drawn = draw(say(outputs[-1][rows]))
            step = step.index_copy(0, rows, given(drawn).to(step.dtype))
        state = advance(step, shrink(state, size))
        outputs.append(dropout(state[0]))
    return torch.cat(outputs)[captions.back]


def update(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """What an LSTM does with the sum of its products [n, 4H], in the order of nn.LSTM: (hidden, cell), each [n, H]."""
    inward, keep, new, outward = gates.chunk(4, dim=1)
    cell = keep.sigmoid() * cell + inward.sigmoid() * new.tanh()
    return outward.sigmoid() * cell.tanh(), cell


def shrink(state: State, size: int) -> State:
    """The first `size` rows; the state itself where it has no more, since a slice costs its backward a copy."""
    return tuple(tensor if len(tensor) == size else tensor[:size] for tensor in state)


def draw(logits: Tensor) -> Tensor:
    """An id for each row of [n, V], from its distribution. Torch's global generator.

    By the Gumbel-max rule (argmax of logits less the logarithm of exponential noise), since `torch.multinomial` makes
    the host wait for the device.
    """
    noise = torch.empty_like(logits, dtype=torch.float32).exponential_()
    return (logits.float() - noise.log()).argmax(1)


def _coins(sizes: list[int], sampled: float, device: torch.device) -> list[Tensor]:
    """Which rows of each step are drawn, int64; none at the first. Drawn on the CPU, so that the host knows."""
    if sampled == 0.0:
        return [torch.empty(0, dtype=torch.int64)] * len(sizes)
    coins = torch.split(torch.rand(sum(sizes)) < sampled, sizes)
    rows = [torch.empty(0, dtype=torch.int64), *(coin.nonzero().squeeze(1) for coin in coins[1:])]
    return list(torch.split(torch.cat(rows).to(device), [len(row) for row in rows]))
