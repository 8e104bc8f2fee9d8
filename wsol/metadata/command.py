"""`python -m wsol import-metadata` and `python -m wsol validate-metadata`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from eval.localization.truth import Truth

FINE, PROBLEMS = 0, 2


def import_main(argv: Sequence[str] | None = None) -> int:
    """Write a data set's boxes or masks as metadata; exit code 2 with a message for what the user can put right."""
    parser = argparse.ArgumentParser(
        prog="python -m wsol import-metadata",
        description="Write a data set's boxes or masks in wsolevaluation's text format, for python -m wsol evaluate.",
    )
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    _kind(kinds, "imagenet", "ILSVRC XML files, or a folder with val/<class>/ and localization/", _imagenet, "val")
    _kind(kinds, "cub", "CUB_200_2011 as it unpacks", _cub, "test")
    voc = _kind(kinds, "voc", "VOCdevkit/VOC2007 or of another year", _voc, "test")
    coco = _kind(kinds, "coco", "COCO's annotations/instances_<split>.json", _coco, "val2017")
    kinds.choices["imagenet"].add_argument(
        "--classes", type=Path, help="file that names all classes, a WordNet id at the start of each line"
    )
    for one in (voc, coco):
        one.add_argument("--class-name", help="only images with this class (default: each image's most frequent one)")
    coco.add_argument("--masks", action="store_true", help="write instance masks (OUT/masks/*.png) instead of boxes")
    args = parser.parse_args(argv)
    return _shielded(lambda: _import(args))


def validate_main(argv: Sequence[str] | None = None) -> int:
    """Check a folder of metadata and name every bad line; exit code 0: none, 2: some."""
    parser = argparse.ArgumentParser(
        prog="python -m wsol validate-metadata",
        description="Check metadata and name every line that is wrong. Exit code 0: none is, 2: some are.",
    )
    parser.add_argument("folder", type=Path, help="the four text files' folder, or one file of boxes")
    parser.add_argument("--images", type=Path, help="folder of the images: they must exist and have the sizes said")
    parser.add_argument("--masks", type=Path, help="folder of the masks (default: the metadata's)")
    parser.add_argument("--classes", type=int, help="how many classes there are: labels must be below")
    parser.add_argument("--most", type=int, help="print at most so many problems (default: all)")
    args = parser.parse_args(argv)
    return _shielded(lambda: _validate(args))


def _kind(
    kinds: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    what: str,
    read: "Callable[[argparse.Namespace], Sequence[Truth]]",
    split: str,
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=what)
    parser.add_argument("root", type=Path, help=what)
    parser.add_argument("out", type=Path, help="folder to write the four text files to")
    parser.add_argument("--split", default=split, help="(default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace metadata that is in OUT")
    parser.set_defaults(read=read)
    return parser


def _import(args: argparse.Namespace) -> int:
    from wsol.metadata import text

    if not args.root.exists():
        raise UserError(f"{args.root} does not exist")
    if not args.force and (there := [name for name in text.FILES if (args.out / name).exists()]):
        raise UserError(f"{args.out} holds metadata ({', '.join(there)}); --force replaces it, another OUT keeps it")
    truths = args.read(args)
    text.write(args.out, truths)
    located = sum(len(truth.boxes) or len(truth.masks) for truth in truths)
    classes = len({truth.label for truth in truths})
    what = "masks" if truths[0].masks else "boxes"
    sys.stdout.write(f"{args.out}: {len(truths):,} images of {classes:,} classes, {located:,} {what}\n")
    return FINE


def _imagenet(args: argparse.Namespace) -> "Sequence[Truth]":
    from wsol.metadata.imagenet import read

    return read(args.root, args.split, args.classes)


def _cub(args: argparse.Namespace) -> "Sequence[Truth]":
    from wsol.metadata.cub import read

    return read(args.root, args.split)


def _voc(args: argparse.Namespace) -> "Sequence[Truth]":
    from wsol.metadata.voc import read

    return read(args.root, args.split, args.class_name)


def _coco(args: argparse.Namespace) -> "Sequence[Truth]":
    from wsol.metadata.coco import read

    return read(args.root, args.split, args.class_name, args.out / "masks" if args.masks else None)


def _validate(args: argparse.Namespace) -> int:
    from wsol.metadata.validate import summary, validate

    problems = validate(args.folder, args.images, mask_root=args.masks, classes=args.classes)
    wrong = sum(not problem.notice for problem in problems)
    for line in summary(problems, args.most):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{args.folder}: {wrong:,} problems, {len(problems) - wrong:,} notes\n")
    return PROBLEMS if wrong else FINE


def _shielded(command: Callable[[], int]) -> int:
    """What the user can put right becomes a message and exit code 2."""
    try:
        return command()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return PROBLEMS
