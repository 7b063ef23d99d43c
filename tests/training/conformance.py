"""What the conformance tests of `ImageClassifier` share: small networks and data, and the mark.

A conformance test is about one documented argument of one method of ``paddle.Model``, and runs with
the base class, as control, and with ours. Its docstring, where it has one, is a fault of the base
class: with it the base class must fail, and ours never may.
"""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.training import ImageClassifier


def conforms(test):
    """Run a test with both classes; the base class must fail it where its docstring is a fault."""
    fault = test.__doc__
    marks = [pytest.mark.xfail(strict=True, reason=fault)] if fault else []
    classes = [
        pytest.param(paddle.Model, marks=marks, id="paddle.Model"),
        pytest.param(ImageClassifier, id="ImageClassifier"),
    ]
    return pytest.mark.conformance(pytest.mark.parametrize("base", classes)(test))


#: 10 images of 3 x 2 x 2 pixels and 3 classes.
IMAGES = np.random.RandomState(0).rand(10, 3, 2, 2).astype(np.float32)
LABELS = np.arange(10) % 3
#: Batches of 4, 4 and 2.
BATCHES = [(IMAGES[i : i + 4], LABELS[i : i + 4]) for i in (0, 4, 8)]


def network(seed=0, classes=3):
    paddle.seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))


def prepared(base, net=None, optimizer=None, metrics=True, **kwargs):
    """A model of a class, ready for `fit`."""
    net = net or network()
    model = base(net)
    model.prepare(
        optimizer or paddle.optimizer.Momentum(0.1, parameters=net.parameters()),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy() if metrics else None,
        **kwargs,
    )
    return model


def weights(model):
    return {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}


def moved(before, model):
    """Whether any weight differs from what it was."""
    return any(not np.array_equal(before[name], now) for name, now in weights(model).items())


class Pairs(paddle.io.Dataset):
    """The images and labels one by one."""

    def __init__(self, with_labels=True):
        super().__init__()
        self.with_labels = with_labels

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return (IMAGES[index], LABELS[index]) if self.with_labels else IMAGES[index]


class Stream(paddle.io.IterableDataset):
    """The same as a stream, whose length nobody knows."""

    def __iter__(self):
        yield from zip(IMAGES, LABELS)


class Calls(paddle.callbacks.Callback):
    """Keeps the name, number and logs of every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *args: self.calls.append(
                (name, args[0] if len(args) > 1 else None, dict(args[-1] or {}))
            )
        return super().__getattribute__(name)

    def count(self, name):
        return sum(each == name for each, _, _ in self.calls)

    def logs(self, name):
        return [logs for each, _, logs in self.calls if each == name]


class Seen(nn.Layer):
    """A network that keeps the first pixel of every image it was given, batch by batch."""

    def __init__(self):
        super().__init__()
        self.inner = network()
        self.batches = []

    def forward(self, x):
        self.batches.append(x[:, 0, 0, 0].numpy().tolist())
        return self.inner(x)

    @property
    def order(self):
        pixels = IMAGES[:, 0, 0, 0].tolist()
        return [[pixels.index(value) for value in batch] for batch in self.batches]


DATA = {
    "Dataset": Pairs,
    "DataLoader": lambda: paddle.io.DataLoader(Pairs(), batch_size=4),
    "DataLoader of a stream": lambda: paddle.io.DataLoader(Stream(), batch_size=4),
    "DataLoader that is given batches": lambda: paddle.io.DataLoader(
        paddle.io.TensorDataset([IMAGES, LABELS]),
        batch_sampler=paddle.io.BatchSampler(Pairs(), batch_size=4),
    ),
    "list of batches": lambda: list(BATCHES),
    "batches of lists": lambda: [([x], [y]) for x, y in BATCHES],
    "batches of tensors": lambda: [tuple(map(paddle.to_tensor, batch)) for batch in BATCHES],
    "batches of dicts": lambda: [{"image": x, "label": y} for x, y in BATCHES],
    "iterable of unknown length": lambda: map(tuple, BATCHES),
}
KINDS = pytest.mark.parametrize("kind", list(DATA))


def answers(path, images=IMAGES):
    """What a saved network answers, in the form that `paddle.jit.load` reads."""
    loaded = paddle.jit.load(path)
    loaded.eval()
    return loaded(paddle.to_tensor(images)).numpy()


def own_answers(net, images=IMAGES):
    net.eval()
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).numpy()


def go(model, run):
    """Run a method on the data, whatever it is called."""
    if run.endswith("_batch"):
        getattr(model, run)(*([[IMAGES]] if run == "predict_batch" else [[IMAGES], [LABELS]]))
    else:
        getattr(model, run)(BATCHES, verbose=0)
