"""`python -m transfer.tasks.detection.detectron2 CONFIG --backbone SOURCE --out FOLDER`: files for its own trainer.

Writes FOLDER/backbone.pkl and FOLDER/config.yaml; `train_net.py --config-file FOLDER/config.yaml` of detectron2 takes
them as they are. To train with detectron2's network in this project's loop, no export is needed: --task.engine
detectron2.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from core.interrupt import exit_code, while_importing

PROG = "python -m transfer.tasks.detection.detectron2"
_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with a message for what the user can mend."""
    args, rest = _parser().parse_known_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    return exit_code(lambda: _run(args, rest))


def _run(args: argparse.Namespace, rest: Sequence[str]) -> None:
    with while_importing():
        from core.config import load, override
        from core.errors import UserError
        from transfer.stage import Transfer
        from transfer.tasks.detection.detectron2.export import CONFIG, export

    config = load(args.config)
    if not isinstance(config, Transfer):
        raise UserError(f"{args.config}: expected a transfer config, it defines a {type(config).__name__}")
    export(override(config, rest, prog=f"{PROG} {args.config}"), args.backbone, args.out, args.data_root)
    _log.info("train_net.py --config-file %s", args.out / CONFIG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG,
        usage="%(prog)s CONFIG --backbone SOURCE --out FOLDER [--data-root FOLDER] [--field.of.the.config VALUE ...]",
        description="Write a backbone and a transfer config as detectron2's own trainer takes them.",
        allow_abbrev=False,
    )
    parser.add_argument("config", help="a transfer config with a FasterRCNN task, or its name below configs/")
    parser.add_argument(
        "--backbone", required=True, help="a run folder, a .safetensors file, timm:NAME or torchvision:NAME"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--data-root", type=Path, help="the data root: for recipes in epochs, and for COCO's classes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
