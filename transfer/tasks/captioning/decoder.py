"""What a decoder is: features of images and words so far -> logits of the next word.

N: images of a batch, M: rows of the state (N in training; N x K, the K beams of an image one after another, in a beam
search), C: channels of the encoder's last stage, P: places of its map, V: words, T: ids in the longest caption (START
and END included).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from transfer.tasks.captioning.beam import Memory, State
from transfer.tasks.captioning.vocabulary import PAD


class Said(NamedTuple):
    """What teacher forcing gives."""

    logits: Tensor
    """[words, V]: one row for each id of `targets(tokens)`, in that order; positions of PAD have none."""
    penalty: Tensor
    """A scalar that the decoder adds to the loss; 0 where it has none."""


class DecoderNetwork(nn.Module, ABC):
    """A decoder's network."""

    @abstractmethod
    def forward(self, features: Tensor, tokens: Tensor, sampled: float = 0.0) -> Said:
        """Teacher forcing: every word after START, given the image and the words before.

        Args:
            features: [N, C], or [N, P, C] where the decoder is `spatial`.
            tokens: int64 [N, T]: START, words, END, then PAD.
            sampled: scheduled sampling (Bengio et al., arXiv 1506.03099): the probability that an input word, START
                excepted, is drawn from the model's own distribution at the place before. Torch's global generator.

        Raises:
            UserError: a batch that cannot be trained on.
        """

    @abstractmethod
    def start(self, features: Tensor) -> tuple[State, Memory]:
        """What a search begins with: the state before START, and what every step sees of the image, a row an image."""

    @abstractmethod
    def step(self, words: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """One word further: (ids [M], state [M, ...], memory [N, ...]) -> (logits [M, V], state)."""


@dataclass(frozen=True)
class Decoder(ABC):
    """A decoder's sizes, their defaults and checks."""

    @property
    @abstractmethod
    def spatial(self) -> bool:
        """Whether it reads the encoder's map [N, P, C]; else its mean over the image [N, C]."""

    @abstractmethod
    def build(self, channels: int, words: int) -> DecoderNetwork:
        """The network, with fresh weights from torch's global generator. channels: C; words: V."""


def targets(tokens: Tensor) -> Tensor:
    """The ids that teacher forcing predicts: all after START, END included, PAD left out, caption after caption."""
    after = tokens[:, 1:]
    return after[after != PAD]
