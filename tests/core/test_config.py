"""Configs are loaded, overridden, digested; what is wrong in one is named."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core.config import differences, digest, find, load, override, plain, unhashed
from core.errors import UserError
from core.provenance import slug
from core.seeding import derive
from eval.table import slug as table_slug


@dataclass(frozen=True)
class Base:
    """A family of plug-ins."""


@dataclass(frozen=True)
class Mix(Base):
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ValueError(f"alpha: expected above 0, came {self.alpha}")


@dataclass(frozen=True)
class Config:
    mixing: Base = field(default_factory=Mix)
    other: Base | None = field(default_factory=Mix)
    epochs: int = 3
    root: Path | None = unhashed(None)


def test_a_plugin_is_overridden_by_its_dotted_name() -> None:
    changed = override(Config(), ["--mixing.alpha", "0.5", "--other.alpha", "2"])
    assert changed == Config(mixing=Mix(0.5), other=Mix(2.0))


@pytest.mark.parametrize("args", [["--mixing.alhpa", "1"], ["--epochs", "many"]])
def test_an_unknown_field_or_value_ends_with_a_message(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        override(Config(), args)
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert args[0] in said.err + said.out


def test_the_checks_of_a_config_speak_to_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        override(Config(), ["--mixing.alpha", "-1"])
    assert stopped.value.code == 2
    assert "expected above 0, came -1.0" in capsys.readouterr().err


def test_the_digest_covers_what_can_change_a_number_and_nothing_else() -> None:
    def of(config: Config) -> str:
        return digest(plain(config, hashed_only=True))

    assert of(Config()) == of(replace(Config(), root=Path("elsewhere")))
    assert of(Config()) != of(replace(Config(), mixing=Mix(0.5)))
    assert plain(Config())["mixing"]["class"].endswith("Mix")


NAMES = [
    "timm:resnet50.a1_in1k",
    "runs/x y/b.safetensors",
    "../a_b-c",
    "CUB200 Loc",
    ".hidden.",
    "Ärger: ß",
    "a__b",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_and_a_table_name_folders_alike(name: str) -> None:
    assert slug(name) == table_slug(name)


def test_differences_name_the_field_and_both_values() -> None:
    old, new = plain(Config()), plain(Config(mixing=Mix(0.5)))
    assert differences(old, new) == ["mixing.alpha: 1.0 there, 0.5 here"]


def test_a_config_that_is_not_there_lists_what_is(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("config = 1")
    with pytest.raises(UserError, match=r"no config .*two.*there are: one"):
        find(tmp_path / "two")


def test_of_many_configs_the_nearest_are_named() -> None:
    with pytest.raises(UserError, match=r"no config cifar100_pyramidnet200_cutmix; the nearest of \d+ in ") as error:
        find("cifar100_pyramidnet200_cutmix")
    where, _, names = str(error.value).rpartition(": ")
    assert where.endswith("/configs")
    assert names.split(", ")[0] == "pretrain/cifar100_pyramidnet200_cutmix"
    assert len(names.split(", ")) == 5
    find(names.split(", ")[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = 1", r"expected a variable `config`.*'x'"), ("1 / 0", "ZeroDivisionError"), ("config = (", "SyntaxError")],
)
def test_a_broken_config_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


def test_derived_seeds_are_frozen_and_tell_their_parts_apart() -> None:
    assert derive(0, "sample", 1, 2) == derive(0, "sample", 1, 2)
    parts: list[tuple[int | str, ...]] = [("a", "b"), ("ab",), (1,), ("1",), (1, 2), (12,), ()]
    assert len({derive(0, *p) for p in parts} | {derive(1)}) == len(parts) + 1
    assert derive(3, "order", 7) == 5003869648859252732
