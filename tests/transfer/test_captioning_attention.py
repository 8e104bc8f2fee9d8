"""Soft attention against the paper's equations, written place by place; its penalty against numbers worked out."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from transfer.tasks.captioning.attention import Attention, AttentionNetwork, Gate
from transfer.tasks.captioning.data import pad
from transfer.tasks.captioning.vocabulary import END, START

HIDDEN, CHANNELS, PLACES = 4, 3, 5
SMALL = Attention(embed=2, hidden=HIDDEN, attention=6, dropout=0.0)
TOKENS = pad([[START, 4, 5, 6, END], [START, 7, END]])


def network(decoder: Attention) -> AttentionNetwork:
    torch.manual_seed(0)
    made = decoder.build(CHANNELS, 8).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made


def features(count: int = 2) -> Tensor:
    return torch.randn(count, PLACES, CHANNELS, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def plain(net: AttentionNetwork, map_: Tensor, words: list[int], gate: Gate) -> tuple[list[Tensor], list[float]]:
    """Logits of every word of one image, and what each place got over all of them. map_: [P, C].

    Xu et al.: equations 1 to 3 (LSTM; gates in torch's order), 4 and 5 (weights), 13 (context), section 4.2.1 (beta).
    """
    mean = map_.mean(0)
    begun = net.begin.weight @ mean + net.begin.bias
    hidden, cell = begun[:HIDDEN], begun[HIDDEN:]
    got, logits = [0.0] * PLACES, []
    for word in words:
        of_state = net.state.weight @ hidden + net.state.bias
        recurrent, query, beta = (
            of_state[: 4 * HIDDEN],
            of_state[4 * HIDDEN : 4 * HIDDEN + 6],
            of_state[4 * HIDDEN + 6 :],
        )
        energies = [
            math.exp(
                float(net.score.weight[0] @ torch.clamp(net.places.weight @ place + net.places.bias + query, min=0))
            )
            for place in map_
        ]
        weights = [energy / sum(energies) for energy in energies]
        context = torch.zeros(CHANNELS, dtype=torch.double)
        for place, weight in zip(map_, weights, strict=True):
            context += weight * place
        if gate != "none":
            context = context / (1 + torch.exp(-beta))
        gates = recurrent + net.word.weight @ net.embed.weight[word] + net.word.bias + net.context.weight @ context
        inward, keep, new, outward = (gates[i * HIDDEN : (i + 1) * HIDDEN] for i in range(4))
        cell = cell / (1 + torch.exp(-keep)) + torch.tanh(new) / (1 + torch.exp(-inward))
        hidden = torch.tanh(cell) / (1 + torch.exp(-outward))
        got = [a + b for a, b in zip(got, weights, strict=True)]
        logits.append(net.output.weight @ hidden + net.output.bias)
    return logits, got


@pytest.mark.parametrize("gate", get_args(Gate))
def test_logits_and_penalty_are_the_papers_place_by_place(gate: Gate) -> None:
    net, map_ = network(replace(SMALL, gate=gate, penalty=0.7)), features()
    said = net(map_, TOKENS)
    first, got = plain(net, map_[0], [START, 4, 5, 6], gate)
    second, also_got = plain(net, map_[1], [START, 7], gate)
    torch.testing.assert_close(said.logits, torch.stack([*first, *second]))
    expected = 0.7 * sum((1 - weight) ** 2 for weight in (*got, *also_got)) / (2 * PLACES)
    assert said.penalty.item() == pytest.approx(expected, rel=1e-12)


def test_places_that_look_alike_get_the_same_and_the_penalty_follows() -> None:
    """5 places, each of them a fifth at each of 4 and 2 steps: (1 - 4/5)^2 and (1 - 2/5)^2."""
    net = network(replace(SMALL, penalty=3.0))
    said = net(features()[:, :1].expand(-1, PLACES, -1), TOKENS)
    assert said.penalty.item() == pytest.approx(3.0 * (0.2**2 + 0.6**2) / 2, rel=1e-12)


def test_a_place_that_stands_out_is_what_is_seen() -> None:
    """Scores of 1000 and less: all the weight is on one place, whose features are the context."""
    net, map_ = network(SMALL), features()
    with torch.no_grad():
        net.places.weight.zero_()
        net.places.weight[0, 0] = 1000.0
        net.score.weight.fill_(1.0)
    (_, memory), best = net.start(map_), map_[:, :, 0].argmax(1)
    context, look = net._look(torch.zeros(2, 6, dtype=torch.double), memory)
    assert torch.equal(look[:, 0].argmax(1), best)
    torch.testing.assert_close(context, map_[torch.arange(2), best])


def test_without_a_penalty_there_is_none() -> None:
    assert network(replace(SMALL, penalty=0.0))(features(), TOKENS).penalty.item() == 0.0


def test_fresh_weights_are_those_of_torchs_layers() -> None:
    """Uniform in +-1 / sqrt(H) for all that is the LSTM's, +-1 / sqrt(inputs) elsewhere, +-.1 for words; sgrvinod's."""
    torch.manual_seed(0)
    net = Attention(embed=30, hidden=64, attention=20).build(50, 1000)
    bounds = {
        "begin": 50**-0.5, "places": 50**-0.5, "state": 64**-0.5, "score": 20**-0.5, "embed": 0.1, "word": 64**-0.5,
        "context": 64**-0.5, "output": 0.1,
    }  # fmt: skip
    for name, bound in bounds.items():
        weight = net.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        assert weight.abs().max().item() == pytest.approx(bound, rel=0.12 if name == "score" else 0.01)
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.25 if name == "score" else 0.05)
    assert net.output.bias.abs().max() == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("embed", 0, "embed: expected at least 1, got 0"),
        ("attention", -1, "attention: expected at least 1, got -1"),
        ("dropout", 1.0, r"dropout: expected a probability in \[0, 1\), got 1.0"),
        ("penalty", -0.1, "penalty: expected 0 or more, got -0.1"),
        ("penalty", math.nan, "penalty: expected 0 or more, got nan"),
        ("gate", "vector", "gate: expected channel, scalar, none, got 'vector'"),
    ],
)
def test_fields_are_checked(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **{field: value})  # type: ignore[arg-type]  # wrong on purpose
