"""Processes in the background: ours are ended with all they started, nobody else's is touched."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from include.local import processes

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"], process_group=0)
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


@pytest.fixture
def launch(tmp_path):
    """Start a Python program as "worker"; its first line is in the log when this returns."""

    def start(program: str) -> tuple[psutil.Process, str]:
        log_file = tmp_path / "log" / "worker.log"
        command = [sys.executable, "-c", program]
        process = processes.start(
            tmp_path, "worker", command, env=dict(os.environ), log_file=log_file
        )
        deadline = time.monotonic() + 10
        while not log_file.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        return process, log_file.read_text().strip()

    yield start
    processes.stop(tmp_path, "worker", patience_s=0.5)


def test_stopping_ends_children_in_process_groups_of_their_own_too(tmp_path, launch):
    parent, child = launch(PARENT)
    assert processes.running(tmp_path, "worker") == parent
    assert processes.stop(tmp_path, "worker") is True
    assert not psutil.pid_exists(int(child)) or not processes.alive(psutil.Process(int(child)))
    assert processes.running(tmp_path, "worker") is None


def test_children_of_a_killed_leader_are_still_ended(tmp_path, launch):
    parent, child = launch(PARENT)
    parent.kill()
    parent.wait()
    assert processes.running(tmp_path, "worker") is None
    assert processes.stop(tmp_path, "worker") is True
    assert not psutil.pid_exists(int(child)) or not processes.alive(psutil.Process(int(child)))


def test_one_that_ignores_the_polite_signal_is_killed(tmp_path, launch):
    process, _ = launch(STUBBORN)
    assert processes.stop(tmp_path, "worker", patience_s=0.3) is True
    assert not processes.alive(process)


def test_a_process_that_only_has_our_number_is_left_alone(tmp_path, launch, caplog):
    process, _ = launch(STUBBORN)
    path = tmp_path / "run" / "worker.json"
    ours = path.read_text()
    path.write_text(json.dumps({**json.loads(ours), "started_s": 1.0}))
    assert processes.running(tmp_path, "worker") is None
    assert processes.stop(tmp_path, "worker") is False
    assert processes.alive(process)
    assert f"process {process.pid} was not started from here" in caplog.text
    path.write_text(ours)


def test_a_number_written_down_before_the_machine_restarted_is_left_alone(tmp_path, launch):
    process, _ = launch(STUBBORN)
    path = tmp_path / "run" / "worker.json"
    ours = path.read_text()
    path.write_text(json.dumps({**json.loads(ours), "boot": "an earlier one"}))
    assert processes.stop(tmp_path, "worker") is False
    assert processes.alive(process)
    path.write_text(ours)


def test_it_outlives_the_command_that_started_it(tmp_path):
    program = f"""
import os
from pathlib import Path
from include.local import processes
log = Path({str(tmp_path)!r}) / "log"
processes.start(Path({str(tmp_path)!r}), "worker", ["sleep", "60"], env={{}}, log_file=log)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert processes.running(tmp_path, "worker") is not None
    assert processes.memory_bytes(tmp_path, "worker") > 0
    assert processes.stop(tmp_path, "worker") is True
