"""One of two processes of `paddle.Model` or `ImageClassifier`; test_process_faults.py starts them.

python -m paddle.distributed.launch --nproc_per_node 2 tests/training/process_faults.py BASE OUT
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
from kinks import decided

from paddle_resnet import ImageClassifier  # isort: skip  (before Paddle: it sets up the threads)
import paddle
from paddle import nn

from paddle_resnet.data import BatchLoader

#: Odd, so that two processes cannot have equally many; the last sample is unlike the others.
SAMPLES = 11


class Points(paddle.io.Dataset):
    def __init__(self):
        chance = np.random.RandomState(0)
        self.x = chance.rand(SAMPLES, 4).astype(np.float32)
        self.y = chance.randint(0, 3, SAMPLES)
        self.x[-1] *= 9

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        return self.x[index], np.int64(self.y[index])


class Last(paddle.callbacks.Callback):
    def on_train_batch_end(self, step, logs=None):
        self.logs = {"loss": float(logs["loss"][0]), "acc": float(logs["acc"])}


def predicted_of_a_loader(base):
    """How many outputs each process has of a BatchLoader, which is not shared among them."""
    images = np.arange(SAMPLES * 4, dtype=np.uint8).reshape(SAMPLES, 1, 2, 2)
    loader = BatchLoader(images, np.zeros(SAMPLES, np.int64), 4)
    model = base(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))
    model.prepare()
    return len(model.predict(loader, verbose=0, stack_outputs=True)[0])


class OwnLoss(ImageClassifier):
    """Says of a batch how large the process's number is."""

    def train_batch(self, inputs, labels=None, update=True):
        super().train_batch(inputs, labels, update)
        return [np.float32(paddle.distributed.get_rank())], [0]


def main(name, out):
    base = {"Model": paddle.Model, "ImageClassifier": ImageClassifier}[name]
    data = Points()
    paddle.seed(1)
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1D(6), nn.Linear(6, 3))
    model = base(network)
    model.prepare(
        paddle.optimizer.SGD(0.01, network.parameters()),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(),
    )
    network.eval()
    whole = network(paddle.to_tensor(data.x))
    losses = nn.functional.cross_entropy(whole, paddle.to_tensor(data.y), reduction="none").numpy()
    assert decided(whole.numpy()).all()
    right = whole.numpy().argmax(1) == data.y
    told = {"expected": {"loss": float(losses.mean()), "acc": float(right.mean())}}
    figures = model.evaluate(data, batch_size=2, verbose=0)
    told["evaluate"] = {"loss": float(figures["loss"][0]), "acc": float(figures["acc"])}
    outputs = model.predict(data, batch_size=2, verbose=0, stack_outputs=True)[0]
    told["predicted"] = len(outputs)
    told["as one process"] = bool(
        outputs.shape == tuple(whole.shape) and np.allclose(outputs, whole.numpy(), atol=1e-6)
    )
    batches = model.predict(data, batch_size=4, verbose=0)[0]
    told["batches"] = [len(batch) for batch in batches]
    told["of a loader"] = predicted_of_a_loader(base)
    last, text = Last(), io.StringIO()
    with contextlib.redirect_stdout(text):
        model.fit(data, batch_size=2, epochs=1, shuffle=False, verbose=2, callbacks=[last])
        model.save(f"{out}/{name}/by-{paddle.distributed.get_rank()}/final")
    told["train"] = last.logs
    told["statistics"] = network[1]._mean.numpy().tolist()
    told["weights"] = network[0].weight.numpy().tolist()
    if base is ImageClassifier:
        own = OwnLoss(network)
        own.prepare(
            paddle.optimizer.SGD(0.01, network.parameters()),
            nn.CrossEntropyLoss(),
            paddle.metric.Accuracy(),
        )
        told["own loss"] = own.fit(data, batch_size=2, epochs=1, verbose=0)["loss"][0]
    told["prints"] = bool(text.getvalue())
    Path(f"{out}/{name}-{paddle.distributed.get_rank()}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
