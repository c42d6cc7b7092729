"""The callbacks, driven by stand-ins for their libraries as the libraries drive them; the real ones are nightly."""

import pickle
import sys
from types import ModuleType, SimpleNamespace

import pytest

from perfmodel import record
from perfmodel.errors import InputError, OutputError, UnknownName
from perfmodel.record import hf, keras, lightning
from perfmodel.traces import read_trace

RUN = {"network": "net", "dataset": "toy", "scheme": "mixed"}


class Callback:
    """The base class of every stand-in."""


@pytest.fixture(autouse=True)
def libraries(monkeypatch):
    """Modules in the places of the libraries, which tests need not have."""
    for name, base in [
        ("lightning", None), ("lightning.pytorch", "Callback"), ("transformers", "TrainerCallback"), ("keras", None),
        ("keras.callbacks", "Callback"),
    ]:  # fmt: skip
        module = ModuleType(name)
        if base:
            setattr(module, base, Callback)
        monkeypatch.setitem(sys.modules, name, module)
    forget_classes()
    yield
    forget_classes()


def forget_classes():
    for module, name in [(lightning, "LightningRecorder"), (hf, "TrainerRecorder"), (keras, "KerasRecorder")]:
        vars(module).pop(name, None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.jsonl"


def rows(path):
    """Epoch, iterations, format, learning rate and metrics of each segment."""
    return [(s.epoch, s.iterations, s.precision.label, s.lr, dict(s.metrics)) for s in read_trace(path).segments]


def loader(samples, batch):
    """What we look at in a PyTorch data loader."""
    dataset = SimpleNamespace() if samples is None else range(samples)
    return SimpleNamespace(dataset=dataset, batch_size=batch)


# All of them


@pytest.mark.parametrize("name", ["LightningRecorder", "TrainerRecorder", "KerasRecorder"])
def test_the_class_is_made_when_it_is_asked_for(path, name):
    cls = getattr(record, name)
    assert issubclass(cls, Callback)
    assert cls is getattr(record, name)
    assert cls.__name__ == name
    callback = pickle.loads(pickle.dumps(cls(path, samples=37, batch=5, precision="fp16", **RUN)))
    assert type(callback) is cls
    assert not path.exists()  # training has not started
    with pytest.raises(UnknownName, match="E1004"):
        cls(path, samples=37, batch=5, precision="fp61", **RUN)


@pytest.mark.parametrize("module", [record, lightning, hf, keras])
def test_other_names_are_not_there(module):
    with pytest.raises(AttributeError):
        module.Recorder  # noqa: B018


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError):
        record.TrainerRecorder  # noqa: B018


# Lightning


def trainer(**given):
    usual = {
        "global_step": 0, "is_global_zero": True, "train_dataloader": loader(37, 5), "world_size": 1,
        "num_training_batches": 8, "accumulate_grad_batches": 1, "precision": "16-mixed", "current_epoch": 0,
        "callback_metrics": {}, "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.5}])],
    }  # fmt: skip
    return SimpleNamespace(**(usual | given))


MODULE = SimpleNamespace(device=SimpleNamespace(type="cpu"))


def lightning_epoch(callback, trainer, batches):
    for i in range(batches):
        callback.on_train_batch_start(trainer, MODULE, None, i)
        if (i + 1) % trainer.accumulate_grad_batches == 0 or i + 1 == batches:
            trainer.global_step += 1
            trainer.optimizers[0].param_groups[0]["lr"] /= 2  # a scheduler, for the step to come
        callback.on_train_batch_end(trainer, MODULE, None, None, i)
    trainer.callback_metrics = {"loss": 1.5, "text": "a"}
    callback.on_train_epoch_end(trainer, MODULE)
    trainer.current_epoch += 1


def test_lightning(path):
    callback, run = record.LightningRecorder(path, **RUN), trainer(accumulate_grad_batches=3, world_size=2)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 4)
    lightning_epoch(callback, run, 4)
    callback.on_train_end(run, MODULE)
    assert rows(path) == [(0, 2, "fp16", 0.25, {"loss": 1.5}), (1, 2, "fp16", 0.0625, {"loss": 1.5})]
    trace = read_trace(path)
    assert (trace.samples, trace.batch) == (37, 30)


def test_lightning_after_a_checkpoint_within_an_epoch(path):
    callback, run = record.LightningRecorder(path, **RUN), trainer()
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 8)
    for step in range(9, 12):
        run.global_step = step
        callback.on_train_batch_end(run, MODULE)
    callback.on_save_checkpoint(run, MODULE, {})
    checkpoint = callback.state_dict()
    assert checkpoint == {"epoch": 1, "iterations": 3}
    for step in range(12, 14):
        run.global_step = step
        callback.on_train_batch_end(run, MODULE)
    callback.on_exception(run, MODULE, KeyboardInterrupt())
    assert [row[:2] for row in rows(path)] == [(0, 8), (1, 3), (1, 2)]

    with pytest.raises(OutputError, match="E1345"):
        record.LightningRecorder(path, **RUN).on_train_start(run, MODULE)
    callback, run = record.LightningRecorder(path, resume=True, **RUN), trainer(global_step=11, current_epoch=1)
    callback.load_state_dict(checkpoint)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 5)
    callback.on_train_end(run, MODULE)
    assert [row[:2] for row in rows(path)] == [(0, 8), (1, 3), (1, 5)]


def test_lightning_records_in_the_first_process_only(path):
    callback, run = record.LightningRecorder(path, **RUN), trainer(is_global_zero=False)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 3)
    callback.on_save_checkpoint(run, MODULE, {})
    callback.on_train_end(run, MODULE)
    assert not path.exists()
    assert callback.state_dict() == {"epoch": 0, "iterations": 3}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("16-mixed", "fp16"), ("16-true", "fp16"), ("bf16-mixed", "bf16"), ("bf16-true", "bf16"), ("64-true", "fp64"),
        ("32-true", "fp32"),
    ],
)  # fmt: skip
def test_precisions_of_lightning(path, monkeypatch, said, name):
    torch = SimpleNamespace(is_autocast_enabled=lambda device: False)
    monkeypatch.setitem(sys.modules, "torch", torch)
    callback, run = record.LightningRecorder(path, **RUN), trainer(precision=said)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 1)
    callback.close()
    assert rows(path)[0][2] == name


def test_a_precision_of_lightning_that_is_no_format(path):
    callback, run = record.LightningRecorder(path, **RUN), trainer(precision="transformer-engine")
    callback.on_train_start(run, MODULE)
    with pytest.raises(InputError, match=r"E1349 precision: Lightning's 'transformer-engine' is no single format"):
        lightning_epoch(callback, run, 1)


def test_a_precision_that_is_switched_at_run_time(path):
    formats = iter(["dfx8", "dfx8", "dfx12", "fp32"])
    callback, run = record.LightningRecorder(path, precision=lambda: next(formats), **RUN), trainer()
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 4)
    callback.close()
    assert [row[:3] for row in rows(path)] == [(0, 2, "dfx8"), (0, 1, "dfx12"), (0, 1, "fp32")]


@pytest.mark.parametrize("given", [loader(None, 5), loader(37, None), [loader(37, 5)], None])
def test_sizes_that_lightning_does_not_say(path, given):
    run = trainer(train_dataloader=given)
    with pytest.raises(InputError, match="E1348"):
        record.LightningRecorder(path, **RUN).on_train_start(run, MODULE)
    callback = record.LightningRecorder(path, samples=40, batch=8, **RUN)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 1)
    callback.close()
    assert (read_trace(path).samples, read_trace(path).batch) == (40, 8)


def test_an_epoch_that_is_cut_short_by_lightning_has_fewer_samples(path):
    callback, run = record.LightningRecorder(path, **RUN), trainer(num_training_batches=4)
    callback.on_train_start(run, MODULE)
    lightning_epoch(callback, run, 4)
    callback.close()
    assert read_trace(path).samples == 20
    assert read_trace(path).partial == ()


def test_the_older_package_of_lightning(path, monkeypatch):
    monkeypatch.delitem(sys.modules, "lightning.pytorch")
    older = ModuleType("pytorch_lightning")
    older.Callback = type("Older", (), {})
    monkeypatch.setitem(sys.modules, "pytorch_lightning", older)
    assert issubclass(record.LightningRecorder, older.Callback)


def test_a_size_of_zero_is_no_missing_size(path):
    with pytest.raises(InputError, match="E1307 samples"):
        record.LightningRecorder(path, samples=0, **RUN).on_train_start(trainer(), MODULE)


# Hugging Face


class Loader(list):
    """A loader of batches, over 37 samples."""

    dataset = range(37)


ARGS = {
    "train_batch_size": 5, "world_size": 1, "gradient_accumulation_steps": 1, "bf16": False, "fp16": False,
    "ignore_data_skip": False,
    "device": SimpleNamespace(type="cpu"),
}  # fmt: skip


def trainer_state(**given):
    usual = {"global_step": 0, "epoch": 0.0, "is_world_process_zero": True, "train_batch_size": 5}
    return SimpleNamespace(**(usual | given))


def begin(callback, args, state, batches=8):
    callback.on_train_begin(args, state, None, train_dataloader=Loader(range(batches)))


def hf_epoch(callback, args, state, epoch, steps, first=0, model=None):
    callback.on_epoch_begin(args, state, None)
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}])
    for step in range(first, steps):
        callback.on_step_begin(args, state, None, optimizer=optimizer)
        optimizer.param_groups[0]["lr"] /= 2
        state.global_step += 1
        state.epoch = epoch + (step + 1) / steps
        callback.on_step_end(args, state, None, model=model, optimizer=optimizer)
    callback.on_epoch_end(args, state, None)
    callback.on_log(args, state, None, logs={"loss": 1.5, "learning_rate": 0.1, "epoch": state.epoch})
    callback.on_log(args, state, None, logs={"eval_loss": 2.5, "epoch": state.epoch})


def test_the_trainer(path):
    callback, state = record.TrainerRecorder(path, **RUN), trainer_state()
    args = SimpleNamespace(**(ARGS | {"bf16": True, "gradient_accumulation_steps": 3, "world_size": 2}))
    begin(callback, args, state, 4)
    hf_epoch(callback, args, state, 0, 2)
    hf_epoch(callback, args, state, 1, 2)
    callback.on_log(args, state, None, logs={"train_runtime": 7.0, "train_loss": 1.0})
    callback.on_train_end(args, state, None)
    metrics = {"loss": 1.5, "eval_loss": 2.5}
    assert rows(path) == [(0, 2, "bf16", 0.25, metrics), (1, 2, "bf16", 0.25, metrics)]
    assert (read_trace(path).samples, read_trace(path).batch) == (37, 30)


@pytest.mark.parametrize(
    ("step", "skip", "left"),
    [
        (8, False, [(0, 8), (1, 8)]),
        (11, False, [(0, 8), (1, 3), (1, 5)]),
        (13, False, [(0, 8), (1, 5), (1, 3)]),
        (3, False, [(0, 3), (0, 5)]),
        (11, True, [(0, 8), (1, 8)]),  # ignore_data_skip: the epoch is trained anew
    ],
)
def test_the_trainer_after_a_checkpoint(path, step, skip, left):
    args = SimpleNamespace(**(ARGS | {"fp16": True, "ignore_data_skip": skip}))
    callback, state = record.TrainerRecorder(path, **RUN), trainer_state()
    begin(callback, args, state)
    hf_epoch(callback, args, state, 0, 8)
    hf_epoch(callback, args, state, 1, 8)
    callback.close()
    callback, state = record.TrainerRecorder(path, resume=True, **RUN), trainer_state(global_step=step)
    begin(callback, args, state)
    hf_epoch(callback, args, state, step // 8, 8, first=0 if skip else step % 8)
    callback.on_save(args, state, None)
    callback.on_train_end(args, state, None)
    assert [row[:2] for row in rows(path)] == left


def test_the_trainer_on_a_stream_has_one_epoch(path):
    callback, args = (
        record.TrainerRecorder(path, samples=100, batch=5, precision="fp16", **RUN),
        SimpleNamespace(**ARGS),
    )
    callback.on_train_begin(args, trainer_state(global_step=7), None, train_dataloader=iter(()))
    hf_epoch(callback, args, trainer_state(global_step=7), 0, 12, first=7)
    callback.on_train_end(args, None, None)
    assert [row[:2] for row in rows(path)] == [(0, 5)]


def test_the_trainer_accumulates_a_remainder_too(path):
    args = SimpleNamespace(**(ARGS | {"fp16": True, "gradient_accumulation_steps": 3}))
    callback, state = record.TrainerRecorder(path, **RUN), trainer_state(global_step=4)
    begin(callback, args, state)  # 8 batches: 3 steps
    hf_epoch(callback, args, state, 1, 3, first=1)
    callback.on_train_end(args, state, None)
    assert [row[:2] for row in rows(path)] == [(1, 2)]


def test_the_trainer_records_in_the_first_process_only(path):
    callback, state = record.TrainerRecorder(path, **RUN), trainer_state(is_world_process_zero=False)
    args = SimpleNamespace(**ARGS)
    begin(callback, args, state)
    hf_epoch(callback, args, state, 0, 3)
    callback.on_save(args, state, None)
    callback.on_train_end(args, state, None)
    assert not path.exists()


@pytest.mark.parametrize(
    ("given", "dtype", "name"),
    [
        ({"bf16": True}, "torch.float32", "bf16"),
        ({"fp16": True}, "torch.float32", "fp16"),
        ({}, "torch.bfloat16", "bf16"),  # weights that were loaded so
        ({}, "torch.float32", "fp32"),
        ({}, None, "fp32"),
    ],
)
def test_precisions_of_the_trainer(path, monkeypatch, given, dtype, name):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(is_autocast_enabled=lambda device: False))
    callback, state = record.TrainerRecorder(path, **RUN), trainer_state()
    args = SimpleNamespace(**(ARGS | given))
    begin(callback, args, state)
    hf_epoch(callback, args, state, 0, 1, model=SimpleNamespace(dtype=dtype) if dtype else SimpleNamespace())
    callback.close()
    assert rows(path)[0][2] == name


def test_sizes_that_the_trainer_does_not_say(path):
    callback = record.TrainerRecorder(path, **RUN)
    stream = iter(())  # no dataset, no length
    with pytest.raises(InputError, match=r"E1348 samples: the training library does not say it"):
        callback.on_train_begin(SimpleNamespace(**ARGS), trainer_state(), None, train_dataloader=stream)


# Keras


def model(policy="float32", mode=None, accumulate=None):
    optimizer = SimpleNamespace(learning_rate=0.5, gradient_accumulation_steps=accumulate)
    policy = SimpleNamespace(name=policy, compute_dtype=policy.removeprefix("mixed_"), quantization_mode=mode)
    return SimpleNamespace(optimizer=optimizer, dtype_policy=policy)


def keras_epoch(callback, epoch, batches, together=1):
    callback.on_epoch_begin(epoch, {})
    for i in range(0, batches, together):
        callback.on_train_batch_begin(i, {})
        callback.on_train_batch_end(min(i + together, batches) - 1, {"loss": 2.0})
    callback.model.optimizer.learning_rate /= 2  # ReduceLROnPlateau
    callback.on_epoch_end(epoch, {"loss": 1.5, "val_loss": float("nan"), "learning_rate": 0.1})


def keras_run(path, model, epochs, batches, together=1, **given):
    callback = record.KerasRecorder(path, samples=37, batch=5, **(RUN | given))
    callback.model = model
    callback.on_train_begin({})
    for epoch in range(epochs):
        keras_epoch(callback, epoch, batches, together)
    callback.on_train_end({})


def test_keras(path):
    keras_run(path, model("mixed_float16"), 2, 8)
    assert rows(path) == [(0, 8, "fp16", 0.5, {"loss": 1.5}), (1, 8, "fp16", 0.25, {"loss": 1.5})]


def test_keras_with_several_batches_in_one_call(path):
    keras_run(path, model(), 2, 8, together=3)
    assert [row[:2] for row in rows(path)] == [(0, 8), (1, 8)]


def test_batches_that_keras_accumulates_also_over_the_end_of_an_epoch(path):
    keras_run(path, model(accumulate=3), 3, 8)
    assert [row[:2] for row in rows(path)] == [(0, 2), (1, 3), (2, 3)]


def test_the_optimiser_of_keras_that_scales_the_loss_wraps_another(path):
    inner = model("mixed_float16", accumulate=4)
    wrapper = SimpleNamespace(learning_rate=0.5, gradient_accumulation_steps=None, inner_optimizer=inner.optimizer)
    inner.optimizer = wrapper
    keras_run(path, inner, 1, 8)
    assert [row[:2] for row in rows(path)] == [(0, 2)]


def test_a_learning_rate_of_keras_that_is_no_number(path):
    odd = model()
    odd.optimizer.learning_rate = object()
    callback = record.KerasRecorder(path, samples=37, batch=5, **RUN)
    callback.model = odd
    callback.on_train_begin({})
    callback.on_epoch_begin(0)
    callback.on_train_batch_begin(0)
    callback.on_train_batch_end(0)
    callback.close()
    assert rows(path) == [(0, 1, "fp32", None, {})]


def test_a_policy_of_keras_that_is_no_format(path):
    with pytest.raises(InputError, match=r"E1349 precision: Keras' policy 'float32' is no single format"):
        keras_run(path, model(mode="int8"), 1, 1)


def test_a_second_fit_with_the_same_keras_callback_goes_on(path):
    callback = record.KerasRecorder(path, samples=37, batch=5, resume=True, **RUN)
    callback.model = model()
    for epoch in (0, 1):
        callback.on_train_begin({})
        keras_epoch(callback, epoch, 8)  # fit was broken off: on_train_end is not called
    callback.close()
    assert [row[:2] for row in rows(path)] == [(0, 8), (1, 8)]
