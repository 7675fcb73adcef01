"""What a process costs is its own."""

import subprocess
import sys

import pytest

from benchmarks.measure import MB, measured
from benchmarks.meter import together


def test_the_memory_of_whoever_measures_is_not_counted(tmp_path):
    ballast = b"x" * (200 * MB)
    cost = measured([sys.executable, "-S", "-c", "print('done')"], tmp_path)
    assert len(ballast) > cost.peak_mb * MB
    assert cost.output == "done\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets us look at it")
def test_the_memory_of_children_is_counted_with_it():
    child = f"y = b'y' * {60 * MB}; print('ready', flush=True); input()"
    holder = f"x = b'x' * {60 * MB}; import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', sys.argv[1]])"
    program = [sys.executable, "-S", "-c", holder, child]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert 120 < together(process.pid) / MB < 200
        process.communicate(b"\n")
    assert together(process.pid) == 0


def test_a_program_that_fails_ends_the_benchmark_with_its_words(tmp_path):
    with pytest.raises(SystemExit, match="no such luck"):
        measured([sys.executable, "-S", "-c", "import sys; sys.exit('no such luck')"], tmp_path)
