"""The operator in training: derivatives by differences, averages, accumulation, processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from kinks import clear_seed
from paddle.nn import functional as F

from paddle_resnet import ConvBNLayer, create_model, kernels
from paddle_resnet.optim.ema import ExponentialMovingAverage

ROOT = Path(__file__).parents[2]

#: (batch, channels in, out, side, kernel, stride, groups, dilation)
CASES = [
    (2, 4, 6, 7, 3, 1, 1, 1),
    (2, 4, 6, 7, 3, 2, 1, 1),
    (2, 4, 6, 7, 3, 1, 1, 2),
    (2, 4, 6, 7, 3, 2, 2, 1),
    (2, 4, 6, 7, 1, 1, 1, 1),
    (2, 32, 32, 15, 3, 1, 1, 1),  # by Winograd's algorithm
    (4, 512, 512, 2, 1, 1, 1, 1),  # as a matrix product
]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_what_differences_show(case, training, residual):
    batch, ins, outs, side, size, stride, groups, dilation = case
    rng = np.random.default_rng(0)
    paddle.seed(0)
    unit = ConvBNLayer(ins, outs, size, stride, groups, "relu", dilation=dilation)
    unit.train() if training else unit.eval()
    # Each channel lies well above or below zero, where the ReLU has its kink.
    unit.bn.weight.set_value(rng.uniform(0.2, 0.4, outs).astype("float32"))
    unit.bn.bias.set_value(np.where(np.arange(outs) % 3, 5, -5).astype("float32"))
    given = {"x": paddle.to_tensor(rng.standard_normal([batch, ins, side, side], "float32"))}
    shape = unit.conv(given["x"]).shape
    if not training:
        given["x"] *= 0.3
    if residual:
        given["residual"] = paddle.to_tensor(0.3 * rng.standard_normal(shape, "float32"))
    for tensor in given.values():
        tensor.stop_gradient = False
    given.update(weight=unit.conv.weight, gamma=unit.bn.weight, beta=unit.bn.bias)
    weights = rng.standard_normal(shape, "float32")

    def score():
        with paddle.no_grad():
            y = unit(given["x"], given.get("residual"))
        return np.sum(y.numpy().astype("float64") * weights)

    with kernels.use("require"):
        (unit(given["x"], given.get("residual")) * paddle.to_tensor(weights)).sum().backward()
        for name, tensor in given.items():
            gradient, value = tensor.grad.numpy().astype("float64"), tensor.numpy()
            # Along the gradient, and across it.
            across = rng.standard_normal(gradient.shape)
            step = gradient / np.linalg.norm(gradient) + across / np.linalg.norm(across)
            step = (5e-3 * np.linalg.norm(value) * step).astype("float32")
            scores = []
            for sign in (1, -1):
                tensor.set_value(value + sign * step)
                scores.append(score())
            tensor.set_value(value)
            found, expected = (scores[0] - scores[1]) / 2, np.sum(gradient * step)
            most = np.linalg.norm(gradient) * np.linalg.norm(step)
            assert abs(found - expected) < 5e-3 * most, f"{name}: {found} {expected}"


def train(mode, seed, frozen=(), parts=1):
    """Train a small network for three steps; return weights, averages, and the average's scores."""
    paddle.seed(seed)
    net = create_model("resnet20", widths=(16, 32, 32), layers=(1, 1, 1))
    for name, parameter in net.named_parameters():
        parameter.stop_gradient = parameter.stop_gradient or name.startswith(tuple(frozen))
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    trained = [p for p in net.parameters() if not p.stop_gradient]
    optimizer = paddle.optimizer.Momentum(0.02, parameters=trained)
    average = ExponentialMovingAverage(net, 0.5, warmup=False)
    rng = np.random.default_rng(seed)
    with kernels.use(mode):
        for _ in range(3):
            for _ in range(parts):
                x = paddle.to_tensor(rng.standard_normal([4 // parts, 3, 8, 8], "float32"))
                (F.cross_entropy(net(x), paddle.arange(4 // parts)) / parts).backward()
            optimizer.step()
            optimizer.clear_grad()
            average.update()
        found = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
        found.update(
            {f"average {name}": value for name, value in average.state_dict()["average"].items()}
        )
        net.eval()
        with average.average_parameters(), paddle.no_grad():
            found["scores"] = net(x).numpy()
    return found, before


@pytest.mark.parametrize(
    "options",
    [{}, {"parts": 2}, {"frozen": ["conv1", "bn1", "layer1"]}, {"frozen": ["layer3"], "parts": 2}],
    ids=str,
)
def test_averages_accumulation_and_freezing_are_those_of_plain_paddle(options):
    seed = clear_seed(lambda seed: train("off", seed, **options))
    (ours, before), (plain, _) = train("require", seed, **options), train("off", seed, **options)
    for name, expected in plain.items():
        error = np.abs(ours[name] - expected).max() / (np.abs(expected).max() + 1e-3)
        assert error < 2e-4, f"{name}: {error:.1e}"
    again, _ = train("require", seed, **options)
    for name, value in again.items():
        np.testing.assert_array_equal(value, ours[name], err_msg=name)
    kept = [
        name
        for name in before
        if name.startswith(tuple(options.get("frozen", ["nothing"])))
        and name.endswith(("weight", "bias"))
    ]
    assert bool(kept) == ("frozen" in options)
    for name in kept:
        np.testing.assert_array_equal(ours[name], before[name], err_msg=name)


SCRIPT = """
import sys
import paddle_resnet
paddle_resnet.cpu_runtime.import_paddle()
import numpy as np
import paddle
import paddle.distributed as dist
from kinks import MARGIN, margins
from paddle_resnet import create_model
from paddle_resnet.kernels import conv_bn_act as unit

def train(seed):
    paddle.seed(seed)
    net = create_model("resnet20", widths=(16, 32, 32), layers=(1, 1, 1))
    parallel = paddle.DataParallel(net)
    optimizer = paddle.optimizer.Momentum(0.02, parameters=net.parameters())
    rng = np.random.default_rng(seed)
    for _ in range(2):
        x = rng.standard_normal([6, 3, 8, 8], "float32")[rank * 3 : rank * 3 + 3]
        loss = paddle.nn.functional.cross_entropy(parallel(paddle.to_tensor(x)), paddle.arange(3))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return net

dist.init_parallel_env()
rank, seed = dist.get_rank(), int(sys.argv[2])
if seed < 0:  # both processes keep clear of kinks
    least = paddle.zeros([1])
    while least.item() <= MARGIN:
        seed += 1
        assert seed < 200
        with margins() as found:
            net = train(seed)
        least = paddle.to_tensor([min(found)])
        dist.all_reduce(least, op=dist.ReduceOp.MIN)
else:
    net = train(seed)
named = {name: p.numpy() for name, p in net.named_parameters() if not p.stop_gradient}
np.savez(f"{sys.argv[1]}/{rank}.npz", computed=unit.computed, seed=seed, **named)
"""


@pytest.mark.slow  # starts four processes
def test_two_processes_train_what_plain_paddle_trains(tmp_path):
    found, seed = {}, -1
    for mode in ("off", "require"):
        folder = tmp_path / mode
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
        command += ["--log_dir", str(folder / "log"), str(folder / "script.py"), str(folder)]
        environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith("PADDLE_T")
            },
            "PADDLE_RESNET_KERNELS": mode,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "tests"])),
        }
        done = subprocess.run(
            [*command, str(seed)], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found[mode] = [dict(np.load(folder / f"{rank}.npz")) for rank in (0, 1)]
        seeds = {int(each.pop("seed")) for each in found[mode]}
        (seed,) = seeds
    assert [int(each.pop("computed")) > 0 for each in found["off"] + found["require"]] == [
        False,
        False,
        True,
        True,
    ]
    for name, expected in found["off"][0].items():
        ours = found["require"][0][name]
        np.testing.assert_array_equal(ours, found["require"][1][name])
        error = np.abs(ours - expected).max() / (np.abs(expected).max() + 1e-3)
        assert error < 2e-4, f"{name}: {error:.1e}"
