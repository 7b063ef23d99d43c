"""An error in a Dataset, its sampler or its collating ends the training; Paddle waits for ever."""

import subprocess
import sys
import textwrap

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.io import BatchSampler, DataLoader, Dataset, IterableDataset
from PIL import Image

from paddle_resnet.errors import DataError
from paddle_resnet.training import ImageClassifier

IMAGE = np.zeros([3, 2, 2], np.float32)


class Samples(Dataset):
    """8 samples, of which number 5 is what a function returns or raises."""

    def __init__(self, fifth):
        super().__init__()
        self.fifth = fifth

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.fifth() if index == 5 else (IMAGE, np.int64(index % 3))


class Stream(IterableDataset):
    def __init__(self, fifth):
        super().__init__()
        self.samples = Samples(fifth)

    def __iter__(self):
        for index in range(8):
            yield self.samples[index]


def raising(error):
    def fifth():
        raise error

    return fifth


def classifier():
    paddle.seed(0)  # the order of a Dataset; what Paddle says depends on the first of a batch
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    model = ImageClassifier(net)
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), nn.CrossEntropyLoss())
    return model


def run(method, data):
    model = classifier()
    kwargs = {"verbose": 0} if isinstance(data, DataLoader) else {"verbose": 0, "batch_size": 4}
    if method == "eval_data":
        return model.fit([(IMAGE[None], np.zeros([1], np.int64))], data, **kwargs)
    return getattr(model, method)(data, **kwargs)


WAYS = {
    "Dataset": Samples,
    "stream": Stream,
    "DataLoader": lambda fifth: DataLoader(Samples(fifth), batch_size=4),
    "DataLoader of a stream": lambda fifth: DataLoader(Stream(fifth), batch_size=4),
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "eval_data"])
def test_an_error_is_raised_as_it_is(method, way):
    error = OSError("bad file 5.jpg")
    with pytest.raises(OSError, match="bad file") as caught:
        run(method, WAYS[way](raising(error)))
    assert caught.value is error


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("error", [KeyError(5), SystemExit(3), MemoryError()], ids=repr)
def test_any_error(way, error):
    with pytest.raises(type(error)):
        run("fit", WAYS[way](raising(error)))


@pytest.mark.parametrize("way", list(WAYS))
def test_stop_iteration_is_no_end(way):
    """Paddle takes it for the end of the data, and leaves out the rest."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        run("fit", WAYS[way](raising(StopIteration())))


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize(
    ("fifth", "part"),
    [
        (lambda: (np.zeros([3, 2, 4], np.float32), 0), "shape [3, 2, 2] and [3, 2, 4]: bring all"),
        (lambda: (IMAGE,), "they have"),
        (lambda: None, "they have"),
        (lambda: (Image.new("RGB", (2, 2)), 0), "is PIL.Image.Image, expected an array"),
        (lambda: (IMAGE, None), "expected numbers."),
        (lambda: (IMAGE, np.array("cat")), "positions of the labels in a list of the classes"),
        (lambda: (IMAGE, np.datetime64("2024-01-01")), "batch"),
    ],
    ids=["size", "parts", "None", "Pillow", "label None", "text", "date"],
)
def test_samples_that_make_no_batch(way, fifth, part):
    with pytest.raises(DataError) as error:
        run("fit", WAYS[way](fifth))
    assert part in str(error.value)


def test_a_sampler_that_raises():
    class Sampler(BatchSampler):
        def __iter__(self):
            yield [0, 1]
            raise LookupError("sampler")

    data = Samples(lambda: (IMAGE, 0))
    with pytest.raises(LookupError, match="sampler"):
        run("fit", DataLoader(data, batch_sampler=Sampler(data, batch_size=2)))


def test_a_collate_fn_that_raises():
    def collate(samples):
        raise LookupError("collate")

    with pytest.raises(LookupError, match="collate"):
        run("fit", DataLoader(Samples(lambda: (IMAGE, 0)), batch_size=4, collate_fn=collate))


def test_batches_before_the_error_are_trained_on_and_no_more():
    seen = []

    class See(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            seen.append(logs["batch_size"])

    for data in (Samples(raising(OSError("x"))), Stream(raising(OSError("x")))):
        with pytest.raises(OSError, match="x"):
            classifier().fit(data, batch_size=4, shuffle=False, verbose=0, callbacks=[See()])
    assert seen == [4, 4]


def test_an_error_behind_the_last_step_is_none():
    """The thread reads ahead; what nobody asks for may fail."""
    data = Samples(raising(OSError("x")))
    history = classifier().fit(data, batch_size=4, shuffle=False, num_iters=1, verbose=0)
    assert len(history) == 1


def test_a_loader_is_not_changed_and_can_be_used_again():
    ok = [False]

    def fifth():
        if not ok[0]:
            raise OSError("x")
        return IMAGE, np.int64(0)

    loader = DataLoader(Samples(fifth), batch_size=4)
    before = dict(vars(loader))
    with pytest.raises(OSError, match="x"):
        run("evaluate", loader)
    assert vars(loader) == before
    ok[0] = True
    assert np.isfinite(run("evaluate", loader)["loss"][0])


def test_a_loader_of_a_subclass_is_left_alone():
    class Twice(DataLoader):
        def __iter__(self):
            for _ in range(2):
                yield from super().__iter__()

    loader = Twice(Samples(lambda: (IMAGE, 0)), batch_size=4)
    (outputs,) = classifier().predict(loader, stack_outputs=True, verbose=0)
    assert len(outputs) == 16


def test_a_loader_without_batches_of_its_own():
    """`batch_size=None`: the Dataset's items are the batches."""

    class Batches(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.zeros([4, 3, 2, 2], np.float32), np.zeros([4], np.int64)

    (outputs,) = classifier().predict(DataLoader(Batches(), batch_size=None), verbose=0)
    assert [len(batch) for batch in outputs[:1]] == [4] or len(outputs) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_fails_is_said_in_a_sentence():
    with pytest.raises(DataError, match="a worker process could not read a batch"):
        classifier().fit(Samples(raising(OSError("x"))), batch_size=4, num_workers=1, verbose=0)


def test_the_base_class_waits_for_ever():
    """Its reading thread has ended, and 1 second later nothing has come of it."""
    script = """
        import os, threading, time
        import numpy as np, paddle
        from paddle import nn

        class Samples(paddle.io.Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, index):
                raise OSError("bad file")

        def ended(arguments):
            threading.Thread(target=lambda: (time.sleep(1), os._exit(7))).start()

        threading.excepthook = ended
        model = paddle.Model(nn.Linear(3, 3))
        model.prepare(paddle.optimizer.SGD(0.1, model.parameters()), nn.CrossEntropyLoss())
        model.fit(Samples(), batch_size=4, verbose=0)
    """
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, timeout=120
    )
    assert child.returncode == 7
