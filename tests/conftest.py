"""Imported before any test: Paddle gets all cores only if the package comes first."""

import gc
import os
import shutil
import signal
import sys
import time
from pathlib import Path

# Workers of pytest-xdist share the cores: one thread each, decided before Paddle reads it. (The
# process that starts them has all cores, and they inherit its environment.)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import paddle_resnet

# Not Paddle's advice against threads in front of every test run.
paddle_resnet.cpu_runtime.import_paddle()

import numpy as np  # noqa: E402
import paddle  # noqa: E402
import pytest  # noqa: E402
from run_fixture import make_run  # noqa: E402
from warm_python import WarmPython  # noqa: E402

from paddle_resnet.data import load_cifar10  # noqa: E402
from paddle_resnet.io.file_lock import FolderLock  # noqa: E402
from paddle_resnet.layers import BasicBlock  # noqa: E402
from paddle_resnet.models import ResNet  # noqa: E402

#: Files of many seconds: at the end, one of them would keep a worker busy alone.
LONG = (
    *("test_all_networks.py", "test_comparison.py", "test_trainer.py", "test_resume.py"),
    *("test_lessons.py", "test_output.py", "test_trained_networks.py", "test_contract.py"),
)

# A shell that starts pytest with `&` makes it ignore Ctrl-C, and with it the processes of tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Most tests compare with plain Paddle, some to the last bit; tests/kernels tests the operator.
os.environ.setdefault("PADDLE_RESNET_KERNELS", "off")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a file's tests to one worker, which makes what they share once; long files first."""
    from xdist.scheduler import LoadFileScheduling

    class LongFilesFirst(LoadFileScheduling):
        def _assign_work_unit(self, node):
            for scope in [each for each in self.workqueue if Path(each).name in LONG]:
                self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    return LongFilesFirst(config, log) if config.getvalue("dist") == "load" else None


def pytest_collection_finish(session):
    """Keep what is there by now, which stays to the end, out of later searches for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return `make(name, maker)`: the folder that the first worker to ask has made of it."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name, maker):
        folder, lock = common / name, FolderLock(common / f"{name}.lock")
        while not folder.exists():
            try:
                lock.acquire()
            except BlockingIOError:
                time.sleep(0.1)
                continue
            try:
                if not folder.exists():
                    unfinished = tmp_path_factory.mktemp(name)
                    maker(unfinished)
                    unfinished.rename(folder)
            finally:
                lock.release()
        return folder

    return make


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory):
    """The path of a Python that holds Paddle before it starts."""
    with WarmPython(tmp_path_factory.mktemp("warm")) as executable:
        yield executable


@pytest.fixture
def warm_children(warm_python, monkeypatch):
    """Let ``sys.executable`` be that one, for the test and the package."""
    monkeypatch.setattr(sys, "executable", warm_python)


@pytest.fixture(scope="session")
def sample():
    return load_cifar10("sample")


@pytest.fixture
def tiny():
    """A residual network of 5 convolutions, for 32-pixel images and 10 classes."""
    paddle.seed(0)
    return ResNet((1, 1), BasicBlock, 10, widths=(8, 16), stem="cifar")


@pytest.fixture
def batches(sample):
    """Unequal batches, so that a mean over batches differs from one over samples."""
    images = (sample.train_images[:50] / 255).astype(np.float32)
    labels = sample.train_labels[:50]
    return [(images[:32], labels[:32]), (images[32:48], labels[32:48]), (images[48:], labels[48:])]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run. Do not change it: take ``run_dir``, a copy."""
    return make_run(tmp_path_factory.mktemp("runs") / "trained")


@pytest.fixture
def run_dir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")
