"""Writing a world, with a progress bar on a terminal and a line for each data set elsewhere."""

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.data.synthetic.layouts import albums
from core.data.synthetic.world import World


def write(world: World, folder: Path) -> None:
    """Write all data sets of the world into an empty folder.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for album in albums(world, folder):
            start = time.monotonic()
            task = progress.add_task(f"world {world.name}: {album.name}", total=album.pictures)
            for _ in album.steps:
                progress.advance(task)
            if not console.is_terminal:
                took = time.monotonic() - start
                console.print(
                    f"world {world.name}: {album.name}, {album.pictures} pictures in {took:.1f} s", soft_wrap=True
                )
