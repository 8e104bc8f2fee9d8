"""The networks for 32-pixel images and the regularized ResNet-50: sizes, names, and what may not change them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from core.backbone import Spec, build, load, save
from core.errors import UserError
from core.networks.pyramidnet import PyramidNet
from core.networks.resnet_cifar import ResNetCIFAR
from core.networks.resnet_regularized import resnet50
from core.resnet import classifier

Make = Callable[[], nn.Module]
PYRAMIDNET = "core.networks.pyramidnet:PyramidNet"
SMALL = {"depth": 20, "alpha": 30.0}


def _images(count: int = 4, side: int = 32) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        # 26.8 M is in the paper's table 5; the exact numbers are those that the authors' code prints.
        (lambda: PyramidNet(100, depth=200, alpha=240), 26_844_952),
        (lambda: PyramidNet(10, depth=200, alpha=240), 26_752_702),
        (lambda: PyramidNet(100, depth=110, alpha=64), 1_725_300),
        (lambda: PyramidNet(100, depth=110, alpha=48, bottleneck=False), 1_778_556),
        (lambda: ResNetCIFAR(100, depth=110), 1_170_868),
        (lambda: ResNetCIFAR(100, depth=110, bottleneck=False), 1_736_564),
    ],
)
def test_parameter_counts_are_those_of_the_authors_code(make: Make, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in make().parameters()) == parameters


@pytest.mark.parametrize(
    "make",
    [
        lambda: PyramidNet(7, depth=20, alpha=30),
        lambda: PyramidNet(7, depth=14, alpha=30, bottleneck=False),
        lambda: ResNetCIFAR(7, depth=20),
        lambda: ResNetCIFAR(7, depth=14, bottleneck=False),
    ],
)
@pytest.mark.parametrize("side", [32, 21])
def test_stages_halve_the_map_and_the_head_is_linear(make: Make, side: int) -> None:
    network = make()
    seen: dict[str, torch.Size] = {}
    for name in ("bn1", "layer1", "layer2", "layer3"):

        def note(module: nn.Module, inputs: object, output: Tensor, name: str = name) -> None:
            seen[name] = output.shape

        network.get_submodule(name).register_forward_hook(note)
    assert network(_images(side=side)).shape == (4, 7)
    half = -(-side // 2)
    assert [seen[name][2] for name in ("bn1", "layer1", "layer2", "layer3")] == [side, side, half, -(-half // 2)]
    assert classifier(network).in_features == seen["layer3"][1]


def test_a_pyramidnet_block_is_its_formula() -> None:
    torch.manual_seed(0)
    network = PyramidNet(7, depth=20, alpha=30).eval()
    for module in network.modules():  # so that every norm matters
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    block = network.get_submodule("layer2.0")
    x = torch.randn(2, 4 * 26, 9, 9)  # widths 16 + 5 i: the second block of the first stage has 26
    part = block.get_submodule
    branch = part("conv1")(part("bn1")(x))
    branch = part("conv2")(part("bn2")(branch).relu())
    branch = part("bn4")(part("conv3")(part("bn3")(branch).relu()))
    expected = branch.clone()
    expected[:, :104] += nn.functional.avg_pool2d(nn.functional.pad(x, (0, 1, 0, 1)), 2) * _ceil_mode_factor(9)
    torch.testing.assert_close(block(x), expected)
    assert expected.shape == (2, 4 * 31, 5, 5)


def _ceil_mode_factor(side: int) -> Tensor:
    """A window of 2 x 2 that hangs over the edge is the mean of the pixels that are there."""
    whole = torch.ones(-(-side // 2))
    whole[-1] = 2.0
    return whole[:, None] * whole


@pytest.mark.parametrize("rates", [{"stochastic_depth": 0.25}, {"drop_block": 0.1}, {"shakedrop": 0.5}])
def test_rates_change_no_tensors_name_and_no_first_weights(rates: dict[str, float]) -> None:
    torch.manual_seed(3)
    plain = PyramidNet(7, depth=20, alpha=30.0)
    torch.manual_seed(3)
    regularized = PyramidNet(7, depth=20, alpha=30.0, **rates)  # type: ignore[arg-type]
    assert _shapes(regularized) == _shapes(plain)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(regularized.state_dict()[name], tensor), name


@pytest.mark.parametrize("rates", [{"stochastic_depth": 0.25}, {"drop_block": 0.1}])
def test_what_acts_in_training_only_leaves_a_plain_network_behind(rates: dict[str, float], tmp_path: Path) -> None:
    trained = build(Spec(PYRAMIDNET, 7, 32, {**SMALL, **rates}))
    with torch.no_grad():
        different = [trained(_images()) for _ in range(2)]
    assert not torch.equal(*different), "in training it is random"
    save(tmp_path / "backbone.safetensors", trained, Spec(PYRAMIDNET, 7, 32, SMALL))
    loaded = load(tmp_path / "backbone.safetensors").model.eval()
    assert torch.equal(loaded(_images()), trained.eval()(_images()))


def test_rates_grow_linearly_with_depth() -> None:
    network = PyramidNet(7, depth=29, alpha=30, shakedrop=0.5)  # 9 blocks
    rates = [float(block.get_submodule("scale").rate) for stage in (1, 2, 3) for block in _blocks(network, stage)]  # type: ignore[arg-type]
    assert rates == pytest.approx([0.5 * i / 9 for i in range(1, 10)])


def _blocks(network: nn.Module, stage: int) -> list[nn.Module]:
    return list(network.get_submodule(f"layer{stage}").children())


def test_channels_last_gives_the_same_logits() -> None:
    network = PyramidNet(7, depth=20, alpha=30, drop_block=0.1).eval()
    expected = network(_images())
    last = network.to(memory_format=torch.channels_last)
    found = last(_images().contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"depth": 199}, "9n \\+ 2"),
        ({"depth": 2}, "9n \\+ 2"),
        ({"depth": 21, "bottleneck": False}, "6n \\+ 2"),
        ({"depth": 20, "shakedrop": 1.0}, "shakedrop: expected a rate in"),
        ({"depth": 20, "stochastic_depth": -0.1}, "stochastic_depth: expected a rate in"),
        ({"depth": 20, "drop_block": 1.5}, "drop_block: expected a rate in"),
        ({"depth": 20, "drop_block": 0.1, "block_size": 0}, "at least 1 pixel"),
        ({"depth": 20, "shakedrop": 0.5, "stochastic_depth": 0.2}, "set one"),
    ],
)
def test_a_wrong_argument_is_a_users_error(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(Spec(PYRAMIDNET, 7, 32, kwargs))


def test_a_resnet_of_no_whole_blocks_is_a_users_error() -> None:
    with pytest.raises(UserError, match="9n \\+ 2 with bottleneck=True, got 32"):
        build(Spec("core.networks.resnet_cifar:ResNetCIFAR", 7, 32, {"depth": 32}))


def test_the_regularized_resnet50_is_timms_in_the_test() -> None:
    torch.manual_seed(0)
    network = resnet50(5, stochastic_depth=0.25, drop_block=0.1, zero_init_last=False)
    plain = timm.create_model("resnet50", num_classes=5)
    assert _shapes(network) == _shapes(plain)
    plain.load_state_dict(network.state_dict())
    images = _images(2, 64)
    assert torch.equal(network.eval()(images), plain.eval()(images))


def test_drop_block_acts_in_the_last_two_groups_and_on_every_shortcut() -> None:
    network = resnet50(5, drop_block=0.1)
    calls: dict[float, int] = {}
    for module in network.modules():
        if type(module).__name__ == "DropBlock":

            def count(module: nn.Module, inputs: object, output: object) -> None:
                rate = round(float(module.final_rate), 4)  # type: ignore[arg-type]
                calls[rate] = calls.get(rate, 0) + 1

            module.register_forward_hook(count)
    with torch.no_grad():
        network(_images(2, 64))
    # 4 places in each of layer3's 6 and layer4's 3 blocks: three convolutions and the shortcut.
    assert calls == {0.025: 24, 0.1: 12}


def test_timms_own_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="drop_path_rate: expected stochastic_depth"):
        resnet50(5, drop_path_rate=0.2)
