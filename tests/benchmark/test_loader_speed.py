import os
import subprocess
import sys

import pytest

from paddle_resnet.benchmark.loader_speed import measure


def test_the_loader_is_at_least_twenty_times_as_fast_as_paddles(monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_DATA", "sample")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    result = measure(rounds=3, paddle_images=256, our_images=6_000)
    assert result["ratio"] > 20
    assert result["ours"] == pytest.approx(result["ratio"] * result["paddle"], rel=0.6)
    assert result["rounds"] == 3
    assert "sample" in result["data"]
    if cores:
        assert os.sched_getaffinity(0) == cores


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) == 1, reason="one core"
)
def test_one_core_is_given_back_also_where_openmp_had_not_started():
    code = """
import os
import subprocess
import sys
import paddle_resnet
paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle_resnet.benchmark.loader_speed import _one_core
cores = os.sched_getaffinity(0)
large = paddle.ones([512, 512])
with _one_core():
    large @ large
large @ large
tasks = {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
print(tasks == {frozenset(cores)})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))},
    )  # fmt: skip
    assert done.stdout.strip() == "True"
