"""What every captioning decoder must hold: a new one in the folder is named in DECODERS, and tested."""

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import transfer.tasks.captioning
from transfer.tasks.captioning import linear
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.data import Batch, pad
from transfer.tasks.captioning.decoder import Decoder, DecoderNetwork, Said, targets
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import Objective, ScheduledSampling
from transfer.tasks.captioning.vocabulary import END, PAD, START

CHANNELS, PLACES, WORDS = 5, 4, 9
_ATTENTION = Attention(embed=6, hidden=7, attention=3, dropout=0.0)
DECODERS: dict[str, Any] = {
    "NIC": NIC(embed=6, hidden=7, dropout=0.0),
    "NIC, no norm": NIC(embed=6, hidden=7, dropout=0.0, norm=False),
    "attention": _ATTENTION,
    "attention, scalar gate": replace(_ATTENTION, gate="scalar"),
    "attention, no gate": replace(_ATTENTION, gate="none", penalty=0.0),
}
TOKENS = pad([[START, 4, 5, END], [START, 6, END], [START, 7, 8, 4, 5, 5], [START, END], [START, 4, 4, END]])
"""A caption that was cut, so that it has no END, and one without a word, among them."""


@pytest.fixture(params=list(DECODERS.values()), ids=list(DECODERS))
def decoder(request: pytest.FixtureRequest) -> Decoder:
    assert isinstance(request.param, Decoder)
    return request.param


def network(decoder: Decoder) -> DecoderNetwork:
    """In double precision, its weights twice as large, so that what it says depends on what it reads."""
    torch.manual_seed(0)
    made = decoder.build(CHANNELS, WORDS).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made


def images(decoder: Decoder, count: int = len(TOKENS)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    map_ = torch.randn(count, PLACES, CHANNELS, dtype=torch.double, generator=generator)
    return map_ if decoder.spatial else map_.mean(1)


def loss(said: Said, tokens: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(said.logits, targets(tokens)) + said.penalty


def steps(net: DecoderNetwork, features: Tensor, words: list[int]) -> Tensor:
    """Logits [len(words), V] of one image, fed word by word."""
    state, memory = net.start(features[None])
    said = []
    for word in words:
        logits, state = net.step(torch.tensor([word]), state, memory)
        said.append(logits)
    return torch.cat(said)


def test_every_decoder_of_the_folder_is_tested_here() -> None:
    found = set()
    for module in pkgutil.iter_modules(transfer.tasks.captioning.__path__):
        loaded = importlib.import_module(f"transfer.tasks.captioning.{module.name}")
        for _, member in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(member, Decoder) and not inspect.isabstract(member):
                found.add(member)
    assert found == {type(decoder) for decoder in DECODERS.values()}


def test_is_a_frozen_documented_dataclass_with_defaults(decoder: Decoder) -> None:
    assert is_dataclass(decoder)
    assert type(decoder).__dataclass_params__.frozen  # type: ignore[attr-defined]  # set by the decorator
    assert type(decoder).__doc__
    assert isinstance(type(decoder)(), Decoder)


def test_teacher_forcing_says_what_the_steps_say(decoder: Decoder) -> None:
    net, features = network(decoder).eval(), images(decoder)
    expected = [
        steps(net, image, [id for id in caption[:-1] if id != PAD][: int((caption[1:] != PAD).sum())])
        for image, caption in zip(features, TOKENS.tolist(), strict=True)
        for caption in [torch.tensor(caption)]
    ]
    torch.testing.assert_close(net(features, TOKENS).logits, torch.cat(expected))


def test_beams_of_an_image_are_as_if_they_were_alone(decoder: Decoder) -> None:
    net, features = network(decoder).eval(), images(decoder, 3)
    state, memory = net.start(features)
    beams = tuple(tensor.repeat_interleave(4, 0) for tensor in state)
    words = torch.randint(WORDS, (12,), generator=torch.Generator().manual_seed(0))
    _, beams = net.step(words, beams, memory)
    logits, _ = net.step(words.flip(0), beams, memory)
    for row, (first, second) in enumerate(zip(words.tolist(), words.flip(0).tolist(), strict=True)):
        torch.testing.assert_close(logits[row], steps(net, features[row // 4], [first, second])[1])


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("sampled", [0.0, 0.5])
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_neither_loss_nor_gradients(
    training: bool, sampled: float, dropout: float, decoder: Any
) -> None:
    results = []
    for extra in (0, 5):
        net = network(replace(decoder, dropout=dropout)).train(training)
        tokens = torch.nn.functional.pad(TOKENS, (0, extra), value=PAD)
        torch.manual_seed(3)
        value = loss(net(images(decoder), tokens, sampled), tokens)
        torch.autograd.backward(value)
        results.append([value, *(p.grad for p in net.parameters())])
    torch.testing.assert_close(results[0], results[1])


def test_the_order_of_the_batch_is_only_that_of_its_logits(decoder: Decoder) -> None:
    net, features = network(decoder), images(decoder)
    order = torch.tensor([2, 0, 4, 1, 3])
    rows = torch.split(net(features, TOKENS).logits, (TOKENS[:, 1:] != PAD).sum(1).tolist())
    other = net(features[order], TOKENS[order])
    torch.testing.assert_close(other.logits, torch.cat([rows[i] for i in order.tolist()]))
    torch.testing.assert_close(other.penalty, net(features, TOKENS).penalty)


def test_a_word_is_predicted_from_the_image_and_the_words_before_it_only(decoder: Decoder) -> None:
    net, features = network(decoder).eval(), images(decoder, 1)
    one = net(features, torch.tensor([[START, 4, 5, 6, END]])).logits
    other = net(features, torch.tensor([[START, 4, 7, 4, END]])).logits
    torch.testing.assert_close(one[:2], other[:2])
    assert (one[2] - other[2]).abs().max() > 1e-4
    assert (one - net(features + 1, torch.tensor([[START, 4, 5, 6, END]])).logits).abs().amin(0).max() > 1e-4


@pytest.mark.parametrize("tokens", [TOKENS, TOKENS[3:4].expand(2, -1)], ids=["captions", "no words at all"])
@pytest.mark.parametrize("sampled", [0.0, 0.5])
def test_every_parameter_has_a_gradient_in_every_step(sampled: float, tokens: Tensor, decoder: Any) -> None:
    """Data-parallel training waits for all of them."""
    net = network(replace(decoder, dropout=0.5))
    torch.autograd.backward(loss(net(images(decoder, len(tokens)), tokens, sampled), tokens))
    missing = [name for name, p in net.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
    assert missing == []


@pytest.mark.parametrize("sampled", [0.0, 1.0])
def test_gradients_are_those_of_the_values(sampled: float, decoder: Decoder) -> None:
    net, features = sure(network(decoder), sampled), images(decoder).requires_grad_()

    def value(features: Tensor) -> Tensor:
        return loss(net(features, TOKENS, sampled), TOKENS)

    assert torch.autograd.gradcheck(value, (features,), fast_mode=True)


def test_the_seed_alone_decides_what_is_dropped_and_drawn(decoder: Any) -> None:
    net, features = network(replace(decoder, dropout=0.5)), images(decoder)
    said = {}
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        torch.manual_seed(seed)
        said[name] = net(features, TOKENS, 0.5).logits
    assert torch.equal(said["one"], said["again"])
    assert not torch.equal(said["one"], said["other"])


def sure(net: DecoderNetwork, sampled: float = 1.0) -> DecoderNetwork:
    """The network with so large logits that a draw is its most probable word, where it draws."""
    with torch.no_grad():
        for parameter in net.output.parameters():  # type: ignore[union-attr]  # both decoders have it
            parameter.mul_(1e4 if sampled else 1)
    return net


def test_a_probability_of_next_to_nothing_is_teacher_forcing(decoder: Decoder) -> None:
    net, features = network(decoder), images(decoder)
    plain, sampled = net(features, TOKENS), net(features, TOKENS, 1e-300)
    torch.testing.assert_close(sampled.logits, plain.logits)
    torch.testing.assert_close(sampled.penalty, plain.penalty)


def test_at_probability_1_it_reads_its_own_words_after_start(decoder: Decoder) -> None:
    """Oracle: greedy's own words by single steps; then teacher forcing on them, with its gradients."""
    net, features = sure(network(decoder)).eval(), images(decoder)
    own = TOKENS.clone()
    for row in range(len(TOKENS)):
        read = [START]
        while len(read) < TOKENS.shape[1]:
            read.append(int(steps(net, features[row], read)[-1].argmax()))
        count = int((TOKENS[row, 1:] != PAD).sum())
        own[row, 1:count] = torch.tensor(read[1:count])
        own[row, count] = TOKENS[row, count]  # the last is a target only
    assert bool((own[:, 1:-1] != TOKENS[:, 1:-1]).any()), "what it says is not the caption"
    assert bool((own[:, 1:] != PAD).eq(TOKENS[:, 1:] != PAD).all()), "a PAD would end a caption"
    results = []
    for said in (net(features, TOKENS, 1.0), net(features, own)):
        net.zero_grad()
        torch.autograd.backward(loss(said, TOKENS))
        results.append([said.logits, said.penalty, *(p.grad for p in net.parameters())])
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("sampled", [0.0, 0.5])
def test_bfloat16_is_near_float32_and_trains(sampled: float, decoder: Any) -> None:
    net, features = network(decoder).float().eval(), images(decoder).float()
    plain = loss(net(features, TOKENS), TOKENS)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(net(features, TOKENS), TOKENS), plain, rtol=0.02, atol=0.0)
        torch.autograd.backward(loss(net.train()(features, TOKENS, sampled), TOKENS))
        state, memory = net.eval().start(features)
        logits, _ = net.step(TOKENS[:, 0], state, memory)
    assert logits.shape == (len(TOKENS), WORDS)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())


def test_large_products_on_the_cpu_are_torchs(decoder: Any) -> None:
    """Large enough for oneDNN (`linear`): values and gradients of the same network in double precision."""
    large = replace(decoder, embed=64, hidden=96, **({"attention": 48} if decoder.spatial else {}))
    torch.manual_seed(0)
    tokens = pad([[START, *torch.randint(4, 999, (int(n),)).tolist(), END] for n in torch.randint(1, 9, (24,))])
    features = torch.randn(24, 9, 300) if decoder.spatial else torch.randn(24, 300)
    net, results = large.build(300, 999), []
    for dtype in (torch.double, torch.float32):
        net.to(dtype).zero_grad()
        value = loss(net(features.to(dtype), tokens), tokens)
        torch.autograd.backward(value)
        results.append([value, *(p.grad.clone() for p in net.parameters())])
    for one, other in zip(*results, strict=True):  # norms, since rounding puts a unit on the other side of its ReLU
        assert (one - other).norm() < 0.01 * one.norm() + 1e-6


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The names of what is called; "wait" for what a GPU's host waits for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        masks = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        self.names.append("wait" if masks or name == "nonzero" else name)
        return function(*args, **(kwargs or {}))


def test_the_host_waits_for_a_gpu_only_before_it_has_queued_a_steps_work(decoder: Decoder) -> None:
    net, batch = network(decoder), Batch(np.arange(len(TOKENS)), None, images(decoder), TOKENS)
    model = Forced(net)
    with Calls() as calls:
        Objective(0.0, ScheduledSampling(), 1)(model, batch, torch.Generator())
    last = max(i for i, name in enumerate(calls.names) if name == "wait")
    assert not {"embedding", "addmm", "mm", "lstm", "mkldnn_rnn_layer", "_softmax"} & set(calls.names[:last])
    assert "addmm" in calls.names[last:]


class Forced(torch.nn.Module):
    """Teacher forcing on the features of a batch."""

    def __init__(self, decoder: DecoderNetwork) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, batch: Batch, sampled: float) -> Said:
        assert batch.features is not None
        assert batch.tokens is not None
        said: Said = self.decoder(batch.features, batch.tokens, sampled)
        return said


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the products that oneDNN makes of plain tensors."""

    count: int = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten.mkldnn_linear.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", ["matrix", "map", "strided", "transposed", "expanded"])
def test_linear_is_torchs_linear(shape: str, bias: bool) -> None:
    """Also where a gradient or an input is a view; gradients and values are plain tensors."""
    torch.manual_seed(0)
    layer, other = linear.Linear(64, 600, bias=bias), torch.nn.Linear(64, 600, bias=bias)
    other.load_state_dict(layer.state_dict())
    input = {
        "matrix": torch.randn(90, 64),
        "map": torch.randn(10, 9, 64),
        "strided": torch.randn(90, 128)[:, 32:96],
        "transposed": torch.randn(64, 90).t(),
        "expanded": torch.randn(90, 64),  # its gradient is
    }[shape]
    results = []
    for each in (layer, other):
        leaf = input.clone().requires_grad_()
        said = each(leaf)
        torch.autograd.backward(said.sum() if shape == "expanded" else said[..., ::2].square().sum())
        results.append([said, leaf.grad, *(p.grad for p in each.parameters())])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(layer(input), results[1][0])


def test_onednn_multiplies_what_is_large_and_float32_unless_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, input = linear.Linear(64, 600), torch.randn(90, 64)

    def products(layer: torch.nn.Module = layer, input: Tensor = input) -> int:
        counted = Products()  # type: ignore[no-untyped-call]
        with counted:
            layer(input)
        return int(counted.count)

    assert products() == 1
    assert products(input=input[:50]) == 0
    assert products(linear.Linear(64, 600).double(), input.double()) == 0
    with torch.autocast("cpu", torch.bfloat16):
        assert products() == 0
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert products() == 0


def test_linear_can_be_compiled() -> None:
    layer, input = linear.Linear(64, 600), torch.randn(90, 64)
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(input), layer(input), rtol=1e-4, atol=1e-4)
