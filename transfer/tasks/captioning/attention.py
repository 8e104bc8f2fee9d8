"""Soft attention: an LSTM that looks at the image's map at every word. Source: Xu et al., "Show, Attend and Tell", ICML
2015 (arXiv 1502.03044), sections 3.1.2 and 4.2.

As in the paper: the state before START comes from the map's mean (here by one linear layer each for h and c, no MLP);
the weights of the places are a softmax of an MLP of place and state; the context z may be gated by the state (beta).
The details are those of sgrvinod's public code, whose sizes are the defaults: the MLP's unit is a ReLU; the gate has a
value for every channel (the paper: one); words come from a plain linear layer on the dropped-out state (the paper's
deep output, equation 7, reads word and context too); `penalty` is a mean. That code pools the map to 14 x 14 places
first; here the places are those of the encoder (7 x 7 of a crop of 224).

Letters as in `decoder`; H: hidden units, A: units of the attention, E: size of a word's embedding, K: beams.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence

from transfer.tasks.captioning.beam import Memory, State
from transfer.tasks.captioning.decoder import Decoder, DecoderNetwork, Said
from transfer.tasks.captioning.forcing import Packed, recur, shrink, update
from transfer.tasks.captioning.linear import Linear

Gate: TypeAlias = Literal["channel", "scalar", "none"]


@dataclass(frozen=True)
class Attention(Decoder):
    """Show, Attend and Tell's soft attention. Sizes by default are those of sgrvinod's code."""

    embed: int = 512
    """Size of a word's embedding."""
    hidden: int = 512
    """Units of the LSTM."""
    attention: int = 512
    """Units of the attention."""
    dropout: float = 0.5
    """Probability that an output of the LSTM is dropped in training."""
    penalty: float = 1.0
    """Weight of the doubly stochastic penalty (equation 14): the mean over images and places of (1 - what the place
    got over all words) ** 2. The paper has a sum over places: its lambda times the number of places is this."""
    gate: Gate = "channel"
    """What the context is multiplied by, from the state: a value for each channel, the paper's scalar beta, or 1."""

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("embed", "hidden", "attention"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {self.dropout}")
        if not self.penalty >= 0:
            raise ValueError(f"penalty: expected 0 or more, got {self.penalty}")
        if self.gate not in get_args(Gate):
            raise ValueError(f"gate: expected {', '.join(get_args(Gate))}, got {self.gate!r}")

    @property
    def spatial(self) -> bool:
        """Yes: it reads the map."""
        return True

    def build(self, channels: int, words: int) -> "AttentionNetwork":
        """The network, with fresh weights."""
        return AttentionNetwork(channels, words, self)


class AttentionNetwork(DecoderNetwork):
    """The attention decoder's network. All that reads the state is one layer: one product a step, not four."""

    def __init__(self, channels: int, words: int, sizes: Attention) -> None:
        """channels: C; words: V; sizes: the other sizes."""
        super().__init__()
        hidden = sizes.hidden
        gates = {"channel": channels, "scalar": 1, "none": 0}[sizes.gate]
        self.penalty = sizes.penalty
        self.parts = (4 * hidden, sizes.attention, gates)  # of `state`'s outputs: LSTM, query, gate
        self.begin = Linear(channels, 2 * hidden)  # h, c
        self.places = Linear(channels, sizes.attention)
        self.state = Linear(hidden, sum(self.parts))
        self.score = nn.Linear(sizes.attention, 1, bias=False)  # a bias would not change the softmax
        self.embed = nn.Embedding(words, sizes.embed)
        self.word = Linear(sizes.embed, 4 * hidden)
        self.context = Linear(channels, 4 * hidden, bias=False)
        self.dropout = nn.Dropout(sizes.dropout)
        self.output = Linear(hidden, words)
        for parameter in (*self.word.parameters(), *self.context.parameters()):  # as nn.LSTMCell does
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.uniform_(self.output.weight, -0.1, 0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, tokens: Tensor, sampled: float = 0.0) -> Said:
        """Teacher forcing on [N, P, C]; the penalty is the doubly stochastic one, over the words that are there."""
        captions = Packed.of(tokens)
        state, memory = self.start(features[captions.order])
        looks: list[Tensor] = []

        def advance(words: Tensor, state: State) -> State:
            nonlocal memory
            memory = shrink(memory, len(words))
            state, look = self._advance(words, state, memory)
            looks.append(look.squeeze(1))
            return state

        outputs = recur(captions, self._words, advance, state, self.output, self.dropout, sampled)
        return Said(self.output(outputs), self._penalty(captions, looks))

    def start(self, features: Tensor) -> tuple[State, Memory]:
        """The state [N, H] (hidden, cell) of the map's mean; the map [N, P, C] and what it scores by [N, P, A]."""
        hidden, cell = self.begin(features.mean(1)).chunk(2, dim=1)
        return (hidden, cell), (features, self.places(features))

    def step(self, words: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """One word further."""
        state, _ = self._advance(self._words(words), state, memory)
        logits: Tensor = self.output(self.dropout(state[0]))
        return logits, state

    def _words(self, words: Tensor) -> Tensor:
        gates: Tensor = self.word(self.embed(words))
        return gates  # [M, 4H]: what the words are to the LSTM

    def _advance(self, words: Tensor, state: State, memory: Memory) -> tuple[State, Tensor]:
        """The next state, of the words' part of the LSTM [M, 4H]; and the weights of the places [N, K, P]."""
        hidden, cell = state
        lstm, query, gate = self.state(hidden).split(self.parts, dim=1)
        context, look = self._look(query, memory)
        if gate.shape[1] > 0:
            context = gate.sigmoid() * context
        return update(words + lstm + self.context(context), cell), look

    def _look(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The mean place [M, C], by the weights that the queries [M, A] give the places; and those, [N, K, P]."""
        features, places = memory
        images, (count, units) = len(features), query.shape
        both = places[:, None] + query.view(images, count // images, 1, units)  # [N, K, P, A]
        look = self.score(both.relu_()).squeeze(3).softmax(2)
        return torch.bmm(look.to(features.dtype), features).flatten(0, 1), look

    def _penalty(self, captions: Packed, looks: list[Tensor]) -> Tensor:
        padded, _ = pad_packed_sequence(captions.sequence(torch.cat(looks)))  # [T - 1, N, P]
        return self.penalty * (1 - padded.sum(0)).square().mean()
