"""AutoAugment and RandAugment: torchvision's operations on the flipped view, drawn from the sample's seed."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from core.config import plain
from core.data.pictures import Decoded, Pixels
from core.errors import UserError
from pretrain.augmentation import PaddedCrop, RandomResizedCrop
from pretrain.policies import AutoAugment, Policy, RandAugment


def _pixels(side: int = 32) -> Pixels:
    ramp = np.add.outer(np.arange(side), np.arange(side)) * 255 / (2 * side)
    return np.stack([ramp, ramp.T, 255 - ramp], 2).astype(np.uint8)


CASES = [
    (AutoAugment(), v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET, fill=128)),
    (AutoAugment(fill=0, learned_on="cifar10"), v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=0)),
    (RandAugment(operations=3, magnitude=15), v2.RandAugment(3, 15, fill=128)),
]


@pytest.mark.parametrize(("policy", "torchvisions"), CASES)
def test_a_policy_is_torchvisions_from_the_seed_alone(policy: Policy, torchvisions: Any) -> None:
    before = torch.get_rng_state()
    ours = [policy(_pixels(), seed) for seed in range(30)]
    assert torch.equal(torch.get_rng_state(), before)
    for seed, view in enumerate(ours):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            assert np.array_equal(view, np.asarray(torchvisions(Image.fromarray(_pixels()))))
    assert len({view.tobytes() for view in ours}) > 10


def test_an_augmentation_hands_its_view_to_the_policy_after_the_flip() -> None:
    class Told(Policy):
        def build(self) -> Any:
            raise AssertionError

        def __call__(self, pixels: Pixels, seed: int) -> Pixels:
            told.append((pixels, seed))
            return 255 - pixels

    told: list[tuple[Pixels, int]] = []
    for kind in (RandomResizedCrop, PaddedCrop):
        for seed in range(8):
            plain_view = kind()(Decoded(_pixels()), 24, seed)
            view = kind(policy=Told())(Decoded(_pixels()), 24, seed)
            assert np.array_equal(told[-1][0], plain_view.pixels)
            assert np.array_equal(view.pixels, 255 - plain_view.pixels)
    assert len({seed for _, seed in told}) > 8, "the policy's seed does not vary"


def test_a_config_holds_a_policy() -> None:
    held = plain(RandomResizedCrop(policy=RandAugment(magnitude=7)))["policy"]
    assert held == {"class": "pretrain.policies.RandAugment", "fill": 128, "operations": 2, "magnitude": 7}


@pytest.mark.parametrize("bad", [lambda: AutoAugment(fill=256), lambda: RandAugment(magnitude=31)])
def test_impossible_policies_are_refused(bad: Any) -> None:
    with pytest.raises(UserError, match="Aug"):
        bad()
