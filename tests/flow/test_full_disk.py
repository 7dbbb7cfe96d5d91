"""A full disk: one line, and BI reads on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.conftest import AS_OF, Place, assert_same

SMALL = "128k"


@pytest.fixture
def small_disk(place) -> Iterator[Place]:
    """A state folder whose snapshots and work files share a disk that is too small for them."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    there = place()
    disk = there.home / "disk"
    for folder in (disk, there.home / "snapshots", there.home / "work"):
        folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "portrait", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield there
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def onto(disk: Path, folder: Path) -> None:
    folder.rmdir()
    (disk / folder.name).mkdir()
    folder.symlink_to(disk / folder.name)


def test_no_room_for_a_snapshot(small_disk):
    before = small_disk.shown()
    onto(small_disk.home / "disk", small_disk.home / "snapshots")
    answer = small_disk.run(ONLY="profile", AS_OF=AS_OF)
    assert answer.status == 1
    assert answer.line.startswith("profile.take_snapshot: snapshot: ")
    assert "No space left on device; make room or set another folder, then run again" in answer.line
    assert list((small_disk.home / "snapshots").iterdir()) == []
    assert_same(small_disk.shown(), before)


def test_no_room_for_the_work_files_of_a_publish(small_disk):
    before = small_disk.shown()
    onto(small_disk.home / "disk", small_disk.home / "work")
    answer = small_disk.run(ONLY="publish")
    assert answer.status == 1
    task, _, said = answer.line.partition(": ")
    assert task in {"publish.score", "publish.recommend"}  # side by side: either may be first
    assert said.startswith(
        f"{small_disk.home}: no space left on the disk; make room, then run again"
    )
    assert small_disk.generation() == 1
    assert_same(small_disk.shown(), before)
