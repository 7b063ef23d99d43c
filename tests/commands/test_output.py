"""What a command prints arrives in any encoding, in a pipe that closes, and without a console."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.io.atomic_files import atomic_write_json, atomic_write_text
from paddle_resnet.runs.run_log import RunLog

pytestmark = pytest.mark.usefixtures("warm_children")
RECIPE = """
    -c finetune -o model.name=resnet20 -o model.pretrained=resnet20 -o train.epochs=1
    -o train.batch_size=4 -o train.precision=float32 -o data.image_size=32
"""
TRAIN = RECIPE.split()
#: Environments whose standard output cannot hold every character.
NARROW = {
    "gbk": {"PYTHONIOENCODING": "gbk"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1, strictly": {"PYTHONIOENCODING": "latin-1:strict"},
    "utf-8, strictly": {"PYTHONIOENCODING": "utf-8:strict"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX locale": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
CLASSES = ("🐶", "猫", "Größe", b"\xff\xfe".decode("utf-8", "surrogateescape"))


def cli(*arguments):
    return [sys.executable, "-m", "paddle_resnet", *arguments]


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def run(*arguments, folder, **changes):
    """Run a command line in a process of its own; return its exit code and both outputs."""
    done = subprocess.run(
        cli(*arguments), cwd=folder, env=environment(**changes), capture_output=True, timeout=300
    )
    assert b"Traceback" not in done.stdout + done.stderr, done.stderr.decode(errors="replace")
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that holds ``猫`` (a folder per class, of all sorts of names) and ``🐶.png``."""
    folder = tmp_path_factory.mktemp("place")
    for number, name in enumerate(CLASSES):
        os.makedirs(folder / "猫" / name)
        for i in range(10):
            pixels = np.random.RandomState(99 * number + i).randint(0, 90, (36, 40, 3))
            Image.fromarray((pixels + 50 * number).astype("u1")).save(
                folder / "猫" / name / f"{i}.png"
            )
    Image.new("RGB", (40, 36), "red").save(folder / "🐶.png")
    return folder


#: Three command lines in one process, because most of the time is its start.
THREE = """
import os, sys
from paddle_resnet.cli import main
for line, code in (("predict 🐶.png", 0), ("data folder 猫", 0), ("predict 🐱.png", 2)):
    print("begins", flush=True)
    print("begins", file=sys.stderr, flush=True)
    words = [os.fsdecode(word.encode()) for word in line.split()]  # as a shell hands them over
    assert main(words) == code
    sys.stdout.flush()
"""


@pytest.mark.parametrize("narrow", NARROW.values(), ids=NARROW)
def test_names_beyond_the_encoding_do_not_end_a_command(place, narrow):
    done = subprocess.run(
        [sys.executable, "-c", f"exec(bytes.fromhex({THREE.encode().hex()!r}))"],
        cwd=place,
        env=environment(**narrow),
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    outs, errs = (text.split(b"begins\n")[1:] for text in (done.stdout, done.stderr))
    assert b".png: " in outs[0]
    assert b"10" in outs[1]
    assert errs[2].startswith(b"error: ")
    assert b"Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("narrow", [pytest.param("gbk", marks=pytest.mark.slow), "C locale"])
def test_a_training_leaves_whole_files_in_utf_8(place, narrow):
    name = f"run-{narrow.replace(' ', '-')}"
    code, _, err = run(
        *("train", *TRAIN, "-o", "data.root=猫", "-o", f"run.name={name}"),
        folder=place,
        **NARROW[narrow],
    )
    assert code == 0, err.decode(errors="replace")
    folder = place / "runs" / name
    log = (folder / "log.txt").read_bytes().decode("utf-8")
    assert "test accuracy" in log
    assert "猫" in (folder / "report.html").read_bytes().decode("utf-8")
    for file in ("result.json", "environment.json"):
        json.loads((folder / file).read_bytes().decode("utf-8"))
    # The network knows its classes by their names, wherever it was trained.
    from paddle_resnet.weights import read_weights

    assert set(read_weights(folder / "best.safetensors")[1]["classes"]) >= {"🐶", "猫", "Größe"}
    for command in ("evaluate", "report"):
        assert run(command, f"runs/{name}", folder=place, **NARROW[narrow])[0] == 0


def test_typographic_characters_become_plain_ones(tmp_path):
    code = (
        "import sys; from paddle_resnet.io import console; console.set_up();"
        "print('1\\u00a0000 × 2 − 3…', '“a”', '猫')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONIOENCODING="ascii"), capture_output=True
    )
    assert done.stdout == b'1 000 x 2 - 3... "a" ?\n', done.stderr


SIMILAR = ("models --names", "models --json", "count resnet50", "models --help")


@pytest.mark.parametrize(
    "line",
    [
        "models",
        "count resnet20",
        "--help",
        *(pytest.param(line, marks=pytest.mark.slow) for line in SIMILAR),
    ],
)
def test_a_pipe_that_closes_is_quiet(line, tmp_path):
    process = subprocess.Popen(
        cli(*line.split()),
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    err = process.stderr.read()
    # argparse passes over what its help meets.
    assert process.wait(60) in ((0, 141) if "help" in line else (141,))
    assert err == b""


def test_wrong_input_is_still_wrong_input_where_nobody_reads_the_sentence(tmp_path):
    process = subprocess.Popen(
        cli("models", "nothing"), env=environment(), cwd=tmp_path, stderr=subprocess.PIPE
    )
    process.stderr.close()
    assert process.wait(60) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "line",
    [
        "models --names",
        "count resnet20 --summary",
        pytest.param("models", marks=pytest.mark.slow),
    ],
)
def test_an_output_that_cannot_be_written_is_told(line, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            cli(*line.split()),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


ALL, SLOW = "0<&- 1>&- 2>&-", pytest.mark.slow


@pytest.mark.parametrize(
    ("line", "code", "closed"),
    [
        ("models --names", 0, "1>&-"),
        ("models --names", 0, ALL),
        ("models nothing", 2, "2>&-"),
        ("models nothing", 2, ALL),
        pytest.param("models --names", 0, "0<&-", marks=SLOW),
        pytest.param("models --names", 0, "2>&-", marks=SLOW),
        pytest.param("models nothing", 2, "0<&-", marks=SLOW),
        pytest.param("models nothing", 2, "1>&-", marks=SLOW),
    ],
)
def test_closed_streams_change_no_exit_code(closed, line, code, tmp_path):
    shell = f"{shlex.join(cli(*line.split()))} {closed}"
    done = subprocess.run(["sh", "-c", shell], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_a_training_without_a_console_keeps_its_files_whole(place):
    """With closed descriptors, the next file opened would be the one that Paddle prints to."""
    line = shlex.join(cli("train", *TRAIN)) + " -o data.root=sample -o data.name=cifar10"
    line = line.replace("-o data.image_size=32", "-o data.max_train_images=64 -o run.name=closed")
    done = subprocess.run(
        ["setsid", "-w", "sh", "-c", f"{line} 0<&- 1>&- 2>&-"],
        env={**environment(), "TERM": ""},
        cwd=place,
        timeout=300,
    )
    assert done.returncode == 0
    folder = place / "runs" / "closed"
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert "test accuracy" in (folder / "log.txt").read_text(encoding="utf-8")


def begin(folder, name, epochs):
    """Begin a training whose output goes into a pipe."""
    options = f"""
        -o data.name=cifar10 -o data.root=sample -o train.epochs={epochs}
        -o data.max_train_images=64 -o run.name={name} -o run.visualdl=false
        -o run.report=false -o run.log_interval=0.2
    """
    return subprocess.Popen(
        cli("train", *TRAIN[:-2], *options.split()),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_a_training_outlives_its_reader(tmp_path):
    process = begin(tmp_path, "alone", 1)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(300) == 0
    folder = tmp_path / "runs" / "alone"
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert "test accuracy" in (folder / "log.txt").read_text(encoding="utf-8")


def test_an_interrupt_that_also_ends_the_reader_leaves_a_checkpoint(tmp_path):
    process = begin(tmp_path, "both", 100)
    steps = tmp_path / "runs" / "both" / "steps.jsonl"
    deadline = time.monotonic() + 200
    while not (steps.is_file() and steps.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.stdout.close()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert list((tmp_path / "runs" / "both" / "checkpoints").iterdir())


@pytest.mark.parametrize("text", ["猫\n", "\udce7\udc8c\udcab\n"])
def test_bytes_that_were_utf_8_become_it_again(text, tmp_path, capsys):
    atomic_write_text(tmp_path / "t", text)
    assert (tmp_path / "t").read_bytes() == "猫\n".encode()
    log = RunLog()
    log.open(tmp_path / "log")
    log.keep(text.strip())
    assert (tmp_path / "log").read_bytes().endswith(" 猫\n".encode())
    atomic_write_json(tmp_path / "j", {"command": text})
    assert json.loads((tmp_path / "j").read_text(encoding="utf-8")) == {"command": text}


@pytest.mark.parametrize("text", [chr(0xDCFF), chr(0xD800), "a" + chr(0xDFFF) + chr(0xD800)])
def test_text_that_is_none_is_replaced(text, tmp_path):
    atomic_write_text(tmp_path / "t", f"[{text}]")
    assert (tmp_path / "t").read_bytes().decode("utf-8").startswith("[")
    assert Path(tmp_path / "t").read_text(encoding="utf-8").endswith("]")


def test_the_streams_are_the_callers_again(capsys):
    before = sys.stdout, sys.stderr
    assert main(["models", "--names"]) == 0
    assert (sys.stdout, sys.stderr) == before
    assert "resnet50\n" in capsys.readouterr().out
