"""Keras: a toy model that is really fitted, with `CSVLogger` after a callback that puts the truth's numbers in."""

from __future__ import annotations

import os
from pathlib import Path

from truth import BATCH, EPOCHS, SAMPLES, epochs

from perfmodel.traces import Trace


def write(folder: Path, truth: Trace) -> None:
    """`training.csv`: a row for each epoch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import numpy as np

    rows = epochs(truth)

    class Truth(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            row = rows[epoch]
            logs.update(loss=row.loss, val_accuracy=row.val_acc, bits=row.bits[0])

    folder.mkdir(parents=True)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.zeros((SAMPLES, 1))
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: rows[epoch].lr)
    log = keras.callbacks.CSVLogger(folder / "training.csv")
    model.fit(data, data, batch_size=BATCH, epochs=EPOCHS, callbacks=[rate, Truth(), log], verbose=0)
