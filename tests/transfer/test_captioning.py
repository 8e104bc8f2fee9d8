"""NIC against single steps and numbers worked out by hand; what all decoders share is in test_captioning_decoders."""

import math

import pytest
import torch

from core.errors import UserError
from transfer.tasks.captioning.data import pad
from transfer.tasks.captioning.decoder import targets
from transfer.tasks.captioning.nic import NIC, NICNetwork
from transfer.tasks.captioning.vocabulary import END, START


def network(dropout: float = 0.0) -> NICNetwork:
    torch.manual_seed(0)
    return NICNetwork(5, 8, embed=6, hidden=7, dropout=dropout).double()


def test_the_loss_is_the_mean_over_words_and_ends_of_all_captions() -> None:
    """A decoder whose output is only its bias: log-probabilities 1/2, 1/4, 1/8, 1/8 of END and words 4, 5, 6."""
    nic = network()
    torch.nn.init.zeros_(nic.output.weight)
    probabilities = {END: 0.5, 4: 0.25, 5: 0.125, 6: 0.125}
    nic.output.bias.data = torch.tensor([math.log(probabilities.get(i, 1e-300)) for i in range(8)], dtype=torch.double)
    tokens = pad([[START, 4, END], [START, 5, 6, 4, END]])
    logits = nic(torch.randn(2, 5, dtype=torch.double), tokens).logits
    assert targets(tokens).tolist() == [4, END, 5, 6, 4, END]
    loss = torch.nn.functional.cross_entropy(logits, targets(tokens))
    assert loss.item() == pytest.approx(math.log(2) * (2 + 1 + 3 + 3 + 2 + 1) / 6, rel=1e-12)


def test_teacher_forcing_is_the_lstm_step_by_step_image_first() -> None:
    nic = network().eval()
    nic.norm.running_mean = torch.randn(6, dtype=torch.double)
    features, caption = torch.randn(1, 5, dtype=torch.double), [START, 4, 7, END]
    cell = torch.nn.LSTMCell(6, 7).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in nic.lstm.state_dict().items()})
    state = cell(nic.norm(nic.image(features)))
    expected = []
    for word in caption[:-1]:
        state = cell(nic.embed(torch.tensor([word])), state)
        expected.append(nic.output(state[0]))
    torch.testing.assert_close(nic(features, torch.tensor([caption])).logits, torch.cat(expected))


def test_one_image_alone_cannot_be_normalised_in_training() -> None:
    with pytest.raises(UserError, match=r"batches of 2 or more .* got 1"):
        network()(torch.randn(1, 5, dtype=torch.double), torch.tensor([[START, 4, END]]))


def test_without_the_normalisation_one_image_alone_can_be_trained_on_and_torch_initialises_its_layer() -> None:
    torch.manual_seed(0)
    nic = NIC(embed=64, hidden=7, norm=False).build(400, 8).train()
    said = nic(torch.randn(1, 400), torch.tensor([[START, 4, END]]))
    assert said.logits.isfinite().all()
    assert nic.image.weight.abs().max().item() == pytest.approx(400**-0.5, rel=0.01)
    normed = NIC(embed=64, hidden=7).build(400, 8)
    assert normed.image.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert normed.image.bias.abs().max() == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embed": 0}, "embed: expected at least 1, got 0"),
        ({"hidden": -3}, "hidden: expected at least 1, got -3"),
        ({"dropout": -0.5}, r"dropout: expected a probability in \[0, 1\), got -0.5"),
    ],
)
def test_fields_are_checked(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NIC(**fields)  # type: ignore[arg-type]  # wrong on purpose
