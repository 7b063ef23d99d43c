"""Two ranks that see different run folders or data, and what they do about it.

Started by `test_rank_agreement.py` with Paddle's launcher:

    python -m paddle.distributed.launch --nproc_per_node 2 tests/training/rank_agreement.py OUT
"""

import copy
import json
import sys
from pathlib import Path

import numpy as np

import paddle_resnet  # noqa: F401 - before Paddle
from paddle_resnet.distributed.collectives import init_distributed, rank
from paddle_resnet.errors import UserError
from paddle_resnet.runs.checkpoint_folder import CheckpointFolder
from paddle_resnet.runs.rank_agreement import newest_on_all_ranks

OUT = Path(sys.argv[1])


def folder(case, *checkpoints):
    """Return this rank's own folder, with checkpoints ``(step, value)``; None is a corrupt one."""
    place = OUT / case / str(rank())
    place.mkdir(parents=True)
    made = CheckpointFolder(place / "checkpoints")
    made.folder.mkdir()
    for step, value in checkpoints:
        path = made.write(step, {"value": np.full(3, value or 0.0)})
        if value is None:
            path.write_bytes(path.read_bytes()[:-1])
    return made


def answer(case, *of_rank):
    """Return what a rank gets, or the error's type and sentence."""
    lines = []
    try:
        found = newest_on_all_ranks(folder(case, *of_rank[rank()]), lines.append)
    except UserError as error:
        return {"error": type(error).__name__, "sentence": str(error), "lines": lines}
    if found is None:
        return {"none": True, "lines": lines}
    return {"name": found.path.name, "value": found.state["value"].tolist(), "lines": lines}


def average_of_fit():
    """Return the average of a `fit` whose ranks began with different weights."""
    import paddle
    from paddle import nn

    from paddle_resnet import ImageClassifier
    from paddle_resnet.optim.ema import ExponentialMovingAverage

    paddle.seed(rank())
    network = nn.Linear(3, 2)
    model = ImageClassifier(network)
    optimizer = paddle.optimizer.SGD(0.0, parameters=network.parameters())
    model.prepare(optimizer, lambda outputs, labels: outputs.mean())
    average = ExponentialMovingAverage(network, 0.9)
    data = [(np.ones([2, 3], np.float32), np.zeros([2], np.int64))]
    model.fit(data, epochs=3, verbose=0, average=average)
    return {
        "weights": network.weight.numpy().tolist(),
        "average": average.state_dict()["average"]["weight"].tolist(),
    }


def one_training():
    """Return what a step draws, its loss and that of the rank alone, and the network after it."""
    import paddle
    from paddle import nn

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from small_training import small_state

    from paddle_resnet.training.loop.callback import Callback
    from paddle_resnet.training.loop.training_loop import train

    class Draws(Callback):
        drawn, losses = [], []

        def on_step_end(self, state, result):
            self.drawn.append(paddle.rand([1]).item())
            self.losses.append(result.loss)

    paddle.seed(0)
    network = nn.Sequential(nn.BatchNorm1D(3), nn.Linear(3, 2))
    optimizer = paddle.optimizer.SGD(0.1, parameters=network.parameters())
    # Shards of unequal sizes, of other values.
    images = np.arange(15, dtype=np.float32).reshape(5, 3) ** 1.5
    shard = slice(0, 2) if rank() == 0 else slice(2, 5)
    batches = [(images[shard], np.array([0, 1, 1, 0, 1])[shard])]
    note = Draws()
    # What this rank's own loss is, before anything has moved.
    own = nn.functional.cross_entropy(
        copy.deepcopy(network)(paddle.to_tensor(batches[0][0])), paddle.to_tensor(batches[0][1])
    )
    train(small_state(network, optimizer, batches, seed=7), callbacks=[note])
    state = {name: tensor.numpy().tolist() for name, tensor in network.state_dict().items()}
    return {"drawn": note.drawn, "losses": note.losses, "own": own.item(), "state": state}


def main():
    init_distributed()
    same = [(5, 1.0), (10, 2.0)]
    answers = {
        "same": answer("same", same, same),
        "none": answer("none", [], []),
        "newest corrupt": answer("newest corrupt", [(5, 1.0), (10, None)], same),
        "newer on rank 1": answer("newer on rank 1", [(5, 1.0)], same),
        "other content": answer("other content", same, [(5, 1.0), (10, 3.0)]),
        "absent on rank 1": answer("absent on rank 1", same, [(5, 1.0)]),
        "corrupt on rank 1": answer("corrupt on rank 1", same, [(5, 1.0), (10, None)]),
        "all corrupt": answer("all corrupt", [(5, None)], same),
        "average": average_of_fit(),
        "training": one_training(),
    }
    (OUT / f"{rank()}.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
