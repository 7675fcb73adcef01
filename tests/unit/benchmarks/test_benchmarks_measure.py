"""What a process costs is its own."""

import sys

import pytest

from benchmarks.measure import MB, measured


def test_the_memory_of_whoever_measures_is_not_counted(tmp_path):
    ballast = b"x" * (200 * MB)
    cost = measured([sys.executable, "-S", "-c", "print('done')"], tmp_path)
    assert len(ballast) > cost.peak_mb * MB
    assert cost.output == "done\n"


def test_the_memory_of_children_is_counted_with_it(tmp_path):
    holder = f"x = b'x' * {60 * MB}; import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', sys.argv[1]])"
    child = f"y = b'y' * {60 * MB}; import time; time.sleep(1)"
    cost = measured([sys.executable, "-S", "-c", holder, child], tmp_path, tree=True)
    assert 60 < cost.peak_mb < 110
    if sys.platform == "linux":
        assert cost.tree_mb > 120


def test_a_program_that_fails_ends_the_benchmark_with_its_words(tmp_path):
    with pytest.raises(SystemExit, match="no such luck"):
        measured([sys.executable, "-S", "-c", "import sys; sys.exit('no such luck')"], tmp_path)
