"""NIC: an LSTM that sees the image once, as the word before START. Source: Vinyals et al., "Show and Tell", CVPR 2015.

Details from the code that the CutMix paper names (stevehuanghe/image_captioning): the image's features pass a linear
layer and a batch normalisation (momentum .01) to the size of a word's embedding; dropout is on the LSTM's output only;
the embedding and the output layer start uniform in +-.1, the image's layer normal with standard deviation .02. Without
the batch normalisation (`norm`) that layer starts as torch does, as in codes that have none (ruotianluo's ShowTell).

Letters as in `decoder`; E: size of an embedding, H: hidden units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import UserError
from transfer.tasks.captioning.beam import Memory, State
from transfer.tasks.captioning.decoder import Decoder, DecoderNetwork, Said
from transfer.tasks.captioning.forcing import Packed, recur, update
from transfer.tasks.captioning.linear import Linear, linear
from transfer.tasks.captioning.vocabulary import PAD


@dataclass(frozen=True)
class NIC(Decoder):
    """Show and Tell's decoder. Sizes by default are those of the paper's code."""

    embed: int = 100
    """Size of a word's and of the image's embedding."""
    hidden: int = 300
    """Units of the LSTM."""
    dropout: float = 0.1
    """Probability that an output of the LSTM is dropped in training."""
    norm: bool = True
    """Whether the image's embedding is batch-normalised, as in the paper's code; other public codes have it plain."""

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("embed", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {self.dropout}")

    @property
    def spatial(self) -> bool:
        """No: it reads the mean of the map."""
        return False

    def build(self, channels: int, words: int) -> "NICNetwork":
        """The network, with fresh weights."""
        return NICNetwork(channels, words, embed=self.embed, hidden=self.hidden, dropout=self.dropout, norm=self.norm)


class NICNetwork(DecoderNetwork):
    """NIC's network."""

    def __init__(
        self, channels: int, words: int, *, embed: int, hidden: int, dropout: float, norm: bool = True
    ) -> None:
        """Sizes: features, vocabulary, embedding, LSTM; dropout: probability that an output of the LSTM is dropped.

        norm: whether the image's embedding is batch-normalised.
        """
        super().__init__()
        self.image = Linear(channels, embed)
        self.norm = nn.BatchNorm1d(embed, momentum=0.01) if norm else nn.Identity()
        self.embed = nn.Embedding(words, embed)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = Linear(hidden, words)
        if norm:
            nn.init.normal_(self.image.weight, std=0.02)
            nn.init.zeros_(self.image.bias)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.uniform_(self.output.weight, -0.1, 0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, tokens: Tensor, sampled: float = 0.0) -> Said:
        """Teacher forcing on [N, C].

        Raises:
            UserError: one image alone in a training batch, which batch normalisation cannot normalise.
        """
        if self.training and len(features) < 2 and not isinstance(self.norm, nn.Identity):
            raise UserError("captioning: expected batches of 2 or more (batch normalisation of the image), got 1")
        if sampled > 0:
            return Said(self._sampled(features, tokens, sampled), features.new_zeros(()))
        there = (tokens[:, 1:] != PAD).nonzero(as_tuple=True)  # waits for a GPU, so before there is work queued
        inputs = torch.cat([self._image(features)[:, None], self.embed(tokens[:, :-1])], dim=1)  # [N, T, E]
        outputs = self.lstm(inputs)[0][:, 1:]  # [N, T - 1, H]; what the image itself predicts is not trained
        logits: Tensor = self.output(self.dropout(outputs[there]))
        return Said(logits, features.new_zeros(()))

    def start(self, features: Tensor) -> tuple[State, Memory]:
        """The state [N, H] (hidden, cell) after the image; nothing more of it is seen."""
        _, (hidden, cell) = self.lstm(self._image(features)[:, None])
        return (hidden[0], cell[0]), ()

    def step(self, words: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """One word further."""
        hidden, cell = state
        _, (hidden, cell) = self.lstm(self.embed(words)[:, None], (hidden[None], cell[None]))
        logits: Tensor = self.output(self.dropout(hidden[0]))
        return logits, (hidden[0], cell[0])

    def _image(self, features: Tensor) -> Tensor:
        embedded: Tensor = self.norm(self.image(features))
        return embedded  # [N, E]

    def _sampled(self, features: Tensor, tokens: Tensor, sampled: float) -> Tensor:
        """Logits with scheduled sampling: the LSTM word by word, since what it reads depends on what it said."""
        captions = Packed.of(tokens)
        of_word, of_state, word_bias, state_bias = self.lstm.all_weights[0]

        def given(words: Tensor) -> Tensor:
            return linear(self.embed(words), of_word, word_bias)

        def advance(words: Tensor, state: State) -> State:
            return update(words + linear(state[0], of_state, state_bias), state[1])

        state, _ = self.start(features[captions.order])
        outputs = recur(captions, given, advance, state, self.output, self.dropout, sampled)
        logits: Tensor = self.output(outputs)
        return logits
