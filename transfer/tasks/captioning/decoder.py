"""NIC: an LSTM that sees the image once, as the word before START. Source: Vinyals et al., "Show and Tell", CVPR 2015.

Details from the code that the CutMix paper names (stevehuanghe/image_captioning): the image's features pass a linear
layer and a batch normalisation (momentum .01) to the size of a word's embedding; dropout is on the LSTM's output only;
the embedding and the output layer start uniform in +-.1, the image's layer normal with standard deviation .02.

N: captions, T: ids in the longest (START and END included), C: channels of the features, V: words, H: hidden units.
"""

import torch
from torch import Tensor, nn

from core.errors import UserError
from transfer.tasks.captioning.beam import State
from transfer.tasks.captioning.vocabulary import PAD


class NIC(nn.Module):
    """Features and words so far -> logits of the next word."""

    def __init__(self, channels: int, words: int, *, embed: int, hidden: int, dropout: float) -> None:
        """Sizes: features, vocabulary, embedding, LSTM; dropout: probability that an output of the LSTM is dropped."""
        super().__init__()
        self.image = nn.Linear(channels, embed)
        self.norm = nn.BatchNorm1d(embed, momentum=0.01)
        self.embed = nn.Embedding(words, embed)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, words)
        nn.init.normal_(self.image.weight, std=0.02)
        nn.init.zeros_(self.image.bias)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.uniform_(self.output.weight, -0.1, 0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing: the logits of every word after START, given the image and the words before.

        Args:
            features: [N, C].
            tokens: int64 [N, T]: START, words, END, then PAD.

        Returns:
            [M, V]: one row for each id of `targets(tokens)`, in that order; positions of PAD have none.

        Raises:
            UserError: one image alone in a training batch, which batch normalisation cannot normalise.
        """
        if self.training and len(features) < 2:
            raise UserError("captioning: expected batches of 2 or more (batch normalisation of the image), got 1")
        inputs = torch.cat([self._embed_image(features), self.embed(tokens[:, :-1])], dim=1)  # [N, T, embed]
        outputs = self.lstm(inputs)[0][:, 1:]  # [N, T - 1, H]; what the image itself predicts is not trained
        return self._logits(outputs[tokens[:, 1:] != PAD])

    def start(self, features: Tensor) -> State:
        """The state [N, H] (hidden, cell) after the image, for `step`."""
        _, (hidden, cell) = self.lstm(self._embed_image(features))
        return hidden[0], cell[0]

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """One word further: (ids [M], state) -> (logits [M, V], state)."""
        hidden, cell = state
        _, (hidden, cell) = self.lstm(self.embed(words)[:, None], (hidden[None], cell[None]))
        return self._logits(hidden[0]), (hidden[0], cell[0])

    def _embed_image(self, features: Tensor) -> Tensor:
        embedded: Tensor = self.norm(self.image(features))
        return embedded[:, None]  # [N, 1, embed]

    def _logits(self, outputs: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(outputs))
        return logits


def targets(tokens: Tensor) -> Tensor:
    """The ids [M] that `NIC.forward` predicts: all after START, END included, PAD left out, caption after caption."""
    after = tokens[:, 1:]
    return after[after != PAD]
