"""MLPerf: the `:::MLLOG` lines of `mlperf_logging.mllog`."""

from __future__ import annotations

from pathlib import Path

from truth import BATCH, SAMPLES, Epoch, epochs

from perfmodel.traces import Trace


def write_lowest(folder: Path, truth: Trace) -> None:
    """`result_0.txt` of a run of one precision, said once as the rules 6.1 ask for; a line of other output between."""
    from mlperf_logging.mllog import constants as key

    folder.mkdir(parents=True)
    path = folder / "result_0.txt"
    log = _logger(path)
    log.event(key.LOWEST_NUMERICAL_PRECISION_IN_LINEAR, "bfloat16")
    _write_run(log, epochs(truth), lambda epoch: None)
    text = path.read_text()
    first = text.index(":::MLLOG", text.index('"epoch_stop"'))
    path.write_text(text[:first] + "0: evaluating … " + text[first:])  # as launchers put the rank in front


def write_bits(folder: Path, truth: Trace) -> None:
    """`result_0.txt` of a run that switches: a key of the user's own, `precision_bits`, at the start of each epoch."""
    folder.mkdir(parents=True)
    log = _logger(folder / "result_0.txt")
    _write_run(log, epochs(truth), lambda epoch: log.event("precision_bits", epoch.bits[0], {"epoch_num": epoch.index}))


def _logger(path: Path):
    """A logger that writes to the file and names places without their folder."""
    import logging

    from mlperf_logging.mllog.mllog import MLLogger

    lines = logging.getLogger(f"fixture {path.parent.name}")
    lines.propagate = False
    lines.setLevel(logging.INFO)
    lines.addHandler(logging.FileHandler(path, "w", "utf-8"))
    return MLLogger(lines, root_dir=str(Path(__file__).parent))


def _write_run(log, rows: list[Epoch], say_precision) -> None:
    from mlperf_logging.mllog import constants as key

    log.event(key.SUBMISSION_BENCHMARK, key.RESNET)
    log.event(key.GLOBAL_BATCH_SIZE, BATCH)
    log.event(key.TRAIN_SAMPLES, SAMPLES)
    log.event(key.OPT_BASE_LR, rows[0].lr)
    log.start(key.INIT_START)
    log.end(key.INIT_STOP)
    log.start(key.RUN_START)
    for row in rows:
        number = {key.EPOCH_NUM: row.index}
        log.start(key.EPOCH_START, metadata=number)
        say_precision(row)
        log.event("learning_rate", row.lr, number)  # the user's own: MLPerf has a key for the base rate only
        log.event("train_loss", row.loss, number)
        log.end(key.EPOCH_STOP, metadata=number)
        log.start(key.EVAL_START, metadata=number)
        log.event(key.EVAL_ACCURACY, row.val_acc, number)
        log.end(key.EVAL_STOP, metadata=number)
    log.end(key.RUN_STOP, metadata={key.STATUS: key.SUCCESS})
