"""Write a synthetic world: python -m core.data.synthetic [--root DIR] [--seed 1] [--imagenet-train 50] ..."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from core.data.synthetic import World
from core.errors import UserError


@dataclass(frozen=True)
class Command:
    """Write a synthetic world in the official layouts of ImageNet, CUB-200-2011, Pascal VOC and COCO captions."""

    root: Path | None = None
    """Folder to write it to. Default: data/world_<name>."""
    world: tyro.conf.OmitArgPrefixes[World] = field(default_factory=World)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (default: the process's); returns the exit code: 0, or 2 for what the user can put right."""
    try:
        command = tyro.cli(Command, prog="python -m core.data.synthetic", description=Command.__doc__, args=argv)
        root = command.root or command.world.default_root()
        command.world.ensure(root)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{root}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
