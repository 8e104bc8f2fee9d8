"""Recipes: learning rates as functions of the step, the linear scaling rule, lengths, and what does not fit."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import UserError
from core.recipe import SGD, Constant, Cosine, Every, Recipe, Schedule, Steps


def test_learning_rates_are_functions_of_the_step() -> None:
    steps = Recipe(optimizer=SGD(lr=0.1), batch_size=10, epochs=300, schedule=Steps(at=(75, 150, 225)))
    assert [round(steps.lr(e * 10, 100), 9) for e in (0, 74, 75, 149, 150, 225, 299)] == [
        0.1, 0.1, 0.01, 0.01, 0.001, 0.0001, 0.0001,
    ]  # fmt: skip
    every = Recipe(optimizer=SGD(lr=1.0), batch_size=1, steps=10, schedule=Every(3), warmup_steps=2)
    assert [round(every.lr(s, 5), 9) for s in range(7)] == [0.5, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01]
    cosine = Recipe(optimizer=SGD(lr=1.0), batch_size=1, steps=4, schedule=Cosine())
    assert [round(cosine.lr(s, 5), 6) for s in range(5)] == [1.0, 0.853553, 0.5, 0.146447, 0.0]


def test_the_linear_scaling_rule() -> None:
    """Goyal et al.: 0.1 for 256 images is 3.2 for 8192; warm-up and schedule scale with it."""
    large = Recipe(optimizer=SGD(lr=0.1), batch_size=8192, lr_batch=256, epochs=10, schedule=Every(5), warmup_steps=2)
    assert large.base_lr == pytest.approx(3.2)
    assert [round(large.lr(step, 8192), 6) for step in (0, 1, 4, 5)] == [1.6, 3.2, 3.2, 0.32]
    assert Recipe(optimizer=SGD(lr=0.1), batch_size=8192, epochs=10).base_lr == 0.1
    assert Recipe(optimizer=SGD(lr=0.1), batch_size=64, lr_batch=64, epochs=10).lr(0, 640) == 0.1


MOCO = Recipe(
    optimizer=SGD(lr=0.02),
    batch_size=16,
    lr_batch=16,
    scale_steps=True,
    steps=24_000,
    schedule=Steps(at=(18_000, 22_000)),
    warmup_steps=100,
)


@pytest.mark.parametrize(
    ("batch", "lr", "length", "marks", "warmup"),
    [
        (16, 0.02, 24_000, (18_000, 22_000), 100),
        (8, 0.01, 48_000, (36_000, 44_000), 200),  # facebookresearch/moco, issue 11: 4 GPUs
        (2, 0.0025, 192_000, (144_000, 176_000), 800),
        (32, 0.04, 12_000, (9_000, 11_000), 50),
        (12, 0.015, 32_000, (24_000, 29_333), 133),  # round(22_000 * 16 / 12), round(100 * 16 / 12)
    ],
)
def test_half_the_batch_is_half_the_rate_and_twice_the_steps(
    batch: int, lr: float, length: int, marks: tuple[int, int], warmup: int
) -> None:
    """detectron2's `DefaultTrainer.auto_scale_workers` gives these numbers, each rounded to a whole step."""
    recipe = replace(MOCO, batch_size=batch)
    assert recipe.total_steps(16_551) == length
    assert recipe.base_lr == pytest.approx(lr)
    assert recipe.lr(0, 16_551) == pytest.approx(lr / warmup)
    assert [recipe.lr(step, 16_551) for step in (warmup - 1, marks[0] - 1)] == pytest.approx([lr, lr])
    assert [recipe.lr(marks[0], 16_551), recipe.lr(marks[1] - 1, 16_551)] == pytest.approx([lr / 10, lr / 10])
    assert recipe.lr(marks[1], 16_551) == pytest.approx(lr / 100)
    assert abs(length * batch - 24_000 * 16) < batch, "as many images"


def test_steps_stay_where_nothing_is_asked() -> None:
    recipe = replace(MOCO, batch_size=8, scale_steps=False)
    assert (recipe.total_steps(16_551), recipe.warmup) == (24_000, 100)
    assert recipe.lr(18_000, 16_551) == pytest.approx(0.001)


def test_of_a_length_in_epochs_only_the_warm_up_is_in_steps() -> None:
    epochs = Recipe(
        optimizer=SGD(lr=0.4),
        batch_size=4,
        lr_batch=8,
        scale_steps=True,
        epochs=3,
        schedule=Steps((2,)),
        warmup_steps=5,
    )
    assert (epochs.total_steps(80), epochs.warmup) == (60, 10)
    assert [round(epochs.lr(step, 80), 6) for step in (0, 9, 39, 40)] == [0.02, 0.2, 0.2, 0.02]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "learning rate 0.02 for a batch of 16, as it is; 24,000 steps of 16 images, the first 100 a warm-up"),
        (
            {"batch_size": 8},
            "learning rate 0.01, which is 0.02 for a batch of 16 scaled to 8; 48,000 steps of 8 images (the recipe's "
            "24,000, as all that it counts in steps, times 16/8: as many images), the first 200 a warm-up",
        ),
        (
            {"batch_size": 8, "steps": None, "epochs": 1},
            "learning rate 0.01, which is 0.02 for a batch of 16 scaled to 8; 2,068 steps of 8 images (the recipe's "
            "numbers of steps times 16/8: as many images), the first 200 a warm-up",
        ),
        (
            {"batch_size": 8, "scale_steps": False, "warmup_steps": 0},
            "learning rate 0.01, which is 0.02 for a batch of 16 scaled to 8; 24,000 steps of 8 images, not scaled "
            "(fewer images)",
        ),
        (
            {"batch_size": 8, "lr_batch": None, "scale_steps": False, "warmup_steps": 0},
            "learning rate 0.02 as it is, 24,000 steps of 8 images",
        ),
        (
            {"batch_size": 1, "steps": 1, "lr_batch": None, "scale_steps": False, "warmup_steps": 0},
            "learning rate 0.02 as it is, 1 step of 1 image",
        ),
    ],
)
def test_the_rule_is_said_in_words(fields: dict[str, Any], said: str) -> None:
    assert replace(MOCO, **fields).rule(16_551) == said


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Steps(at=(18_000, 22_000), gamma=0.5), Steps(at=(4_500.0, 5_500.0), gamma=0.5)),
        (Every(8), Every(2.0)),
        (Cosine(0.1), Cosine(0.1)),
        (Constant(), Constant()),
    ],
)
def test_a_stretched_schedule(schedule: Schedule, expected: Schedule) -> None:
    assert schedule.stretched(0.25) == expected


@pytest.mark.parametrize(
    ("drop_last", "length", "per_epoch", "total"),
    [
        (True, {"epochs": 3}, 10, 30),
        (False, {"epochs": 3}, 11, 33),
        (True, {"epochs": 2.5}, 10, 25),
        (True, {"steps": 7}, 10, 7),
    ],
)
def test_lengths(drop_last: bool, length: dict[str, Any], per_epoch: int, total: int) -> None:
    recipe = Recipe(optimizer=SGD(lr=0.1), batch_size=10, drop_last=drop_last, **length)
    assert (recipe.steps_per_epoch(104), recipe.total_steps(104)) == (per_epoch, total)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": None}, {"steps": 2}, {"epochs": 0.0}, {"batch_size": 0}, {"accumulate": 0}, {"accumulate": 3},
        {"ema_decay": 0.0}, {"ema_decay": 1.0}, {"lr_batch": 0}, {"scale_steps": True}, {"optimizer": SGD(lr=0.0)},
    ],
)  # fmt: skip
def test_values_that_make_no_recipe(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="recipe: expected"):
        Recipe(**{"optimizer": SGD(lr=0.1), "batch_size": 4, "epochs": 1.0, **wrong})


@pytest.mark.parametrize(
    ("fields", "samples", "ranks", "message"),
    [
        ({}, 0, 1, "nothing to train on"),
        ({}, 11, 1, "11 samples, fewer than one batch of 12"),
        ({"accumulate": 3}, 100, 5, "accumulate x processes = 3 x 5; batch_size=12"),
        ({"accumulate": 4}, 100, 2, "accumulate x processes = 4 x 2; batch_size=12"),
        ({"drop_last": False}, 14, 3, "an epoch's last batch has 2 of 14 samples, fewer than 3 processes"),
        ({"drop_last": False, "accumulate": 2}, 19, 2, "last micro-batch has 1 of 19 samples, fewer than 2 processes"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], samples: int, ranks: int, message: str) -> None:
    recipe = Recipe(**{"optimizer": SGD(lr=0.1), "batch_size": 12, "epochs": 1.0, **fields})
    with pytest.raises(UserError, match=message):
        recipe.check(samples, ranks)


@pytest.mark.parametrize(
    ("fields", "samples", "ranks"),
    [({}, 12, 1), ({}, 12, 4), ({"accumulate": 3}, 50, 4), ({"drop_last": False}, 5, 1), ({"drop_last": False}, 15, 2)],
)
def test_what_fits(fields: dict[str, Any], samples: int, ranks: int) -> None:
    Recipe(**{"optimizer": SGD(lr=0.1), "batch_size": 12, "epochs": 1.0, **fields}).check(samples, ranks)


@pytest.mark.parametrize(("drop_last", "expected"), [(True, [0, 4, 8, 12, 16, 20]), (False, [0, 4, 8, 10, 14, 18])])
def test_images_are_counted_where_an_epochs_last_batch_is_short(drop_last: bool, expected: list[int]) -> None:
    recipe = Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=5, drop_last=drop_last)
    assert [recipe.images_in(steps, samples=10) for steps in range(6)] == expected
    assert recipe.images(10) == (40 if drop_last else 50)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "expected epochs above 0; it is 0"),
        ({"epochs": None, "steps": -1}, "expected steps above 0; it is -1"),
        ({"batch_size": 0}, "expected batch_size above 0; it is 0"),
        ({"optimizer": SGD(lr=-1.0)}, "expected optimizer.lr above 0; it is -1.0"),
        ({"optimizer": SGD(lr=float("nan"))}, "expected optimizer.lr above 0; it is nan"),
        ({"steps": 2}, r"epochs=3, steps=2: set the other to None \(--recipe.epochs None"),
        ({"epochs": None}, "epochs=None, steps=None: give one"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(fields: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"optimizer": SGD(lr=0.1), "batch_size": 4, "epochs": 3, **fields}
    with pytest.raises(ValueError, match=message):
        Recipe(**given)
