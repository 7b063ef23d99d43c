"""Each case needs a process of its own: Paddle reads its environment once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_resnet import cpu_runtime

ROOT = Path(__file__).parents[1]
CORES = cpu_runtime.available_cores()


def in_process(code, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**env, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def test_importing_first_gives_paddle_all_cores():
    out, err = in_process(
        "import paddle_resnet, os; paddle_resnet.resnet18; print(os.environ['OMP_NUM_THREADS'])"
    )
    assert out == str(CORES)
    assert err == ""  # neither Paddle's advice against threads nor its word on ccache


def test_the_users_own_threads_win():
    out, _ = in_process(
        "import paddle_resnet, paddle, os;"
        "print(os.environ['OMP_NUM_THREADS'], paddle_resnet.RUNTIME.threads)",
        OMP_NUM_THREADS="1",
    )
    assert out == "1 1"


@pytest.mark.skipif(CORES == 1, reason="one core: nothing to raise")
def test_importing_second_raises_the_threads_and_says_so_in_one_line():
    code = """
import paddle
import sys
print('----', file=sys.stderr)
import paddle_resnet, ctypes
omp = paddle_resnet.cpu_runtime._loaded_library('libiomp5.so', 'libgomp.so.1')
print(omp.omp_get_max_threads(), paddle_resnet.RUNTIME.threads)
"""
    out, err = in_process(code)
    assert out == f"{CORES} {CORES}"
    notice = err.split("----")[1].strip()
    assert "imported before paddle_resnet" in notice
    assert "\n" not in notice


def test_local_processes_share_the_cores():
    out, _ = in_process(
        "import paddle_resnet; print(paddle_resnet.RUNTIME.threads)", PADDLE_LOCAL_SIZE=str(CORES)
    )
    assert out == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_allocator_is_tuned_unless_the_user_did():
    code = "import paddle_resnet; print(paddle_resnet.RUNTIME.allocator_tuned)"
    assert in_process(code)[0] == "True"
    assert in_process(code, MALLOC_MMAP_THRESHOLD_="65536")[0] == "False"


def test_a_missing_paddle_is_a_sentence():
    code = """
import sys
sys.path = [folder for folder in sys.path if 'site-packages' not in folder]
import paddle_resnet
try:
    paddle_resnet.resnet50
except ModuleNotFoundError as error:
    print(error)
"""
    assert "pip install paddlepaddle" in in_process(code, PYTHONPATH=str(ROOT))[0]


def test_facts():
    assert cpu_runtime.cpu_model()
    assert cpu_runtime.memory_gib() >= 0
    assert 1 <= CORES <= (os.cpu_count() or 1)


def test_pictures_are_decoded_after_paddle_was_imported():
    """Paddle 2.6 brings a zlib along that a Pillow loaded after it calls by mistake."""
    code = """
import paddle_resnet
import io, paddle
from PIL import Image
file = io.BytesIO()
Image.new("RGB", (3, 2), (1, 2, 3)).save(file, "PNG")
print(Image.open(io.BytesIO(file.getvalue())).getpixel((2, 1)))
"""
    assert in_process(code, PYTHONPATH=str(ROOT))[0].splitlines()[-1] == "(1, 2, 3)"
