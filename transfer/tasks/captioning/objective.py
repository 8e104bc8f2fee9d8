"""The loss of captioning, which may change with the epoch: cross-entropy of the next word, scheduled sampling."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from transfer.tasks.captioning.data import Batch
from transfer.tasks.captioning.decoder import targets


@dataclass(frozen=True)
class ScheduledSampling:
    """Inputs drawn from the model itself, more of them as training goes on (Bengio et al., arXiv 1506.03099).

    The probability is `step` more after every `every` epochs, from `start` on, up to `most`: ruotianluo's schedule.
    """

    most: float = 0.0
    """Largest probability; 0: teacher forcing alone."""
    step: float = 0.05
    """What it grows by."""
    every: float = 5.0
    """Epochs between growths."""
    start: float = 0.0
    """The epoch (from 0) before which it is 0."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0 <= self.most <= 1 or self.step < 0 or self.every <= 0 or self.start < 0:
            raise ValueError("sampling: expected most in [0, 1], step and start of 0 or more, every above 0")

    def probability(self, epoch: float) -> float:
        """At an epoch, from 0."""
        return min(self.most, self.step * max(0.0, (epoch - self.start) // self.every))


@dataclass
class Objective:
    """Mean cross-entropy over all words and ends of a batch, and the decoder's penalty.

    The mean is over the words of one backward: of several processes, or of several parts of an accumulated batch, all
    weigh alike, so that a word weighs a little more where the captions beside it are short (as in ruotianluo's code).
    """

    smoothing: float
    """Share of each target's probability that goes to all V ids alike, the target and the special ones among them
    (Szegedy et al., arXiv 1512.00567, section 7)."""
    sampling: ScheduledSampling
    steps_per_epoch: int
    sampled: float = field(default=0.0, init=False)

    def begin_step(self, step: int, total: int) -> None:
        """Set what depends on the epoch."""
        self.sampled = self.sampling.probability(step / self.steps_per_epoch)

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the perplexity without smoothing and penalty; in float32 whatever the logits are."""
        assert batch.tokens is not None
        wanted = targets(batch.tokens)  # waits for a GPU, so before the model has work queued there
        said = model(batch, self.sampled)
        likely = nn.functional.log_softmax(said.logits, 1, dtype=torch.float32)  # [words, V]
        plain = nn.functional.nll_loss(likely, wanted)
        loss = (1 - self.smoothing) * plain - self.smoothing * likely.mean() if self.smoothing else plain
        return loss + said.penalty, {"perplexity": plain.detach().exp()}
