"""The loss of captioning against its formulas; scheduled sampling's schedule, coins and draws."""

import math
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from transfer.tasks.captioning.data import Batch, pad
from transfer.tasks.captioning.decoder import Said, targets
from transfer.tasks.captioning.forcing import Packed, draw, recur
from transfer.tasks.captioning.objective import Objective, ScheduledSampling
from transfer.tasks.captioning.vocabulary import END, START

TOKENS = pad([[START, 4, END], [START, 5, 4, 5, END]])
WANTED = [4, END, 5, 4, 5, END]


class Fixed(nn.Module):
    """Says the same logits whatever it is shown, and tells what it was asked."""

    def __init__(self, logits: Tensor, penalty: float) -> None:
        super().__init__()
        self.logits, self.penalty, self.asked = logits, penalty, [math.nan]

    def forward(self, batch: Batch, sampled: float) -> Said:
        self.asked.append(sampled)
        return Said(self.logits, torch.tensor(self.penalty))


def value(smoothing: float, logits: Tensor, penalty: float = 0.0) -> tuple[float, float]:
    objective = Objective(smoothing, ScheduledSampling(), 10)
    loss, numbers = objective(Fixed(logits, penalty), Batch(np.array([1, 2]), None, None, TOKENS), torch.Generator())
    assert loss.dtype == torch.float32
    return loss.item(), numbers["perplexity"].item()


def test_targets_are_words_and_ends_caption_after_caption() -> None:
    assert targets(TOKENS).tolist() == WANTED


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("penalty", [0.0, 0.25])
def test_the_loss_is_the_smoothed_cross_entropy_a_mean_over_words_and_the_penalty(
    smoothing: float, penalty: float
) -> None:
    """Six words of six ids: each target's probability is 1 - s + s / 6, each other's s / 6."""
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()
    likely = [[math.log(math.exp(x) / sum(math.exp(y) for y in row)) for x in row] for row in logits.tolist()]
    plain = -sum(row[word] for row, word in zip(likely, WANTED, strict=True)) / 6
    smoothed = 0.0
    for row, word in zip(likely, WANTED, strict=True):
        for id in range(6):
            smoothed -= ((1 - smoothing) * (id == word) + smoothing / 6) * row[id] / 6
    loss, perplexity = value(smoothing, logits, penalty)
    assert loss == pytest.approx(smoothed + penalty, rel=1e-6)
    assert perplexity == pytest.approx(math.exp(plain), rel=1e-6), "without smoothing and penalty"
    torchs = nn.functional.cross_entropy(logits, torch.tensor(WANTED), label_smoothing=smoothing)
    assert loss == pytest.approx(torchs.item() + penalty, rel=1e-6)


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.randn(6, 5000, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = nn.functional.cross_entropy(logits.double(), torch.tensor(WANTED)).item()
    assert value(0.0, logits)[0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("epoch", "probability"),
    [(0, 0), (4.99, 0), (5, 0.05), (9.9, 0.05), (10, 0.1), (24.5, 0.2), (25, 0.25), (29.9, 0.25), (1000, 0.25)],
)
def test_sampling_grows_by_steps_up_to_its_most(epoch: float, probability: float) -> None:
    """ruotianluo's ShowTell: .05 more every 5 epochs, to .25."""
    assert ScheduledSampling(most=0.25).probability(epoch) == pytest.approx(probability)
    assert ScheduledSampling(most=0.25, start=3.0).probability(epoch + 3) == pytest.approx(probability)
    assert ScheduledSampling().probability(epoch) == 0.0


def test_the_decoder_is_asked_for_the_steps_probability() -> None:
    objective = Objective(0.0, ScheduledSampling(most=1.0, step=0.3, every=2.0), steps_per_epoch=5)
    model = Fixed(torch.zeros(6, 6), 0.0)
    for step in (0, 9, 10, 20, 34, 35, 99):
        objective.begin_step(step, 100)
        objective(model, Batch(np.array([1, 2]), None, None, TOKENS), torch.Generator())
    assert model.asked[1:] == pytest.approx([0, 0, 0.3, 0.6, 0.9, 0.9, 1.0])


@pytest.mark.parametrize(
    "fields", [{"most": 1.1}, {"most": -0.1}, {"step": -1.0}, {"every": 0.0}, {"start": -1.0}, {"most": math.nan}]
)
def test_fields_of_the_schedule_are_checked(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sampling: expected"):
        ScheduledSampling(**fields)


def test_draws_follow_the_distribution() -> None:
    """20,000 draws: each share within four standard deviations."""
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    torch.manual_seed(0)
    drawn = draw((probabilities.log() + 7).expand(20_000, -1))
    shares = torch.bincount(drawn, minlength=5) / 20_000
    assert bool(((shares - probabilities).abs() <= 4 * (probabilities * (1 - probabilities) / 20_000).sqrt()).all())


def inputs_of(sampled: float, tokens: Tensor) -> tuple[list[int], Tensor]:
    """The packed inputs of a decoder that always says 9, and what came out in the order of the targets."""
    captions, read = Packed.of(tokens), []

    def advance(words: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        read.extend(words[:, 0].tolist())
        return (words,)

    def say(outputs: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.full((len(outputs),), 9), 10) * 1e6

    def given(words: Tensor) -> Tensor:
        return words[:, None].double()

    out = recur(captions, given, advance, (torch.empty(len(tokens), 1),), say, lambda x: x, sampled)
    return cast(list[int], read), out.squeeze(1)


def test_packed_captions_are_read_step_by_step_longest_first_and_come_back_in_order() -> None:
    read, out = inputs_of(0.0, TOKENS)
    assert read == [START, START, 5, 4, 4, 5]
    assert out.tolist() == [START, 4, START, 5, 4, 5]


def test_a_word_is_replaced_on_its_own_with_the_given_probability_and_start_never() -> None:
    tokens = torch.full((500, 12), 5)
    tokens[:, 0] = START
    torch.manual_seed(0)
    _, out = inputs_of(0.3, tokens)
    drawn = (out == 9).view(500, 11).double()
    assert drawn[:, 0].sum() == 0
    assert drawn[:, 1:].mean().item() == pytest.approx(0.3, abs=4 * (0.21 / 5000) ** 0.5)
    correlation = torch.corrcoef(drawn[:, 1:].T).fill_diagonal_(0)
    assert correlation.abs().max() < 4.5 / 500**0.5
    assert inputs_of(1.0, tokens)[1].view(500, 11)[:, 1:].eq(9).all()
