"""Short forms of published schedules, by one stated rule."""

from dataclasses import replace

from core.recipe import Recipe


def short(recipe: Recipe, by: int) -> Recipe:
    """The recipe with its length and its schedule's marks divided by `by`.

    Learning rate, batch size and warm-up stay: the warm-up is there for the first steps of fresh heads, whatever comes
    after. The marks keep their places as shares of the whole (MoCo's 18,000 and 22,000 of 24,000 steps become, by 4,
    4,500 and 5,500 of 6,000). Lengths in steps are rounded to whole steps; a mark is rounded where it is used. A short
    run ends below the full one's number; rows that share it can still be compared with each other.

    Raises:
        ValueError: `by` is below 1, or nothing would be left behind the warm-up.
    """
    if by < 1:
        raise ValueError(f"short: expected to divide by 1 or more, got {by}")
    steps = None if recipe.steps is None else round(recipe.steps / by)
    epochs = None if recipe.epochs is None else recipe.epochs / by
    shorter = replace(recipe, steps=steps, epochs=epochs, schedule=recipe.schedule.stretched(1 / by))
    if steps is not None and recipe.warmup_steps >= steps:
        raise ValueError(f"short: {recipe.steps} steps by {by} are {steps}, and the warm-up is {recipe.warmup_steps}")
    return shorter
