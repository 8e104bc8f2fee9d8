"""The rule of short schedules: length and marks divided, the rest as it is."""

from dataclasses import replace

import pytest

from core.recipe import SGD, Cosine, Recipe, Steps
from transfer.schedules import short

FULL = Recipe(
    optimizer=SGD(lr=0.02, weight_decay=1e-4),
    batch_size=16,
    steps=24_000,
    schedule=Steps(at=(18_000, 22_000)),
    warmup_steps=100,
)


def test_length_and_marks_are_divided_and_nothing_else() -> None:
    quarter = short(FULL, 4)
    assert quarter == replace(FULL, steps=6_000, schedule=Steps(at=(4_500, 5_500)))


def test_the_rates_are_those_of_the_full_schedule_at_four_times_the_step() -> None:
    quarter = short(FULL, 4)
    for step in range(100, 6_000, 7):  # behind the warm-up, which stays
        assert quarter.lr(step, 16_551) == FULL.lr(4 * step, 16_551), step
    assert [quarter.lr(step, 16_551) for step in range(100)] == [FULL.lr(step, 16_551) for step in range(100)]


@pytest.mark.parametrize(("by", "steps", "first"), [(1, 24_000, 18_000), (7, 3_429, 2_571), (5, 4_800, 3_600)])
def test_a_rate_falls_at_whole_steps(by: int, steps: int, first: int) -> None:
    recipe = short(FULL, by)
    assert recipe.total_steps(16_551) == steps
    assert [recipe.lr(first - 1, 16_551), recipe.lr(first, 16_551)] == pytest.approx([0.02, 0.002])


def test_a_schedule_without_marks_and_a_length_in_epochs() -> None:
    epochs = Recipe(optimizer=SGD(lr=0.1), batch_size=10, epochs=30, schedule=Cosine())
    assert short(epochs, 4) == replace(epochs, epochs=7.5)
    marked = replace(epochs, schedule=Steps(at=(20,)))
    assert short(marked, 4).lr(50, 100) == pytest.approx(0.01), "20 / 4 epochs of 10 steps"


@pytest.mark.parametrize(("by", "said"), [(0, "divide by 1 or more, got 0"), (240, "are 100, and the warm-up is 100")])
def test_what_makes_no_schedule_is_refused(by: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        short(FULL, by)
