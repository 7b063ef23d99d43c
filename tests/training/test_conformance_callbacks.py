"""Callbacks as Paddle documents them, with `paddle.Model` as control."""

import warnings

import paddle
import pytest
from conformance import BATCHES, Calls, conforms, network, prepared

HOOKS = {
    "on_train_begin": 1,
    "on_train_end": 1,
    "on_epoch_begin": 2,
    "on_epoch_end": 2,
    "on_train_batch_begin": 6,
    "on_train_batch_end": 6,
    "on_eval_begin": 2,
    "on_eval_end": 2,
    "on_eval_batch_begin": 6,
    "on_eval_batch_end": 6,
}


@conforms
@pytest.mark.parametrize("hook", list(HOOKS))
def test_hooks_of_fit(base, hook):
    calls = Calls()
    prepared(base).fit(BATCHES, BATCHES, epochs=2, verbose=0, callbacks=[calls])
    assert calls.count(hook) == HOOKS[hook]


@conforms
@pytest.mark.parametrize("hook", ["on_predict_batch_begin", "on_predict_batch_end"])
def test_hooks_of_predict(base, hook):
    calls = Calls()
    prepared(base).predict(BATCHES, verbose=0, callbacks=[calls])
    assert calls.count(hook) == 3


@conforms
def test_numbers_that_hooks_get(base):
    calls = Calls()
    prepared(base).fit(BATCHES, epochs=2, verbose=0, callbacks=[calls])
    numbers = {name: [n for each, n, _ in calls.calls if each == name] for name in HOOKS}
    assert numbers["on_epoch_begin"] == numbers["on_epoch_end"] == [0, 1]
    assert numbers["on_train_batch_end"] == [0, 1, 2, 0, 1, 2]


@conforms
def test_logs_that_hooks_get(base):
    calls = Calls()
    prepared(base).fit(BATCHES, BATCHES, verbose=0, callbacks=[calls])
    for hook in ("on_train_batch_end", "on_eval_batch_end", "on_epoch_end", "on_eval_end"):
        for logs in calls.logs(hook):
            assert {"loss", "acc", "step", "batch_size"} <= set(logs)
    assert [logs["batch_size"] for logs in calls.logs("on_train_batch_end")] == [4, 4, 2]
    assert calls.logs("on_eval_begin")[0] == {"steps": 3, "metrics": ["loss", "acc"]}


@conforms
def test_model_and_params(base):
    calls = Calls()
    model = prepared(base)
    model.fit(BATCHES, epochs=2, verbose=0, callbacks=[calls])
    assert calls.model is model
    given = {"epochs": 2, "steps": 3, "verbose": 0, "metrics": ["loss", "acc"]}
    assert {name: calls.params[name] for name in given} == given


@conforms
@pytest.mark.parametrize("count", [2, 4])
def test_params_of_num_iters(base, count):
    calls = Calls()
    prepared(base).fit(BATCHES, num_iters=count, verbose=0, callbacks=[calls])
    assert calls.params["steps"] == min(count, 3)
    assert calls.params["epochs"] == (1 if count == 2 else 2)


@conforms
def test_stop_training(base):
    class Stop(paddle.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    calls = Calls()
    prepared(base).fit(BATCHES, epochs=5, verbose=0, callbacks=[Stop(), calls])
    assert calls.count("on_epoch_end") == 2


@conforms
def test_prog_bar_logger(base, capfd):
    bar = paddle.callbacks.ProgBarLogger(log_freq=1, verbose=2)
    prepared(base).fit(BATCHES, verbose=0, callbacks=[bar])
    out = capfd.readouterr().out
    assert "step 3/3" in out
    assert "loss" in out


@conforms
def test_model_checkpoint(base, tmp_path, capfd):
    checkpoint = paddle.callbacks.ModelCheckpoint(save_freq=2, save_dir=str(tmp_path))
    prepared(base).fit(BATCHES, epochs=3, verbose=0, callbacks=[checkpoint])
    assert {p.stem for p in tmp_path.iterdir()} == {"0", "2", "final"}


@conforms
@pytest.mark.parametrize(("kwargs", "steps"), [({}, 6), ({"by_step": False, "by_epoch": True}, 2)])
def test_lr_scheduler(base, kwargs, steps):
    net = network()
    rate = paddle.optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    model = prepared(base, net, paddle.optimizer.SGD(rate, net.parameters()))
    callback = paddle.callbacks.LRScheduler(**kwargs)
    model.fit(BATCHES, epochs=2, verbose=0, callbacks=[callback])
    assert rate() == pytest.approx(0.1 * 0.5**steps)


@conforms
@pytest.mark.parametrize(
    ("kwargs", "epochs"),
    [
        ({"monitor": "loss", "mode": "min", "patience": 2}, 5),
        ({"monitor": "loss", "patience": 2, "min_delta": 1e6}, 3),
        ({"monitor": "acc", "mode": "max", "patience": 1, "baseline": 2.0}, 1),
    ],
    ids=["improves", "min_delta", "baseline"],
)
def test_early_stopping(base, kwargs, epochs):
    calls = Calls()
    stopping = paddle.callbacks.EarlyStopping(verbose=0, save_best_model=False, **kwargs)
    data = BATCHES[:1]
    model = prepared(base)
    model.fit(data, data, epochs=5, verbose=0, callbacks=[stopping, calls])
    assert calls.count("on_epoch_end") == epochs


@conforms
def test_early_stopping_saves_the_best(base, tmp_path, capfd):
    stopping = paddle.callbacks.EarlyStopping(verbose=0, save_best_model=True)
    prepared(base).fit(BATCHES, BATCHES, save_dir=str(tmp_path), verbose=0, callbacks=[stopping])
    assert (tmp_path / "best_model.pdparams").exists()


@conforms
def test_early_stopping_without_eval_data_warns(base):
    stopping = paddle.callbacks.EarlyStopping(verbose=0)
    with pytest.warns(UserWarning, match="EarlyStopping needs validation data"):
        prepared(base).fit(BATCHES, verbose=0, callbacks=[stopping])


@conforms
def test_early_stopping_with_eval_data_does_not_warn(base):
    stopping = paddle.callbacks.EarlyStopping(verbose=0, save_best_model=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared(base).fit(BATCHES, BATCHES, verbose=0, callbacks=[stopping])


@conforms
def test_reduce_lr_on_plateau_without_eval_data_warns(base):
    """Not a word of it."""
    plateau = paddle.callbacks.ReduceLROnPlateau(verbose=0)
    with pytest.warns(UserWarning, match="ReduceLROnPlateau needs validation data"):
        prepared(base).fit(BATCHES, verbose=0, callbacks=[plateau])


@conforms
def test_reduce_lr_on_plateau_factor(base):
    net = network()
    optimizer = paddle.optimizer.SGD(0.1, net.parameters())
    plateau = paddle.callbacks.ReduceLROnPlateau(
        factor=0.5, patience=1, min_delta=1e6, cooldown=0, min_lr=0, verbose=0
    )
    model = prepared(base, net, optimizer)
    model.fit(BATCHES, BATCHES, epochs=3, verbose=0, callbacks=[plateau])
    assert float(optimizer._learning_rate) == pytest.approx(0.1 * 0.5**2)


@conforms
def test_visualdl(base, tmp_path):
    callback = paddle.callbacks.VisualDL(str(tmp_path / "log"))
    prepared(base).fit(BATCHES, BATCHES, verbose=0, callbacks=[callback])
    assert any("vdlrecords" in path.name for path in (tmp_path / "log").iterdir())
