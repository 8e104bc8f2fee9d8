"""Vocabulary, decoder and loss of captioning, against rules and numbers worked out by hand."""

import math

import pytest
import torch

from core.errors import UserError
from transfer.tasks.captioning.data import pad
from transfer.tasks.captioning.decoder import targets
from transfer.tasks.captioning.nic import NICNetwork
from transfer.tasks.captioning.vocabulary import END, PAD, SPECIAL, START, UNK, Vocabulary, tokenize

CAPTIONS = ("A dog runs.", "a dog sits", "The cat sits.")


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man's T-shirt, 2 dogs!", ["a", "man", "'s", "t-shirt", "2", "dogs"]),
        ("They DON'T, it's; we’re", ["they", "do", "n't", "it", "'s", "we", "'re"]),
        ('  café\'s\tsign - \n"Größe"', ["café", "'s", "sign", "größe"]),
        ("o'clock 'quoted' dogs' mustn'the", ["o", "clock", "quoted", "dogs", "mustn", "the"]),
        ("...", []),
    ],
)
def test_words_are_lowercased_and_split_as_the_metric_splits_them(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


def test_the_vocabulary_holds_frequent_words_most_frequent_first_ties_by_the_alphabet() -> None:
    assert Vocabulary.build(CAPTIONS, 1).words == (*SPECIAL, "a", "dog", "sits", "cat", "runs", "the")
    assert Vocabulary.build(reversed(CAPTIONS), 2).words == (*SPECIAL, "a", "dog", "sits")


def test_encoding_marks_rare_words_and_cuts_long_captions_without_an_end() -> None:
    vocabulary = Vocabulary.build(CAPTIONS, 2)
    assert vocabulary.encode("A cat sits.", 3) == [START, 4, UNK, 6, END]
    assert vocabulary.encode("A dog sits.", 2) == [START, 4, 5]
    assert vocabulary.encode("<end> <pad>", 5) == [START, UNK, UNK, END]  # no way to write a special id


def test_decoding_stops_at_the_first_end() -> None:
    vocabulary = Vocabulary.build(CAPTIONS, 2)
    assert vocabulary.decode([START, 4, 5, END, 6, PAD]) == "a dog"
    assert vocabulary.decode(vocabulary.encode("a dog sits", 20)) == "a dog sits"


def test_a_vocabulary_without_words_or_with_a_word_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"min_count=3 .* 6 words, the most frequent 2 times"):
        Vocabulary.build(CAPTIONS, 3)
    with pytest.raises(UserError, match="'dog' is there more than once"):
        Vocabulary((*SPECIAL, "dog", "dog"))
    with pytest.raises(UserError, match="<pad>, <start>, <end>, <unk> first, got dog"):
        Vocabulary(("dog",))


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


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_neither_loss_nor_gradients(training: bool) -> None:
    results = []
    for extra in (0, 5):
        nic = network().train(training)
        features = torch.arange(10, dtype=torch.double).view(2, 5).cos()
        tokens = torch.nn.functional.pad(pad([[START, 4, 5, 6, END], [START, 7, END]]), (0, extra), value=PAD)
        loss = torch.nn.functional.cross_entropy(nic(features, tokens).logits, targets(tokens))
        torch.autograd.backward(loss)
        results.append([loss, *(p.grad for p in nic.parameters())])
    torch.testing.assert_close(results[0], results[1])


def test_a_word_is_predicted_from_those_before_it_only() -> None:
    nic = network().eval()
    features = torch.randn(1, 5, dtype=torch.double)
    one = nic(features, torch.tensor([[START, 4, 5, 6, END]])).logits
    other = nic(features, torch.tensor([[START, 4, 7, 4, END]])).logits
    torch.testing.assert_close(one[:2], other[:2])
    assert (one[2] - other[2]).abs().max() > 1e-4


def test_one_image_alone_cannot_be_normalised_in_training() -> None:
    with pytest.raises(UserError, match=r"batches of 2 or more .* got 1"):
        network()(torch.randn(1, 5, dtype=torch.double), torch.tensor([[START, 4, END]]))
