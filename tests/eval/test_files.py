"""Files written whole or not at all, and what is never written over."""

import os
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.files import check_outputs, replacing


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder/target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as part:
        part.write_text("new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    assert [path.name for path in target.parent.iterdir()] == ["target.json"]


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    """As root, renaming a file to /dev/null would take it away from the whole machine."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(EvalError, match=rf"{path}: cannot be written: what has this name is no file"):
            check_outputs([path], [])
        with pytest.raises(EvalError, match=rf"{path}: cannot be written"), replacing(path):
            pytest.fail("there is nothing to write to")
        assert pipe.is_fifo()


def test_what_is_read_is_not_written_over_by_any_name(tmp_path: Path) -> None:
    read, link = tmp_path / "read.json", tmp_path / "link.json"
    read.write_text("[]")
    link.symlink_to(read)
    for path in (read, tmp_path / "." / "read.json", link):
        with pytest.raises(EvalError, match=rf"{path}: is read; it is not written over"):
            check_outputs([path], [read])
    with pytest.raises(EvalError, match="two files of one name"):
        check_outputs([tmp_path / "new.json", tmp_path / "folder" / ".." / "new.json"], [read])
    check_outputs([tmp_path / "new.json"], [read])


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(EvalError, match=r"out\.json: cannot be written: .*no-such-file"), replacing(path) as part:
        part.with_name("no-such-file").rename(part)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("out.json", "old")]
