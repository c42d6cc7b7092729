"""TensorBoard event files, by torch's `SummaryWriter` and by tensorboardX."""

from __future__ import annotations

from pathlib import Path

from truth import ITERATIONS, epochs

from perfmodel.traces import Trace

EVENTS = "events.out.tfevents.1795000000.host.1.0"  # in place of the time, machine and process that wrote it


def write_torch(folder: Path, truth: Trace) -> None:
    """A tag for each quantity with the epoch as its step; beside them the loss of every iteration, and a text."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for epoch in epochs(truth):
            writer.add_scalar("precision/bits", epoch.bits[0], epoch.index)
            writer.add_scalar("precision/meanGD", epoch.mean_gd, epoch.index)
            writer.add_scalar("lr", epoch.lr, epoch.index)
            for i, loss in enumerate(epoch.losses):
                writer.add_scalar("iter/loss", loss, epoch.index * ITERATIONS + i)
            writer.add_scalar("train/loss", epoch.loss, epoch.index)
            writer.add_scalar("val/acc", epoch.val_acc, epoch.index)
        writer.add_text("note", "an invented run", 0)
    rename_events(folder)


def write_tensorboardx(folder: Path, truth: Trace) -> None:
    """The same tags with the global iteration, from 0, as their step; what an epoch has, at its last iteration."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for epoch in epochs(truth):
            for i, bits in enumerate(epoch.bits):
                step = epoch.index * ITERATIONS + i
                writer.add_scalar("precision/bits", bits, step)
                writer.add_scalar("lr", epoch.lr, step)
            last = (epoch.index + 1) * ITERATIONS - 1
            writer.add_scalar("precision/meanGD", epoch.mean_gd, last)
            writer.add_scalar("train/loss", epoch.loss, last)
            writer.add_scalar("val/acc", epoch.val_acc, last)
    rename_events(folder)


def rename_events(folder: Path) -> None:
    """Give the one event file of a folder a name that tells nothing of the machine."""
    (path,) = folder.glob("events.out.tfevents.*")
    path.rename(folder / EVENTS)
