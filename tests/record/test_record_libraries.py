"""The callbacks under their real libraries; written for lightning 2.6, transformers 5.23, keras 3.15, torch 2.15."""

import os
import warnings

import pytest

from perfmodel import record
from perfmodel.traces import PassPrecision, read_trace

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.filterwarnings("ignore"),  # of the libraries; ours are asked for below
]
RUN = {"network": "net", "dataset": "toy", "scheme": "mixed"}
SAMPLES = 37


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.jsonl"


def rows(path):
    """Epoch, iterations, format and learning rate of each segment."""
    return [(s.epoch, s.iterations, s.precision.label, s.lr) for s in read_trace(path).segments]


def whole(path, samples, batch, epochs):
    """The trace, which must have this many whole epochs."""
    trace = read_trace(path)
    assert (trace.samples, trace.batch, trace.epochs, trace.partial, trace.gaps) == (samples, batch, epochs, (), ())
    return trace


def toy_data(torch):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(SAMPLES, 3, generator=generator), torch.randint(0, 2, (SAMPLES,), generator=generator)


# PyTorch


class Recorded:
    """A data set whose workers have the recorder, and try to use it."""

    def __init__(self, log, data):
        self.log, self.data = log, data

    def __len__(self):
        return len(self.data[0])

    def __getitem__(self, i):
        if os.getpid() != self.log._file._process:
            self.log.segment(7, 1, "fp64")
        return self.data[0][i], self.data[1][i]


def test_a_plain_loop(path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    with record.TraceWriter(path, samples=SAMPLES, batch=5, **RUN) as log:
        data = Recorded(log, toy_data(torch))
        loader = torch.utils.data.DataLoader(data, 5, num_workers=2, multiprocessing_context="fork")
        for epoch in range(2):
            for inputs, labels in loader:
                with torch.autocast("cpu", torch.bfloat16, enabled=epoch == 0):
                    precision = record.autocast_format("cpu")
                    loss = torch.nn.functional.cross_entropy(layer(inputs), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                log.iteration(epoch, precision, lr=optimizer.param_groups[0]["lr"], metrics={"loss": loss})
            log.end_epoch({"top1": torch.tensor(31.25)})
            scheduler.step()
    assert rows(path) == [(0, 8, "bf16", 0.5), (1, 8, "fp32", 0.25)]
    last = whole(path, SAMPLES, 5, 2).segments[-1].metrics
    assert last == {"loss": pytest.approx(float(loss)), "top1": 31.25}


def test_the_flags_of_torch_are_read(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    try:
        assert (record.autocast_format(), record.autocast_format(convolutions=True)) == ("fp32", "tf32")  # defaults
        torch.set_float32_matmul_precision("high")
        convolutions.allow_tf32 = False
        assert (record.autocast_format(), record.autocast_format(convolutions=True)) == ("tf32", "fp32")
        matmul.fp32_precision = "ieee"
        assert record.autocast_format() == "fp32"
        with torch.autocast("cuda", torch.float16):
            assert record.autocast_format() == "fp16"
            assert record.autocast_format("cpu") == "fp32"
    finally:
        matmul.fp32_precision = "none"
        torch.set_float32_matmul_precision("highest")
        convolutions.allow_tf32 = True


# Lightning


def fit(folder, recorder, epochs, checkpoint=None, every=None, **settings):
    """A run of Lightning that saves a checkpoint every `every` steps."""
    torch, lightning = pytest.importorskip("torch"), pytest.importorskip("lightning")

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def training_step(self, batch, _):
            loss = torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
            self.log("loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, _):
            self.log("val", torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1]))

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), 0.5)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    saver = lightning.pytorch.callbacks.ModelCheckpoint(
        folder, "{step}", every_n_train_steps=every, save_top_k=-1, enable_version_counter=False
    )
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, callbacks=[recorder, saver], **settings,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*toy_data(torch)), 5)
    trainer.fit(Model(), loader, loader, ckpt_path=checkpoint)


def test_lightning(path):
    pytest.importorskip("lightning")
    recorder = record.LightningRecorder(path, **RUN)
    fit(path.parent, recorder, 3, precision="bf16-mixed", accumulate_grad_batches=3)
    assert rows(path) == [(0, 3, "bf16", 0.5), (1, 3, "bf16", 0.25), (2, 3, "bf16", 0.125)]
    for segment in whole(path, SAMPLES, 15, 3).segments:
        assert {"loss_epoch", "val"} <= segment.metrics.keys()


@pytest.mark.parametrize(("accumulate", "step"), [(1, 8), (1, 12), (1, 16), (3, 3), (3, 5)])
def test_lightning_from_a_checkpoint(path, accumulate, step):
    pytest.importorskip("lightning")
    settings = {"every": step, "accumulate_grad_batches": accumulate}
    fit(path.parent, record.LightningRecorder(path, **RUN), 2, **settings)
    recorder = record.LightningRecorder(path, resume=True, precision="fp16", **RUN)
    fit(path.parent, recorder, 3, path.parent / f"step={step}.ckpt", **settings)
    trace = whole(path, SAMPLES, 5 * accumulate, 3)
    before = sum(s.iterations for s in trace.segments if s.precision == PassPrecision.same("fp32"))
    assert (before, trace.iterations) == (step, {1: 24, 3: 9}[accumulate])


# Hugging Face


def train(folder, recorder, checkpoint=None, **settings):
    """Three epochs of the Trainer of transformers."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x, labels):
            out = self.layer(x)
            return {"loss": torch.nn.functional.cross_entropy(out, labels), "logits": out}

    data = [{"x": x, "labels": y} for x, y in zip(*toy_data(torch), strict=True)]
    arguments = transformers.TrainingArguments(
        str(folder), num_train_epochs=3, per_device_train_batch_size=5, use_cpu=True, report_to=[], disable_tqdm=True,
        **settings,
    )  # fmt: skip
    trainer = transformers.Trainer(Model(), arguments, train_dataset=data, eval_dataset=data, callbacks=[recorder])
    trainer.train(resume_from_checkpoint=checkpoint)


def test_the_trainer(path):
    pytest.importorskip("transformers")
    settings = {"eval_strategy": "epoch", "logging_strategy": "epoch", "save_strategy": "no", "bf16": True}
    train(path.parent, record.TrainerRecorder(path, **RUN), gradient_accumulation_steps=3, **settings)
    assert [row[:3] for row in rows(path)] == [(0, 3, "bf16"), (1, 3, "bf16"), (2, 3, "bf16")]
    for segment in whole(path, SAMPLES, 15, 3).segments:
        assert {"loss", "eval_loss"} <= segment.metrics.keys()
    assert read_trace(path).segments[0].lr == pytest.approx(5e-5 * 7 / 9)  # linear, over 9 steps: the third


@pytest.mark.parametrize(("accumulate", "step"), [(1, 4), (1, 8), (1, 12), (3, 4), (3, 6), (7, 3), (7, 4)])
def test_the_trainer_from_a_checkpoint(path, accumulate, step):
    pytest.importorskip("transformers")
    settings = {"logging_steps": 2, "save_steps": step, "gradient_accumulation_steps": accumulate}
    train(path.parent, record.TrainerRecorder(path, **RUN), **settings)
    recorder = record.TrainerRecorder(path, resume=True, precision="fp16", **RUN)
    train(path.parent, recorder, str(path.parent / f"checkpoint-{step}"), **settings)
    trace = whole(path, SAMPLES, 5 * accumulate, 3)
    before = sum(s.iterations for s in trace.segments if s.precision == PassPrecision.same("fp32"))
    assert (before, trace.iterations) == (step, {1: 24, 3: 9, 7: 6}[accumulate])


# Keras


def keras_fit(monkeypatch, recorder, policy="float32", accumulate=None, epochs=3, first=0):
    """A run of Keras with a schedule that halves the learning rate in each epoch."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    numpy = pytest.importorskip("numpy")
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    model.compile(keras.optimizers.SGD(0.5, gradient_accumulation_steps=accumulate), "mse")
    halving = keras.callbacks.LearningRateScheduler(lambda _, lr: lr / 2)
    data = numpy.zeros((SAMPLES, 3)), numpy.zeros((SAMPLES, 1))
    model.fit(*data, batch_size=5, epochs=epochs, initial_epoch=first, verbose=0, callbacks=[recorder, halving])


def test_keras(path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    keras_fit(monkeypatch, record.KerasRecorder(path, samples=SAMPLES, batch=5, **RUN))
    assert rows(path) == [(0, 8, "fp32", 0.25), (1, 8, "fp32", 0.125), (2, 8, "fp32", 0.0625)]
    keras_fit(monkeypatch, record.KerasRecorder(path, samples=SAMPLES, batch=5, resume=True, **RUN), epochs=4, first=2)
    assert rows(path)[2:] == [(2, 8, "fp32", 0.25), (3, 8, "fp32", 0.125)]
    assert all("loss" in segment.metrics for segment in whole(path, SAMPLES, 5, 4).segments)


@pytest.mark.parametrize(
    ("policy", "name"), [("float32", "fp32"), ("mixed_float16", "fp16"), ("mixed_bfloat16", "bf16")]
)
def test_batches_that_keras_accumulates(path, monkeypatch, policy, name):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # more iterations than an epoch has
        warnings.filterwarnings("ignore", module="keras|torch")
        keras_fit(monkeypatch, record.KerasRecorder(path, samples=SAMPLES, batch=15, **RUN), policy, accumulate=3)
    assert [row[:3] for row in rows(path)] == [(0, 2, name), (1, 3, name), (2, 3, name)]
