"""Modules whose strength grows or shrinks while training goes on, such as DropBlock's drop rate."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Scheduled(Protocol):
    """A module that is told before every step how much of the training is done.

    Under torch.compile the value should go into a buffer (`fill_`): a Python number that changes compiles anew.
    """

    def set_progress(self, progress: float) -> None:
        """`progress`: the share of the training's steps that are done, in [0, 1)."""
