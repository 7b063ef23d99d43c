"""An optimizer's state must find its way whatever else was made in the process."""

import subprocess
import sys

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.errors import WeightsError
from paddle_resnet.layers import BasicBlock
from paddle_resnet.models import ResNet
from paddle_resnet.optim.optimizer_state import OptimizerState
from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.loop.stateful import CompositeState, NetworkState

MAKERS = {
    "momentum": lambda p: paddle.optimizer.Momentum(0.05, parameters=p, weight_decay=1e-3),
    "adamw": lambda p: paddle.optimizer.AdamW(1e-3, parameters=p),
    "adam": lambda p: paddle.optimizer.Adam(1e-3, parameters=p),
    "lamb": lambda p: paddle.optimizer.Lamb(1e-3, parameters=p),
    "sgd": lambda p: paddle.optimizer.SGD(0.05, parameters=p),
    "groups": lambda p: paddle.optimizer.Momentum(
        0.05, parameters=[{"params": p[:3], "weight_decay": 0.1}, {"params": p[3:]}]
    ),
    "scheduled": lambda p: paddle.optimizer.Momentum(
        paddle.optimizer.lr.StepDecay(0.05, step_size=2), parameters=p
    ),
}


def network():
    return ResNet((1, 1), BasicBlock, 10, widths=(4, 8), stem="cifar")


def train(net, optimizer, batches):
    net.train()
    for images, labels in batches:
        loss = nn.functional.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        if isinstance(optimizer._learning_rate, paddle.optimizer.lr.LRScheduler):
            optimizer._learning_rate.step()
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def equal(a, b):
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("used", [False, True])
def test_another_network_goes_on_as_the_first_would(batches, name, used):
    """The second network, made later in the process, has other names for all it has."""
    first = network()
    optimizer = MAKERS[name](first.parameters())
    train(first, optimizer, batches)
    parts = {"network": NetworkState(first), "optimizer": OptimizerState(first, optimizer)}
    saved = CompositeState(parts).state_dict()
    expected = train(first, optimizer, batches)
    second = network()
    if used:  # an optimizer of its own before, so that moments have a second number
        train(second, MAKERS[name](second.parameters()), batches)
    another = MAKERS[name](second.parameters())
    if used:
        train(second, another, batches[:1])
    restored = {"network": NetworkState(second), "optimizer": OptimizerState(second, another)}
    CompositeState(restored).load_state_dict(saved)
    assert another.get_lr() == saved_rate(saved, another)
    assert equal(train(second, another, batches), expected)


def saved_rate(saved, optimizer):
    schedule = saved["optimizer"]["schedule"]
    return schedule["last_lr"] if schedule else optimizer.get_lr()


def test_a_parameter_that_is_trained_later_begins_with_moments_of_its_own(batches):
    """Paddle's own set_state_dict fails an assertion at the first step with it."""
    net = network()
    for parameter in net.parameters()[3:]:
        parameter.stop_gradient = True
    optimizer = MAKERS["momentum"](net.parameters())
    train(net, optimizer, batches[:1])
    saved = OptimizerState(net, optimizer).state_dict()
    another = MAKERS["momentum"](net.parameters())
    OptimizerState(net, another).load_state_dict(saved)
    for parameter in net.parameters():
        parameter.stop_gradient = False
    train(net, another, batches[:1])
    assert len(OptimizerState(net, another).state_dict()["tensors"]) > len(saved["tensors"])


def test_another_optimizer_or_network_is_told(batches):
    net = network()
    optimizer = MAKERS["momentum"](net.parameters())
    train(net, optimizer, batches[:1])
    saved = OptimizerState(net, optimizer).state_dict()
    with pytest.raises(WeightsError, match=r"made with the optimizer Momentum, and .* Adam"):
        OptimizerState(net, MAKERS["adam"](net.parameters())).load_state_dict(saved)
    other = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="no parameter of this network"):
        OptimizerState(other, MAKERS["momentum"](other.parameters())).load_state_dict(saved)
    name = next(iter(saved["tensors"]))
    saved["tensors"][name] = np.zeros([1], np.float32)
    with pytest.raises(WeightsError, match=r"has shape \[1\]"):
        OptimizerState(net, MAKERS["momentum"](net.parameters())).load_state_dict(saved)


def classifier(net, name="adamw"):
    model = ImageClassifier(net)
    model.prepare(MAKERS[name](net.parameters()), nn.CrossEntropyLoss())
    return model


SAVE = """
import sys
import numpy as np, paddle_resnet, paddle
from paddle import nn
from paddle_resnet.layers import BasicBlock
from paddle_resnet.models import ResNet
net = ResNet((1, 1), BasicBlock, 10, widths=(4, 8), stem="cifar")
model = paddle.Model(net)
model.prepare(paddle.optimizer.AdamW(1e-3, parameters=net.parameters()), nn.CrossEntropyLoss())
data = np.load(sys.argv[1])
batch = [(paddle.to_tensor(data["images"]), paddle.to_tensor(data["labels"]))]
model.fit(batch, epochs=2, verbose=0)
model.save(sys.argv[2])
model.fit(batch, epochs=1, verbose=0)
paddle.save(net.state_dict(), sys.argv[3])
"""


@pytest.mark.usefixtures("warm_children")
def test_pdopt_of_another_process_and_of_paddle_model_itself(batches, tmp_path):
    """What `paddle.Model.save` wrote elsewhere, loaded beside other networks."""
    images, labels = batches[0]
    np.savez(tmp_path / "batch.npz", images=images, labels=labels)
    files = [str(tmp_path / name) for name in ("batch.npz", "m", "expected.pdparams")]
    subprocess.run([sys.executable, "-c", SAVE, *files], check=True, timeout=120)
    network()  # takes some names away
    model = classifier(network())
    model.load(files[1])
    model.fit([batches[0]], epochs=1, verbose=0)
    expected = paddle.load(files[2])
    for name, tensor in model.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name].numpy())


def test_our_pdopt_is_read_by_a_second_network_of_the_process(batches, tmp_path):
    model = classifier(network())
    model.fit(batches, epochs=1, verbose=0)
    model.save(str(tmp_path / "m"))
    model.fit(batches[:1], epochs=1, verbose=0)
    second = classifier(network())
    second.load(str(tmp_path / "m"))
    second.fit(batches[:1], epochs=1, verbose=0)
    a, b = model.network.state_dict(), second.network.state_dict()
    assert equal({n: t.numpy() for n, t in a.items()}, {n: t.numpy() for n, t in b.items()})


def test_the_base_class_loses_the_moments_of_a_second_network(batches, tmp_path):
    model = classifier(network())
    model.fit(batches, epochs=1, verbose=0)
    model.save(str(tmp_path / "m"))
    net = network()
    base = paddle.Model(net)
    base.prepare(MAKERS["adamw"](net.parameters()), nn.CrossEntropyLoss())
    base.load(str(tmp_path / "m"))
    with pytest.raises(AssertionError, match="should in state dict"):
        base.fit([tuple(map(paddle.to_tensor, batches[0]))], epochs=1, verbose=0)


def test_a_pdopt_that_belongs_to_other_weights_is_told(batches, tmp_path):
    model = classifier(network())
    model.fit(batches[:1], epochs=1, verbose=0)
    model.save(str(tmp_path / "m"))
    other = classifier(network())
    other.fit(batches[:1], epochs=1, verbose=0)
    other.save(str(tmp_path / "other"))
    (tmp_path / "m.pdparams").write_bytes((tmp_path / "other.pdparams").read_bytes())
    with pytest.raises(WeightsError, match=r"beside the \.pdopt file"):
        other.load(str(tmp_path / "m"))
