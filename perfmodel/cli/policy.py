"""`perfmodel policy replay LOG`: switching rules on a log; `what-if` is in a module of its own."""

from __future__ import annotations

import argparse
import re

from perfmodel.cli import logs, options, writing
from perfmodel.errors import quote

DESCRIPTION = """\
When precision switches, and what if it did otherwise.
  perfmodel policy replay LOG      MuPPET's rule on the gradient diversities or norms of a log, beside what the run did
  perfmodel policy what-if TRACE   what other ladders, formats and lengths of the quantised phase would take
perfmodel policy replay --help and perfmodel policy what-if --help list their options."""
ACTIONS = ("replay", "what-if")
REPLAY = """\
What MuPPET's switching rule makes of the gradient diversities (or norms) that a log holds, beside what the run did.
LOG is whatever perfmodel trace reads. Every difference between the paper's rule and its code is an option."""
# Options of the rule: what they may be, the reference's first, and what they say. As in perfmodel.policies.rule, which
# --help need not load.
RULE = {
    "window": ("tumbling, sliding", "gradients of r epochs that no other window shares, or of the last ones"),
    "terms": ("r, r+1", "gradients of a window"),
    "evaluate": ("every-r, every-epoch", "when p is compared with T"),
    "violations": ("reach, exceed", "a switch when violations reach the patience, or exceed it"),
    "counting": ("cumulative, consecutive", "which violations count"),
    "maximum": ("with-current, before", "whether the maximum includes the current diversity"),
    "threshold-from": ("start, switch", "what the epoch of the threshold counts from"),
    "mean-over": ("parameters, layers", "of norms"),
    "first-term": ("own, aliased", "the first gradient of a window; aliased needs a training loop"),
    "window-at-switch": ("cleared, kept", "a sliding window"),
    "on-undefined": ("reference, skip, error", "what a diversity that is no positive number does"),
}
NUMBERS = {"alpha": "alpha", "beta": "beta", "lambda": "decay"}


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.errors import unknown_name

    if argv[:1] == ["what-if"]:
        from perfmodel.cli import whatif

        return whatif.run(argv[1:])
    if argv[:1] == ["replay"]:
        return _replay(argv[1:])
    if argv and not argv[0].startswith("-"):
        raise unknown_name("E1000", "perfmodel policy", argv[0], ACTIONS)
    parser = options.parser("policy", DESCRIPTION)
    parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    parser.parse_args(argv)
    return 0


def _replay_parser() -> options.Parser:
    parser = options.parser("policy replay", REPLAY)
    parser.add_argument("log", metavar="LOG", help="a log, a trace, the folder of a run, or a bundled trace's name")
    parser.add_argument("--mode", metavar="M", help="the rule of the code, reference, or of the paper, paper (default: "
                        "the log's, else reference)")  # fmt: skip
    parser.add_argument("--resolution", type=options.whole, metavar="R", help="default: the log's, else 3")
    parser.add_argument("--patience", type=options.whole, metavar="N", help="default: the log's, else 2")
    parser.add_argument("--alpha", type=number, metavar="X", help="of T(j) = alpha + beta exp(-lambda j); default: the "
                        "log's, else 1")  # fmt: skip
    parser.add_argument("--beta", type=number, metavar="X", help="default: the log's, else 1.5")
    parser.add_argument("--lambda", type=number, metavar="X", help="default: the log's, else 0.1")
    parser.add_argument("--ladder", metavar="F,F…", help="formats or bits, lowest first; default: the log's, else "
                        "8,12,14,16,32")  # fmt: skip
    rule = parser.add_argument_group("differences between code and paper (the code's choice first)")
    for name, (choices, what) in RULE.items():
        rule.add_argument(f"--{name}", metavar="W", help=f"{choices}: {what}")
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    options.add_output_argument(parser, "plot .png .svg .pdf, tables .txt .csv .json .md .tex")
    logs.add_log_arguments(parser)
    return parser


def _replay(argv: list[str]) -> int:
    arguments = _replay_parser().parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=True)
    logs.refuse_inputs(arguments.output, [arguments.log])
    trace = logs.find(arguments.log, logs.given(arguments), alter=True)
    logs.tell_corrections(arguments.log, trace, stored=False)
    logs.warn([arguments.log], [trace], arguments.strict)
    from perfmodel.policies.replay import replay, rule_of

    found = replay(trace, rule_of(trace, arguments.mode, **_options(arguments, trace)))
    if suffix in writing.figure_suffixes():
        from perfmodel.report.figures import write_figure
        from perfmodel.report.policy_figure import replay_figure

        write_figure(replay_figure(found, trace.title or arguments.log), arguments.output)
        return 0
    from perfmodel.report.policy import replay_tables

    writing.emit(replay_tables(arguments.log, found, suffix or ".txt"), arguments.output)
    if arguments.output is None:
        _plot(found)
    return 0


def _plot(found) -> None:
    import shutil
    import sys

    from perfmodel.report.policy_plot import replay_plot

    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    width = min(100, shutil.get_terminal_size().columns)
    plot = replay_plot(found, width, ascii=not encoding.startswith("utf"))
    print(f"\n{plot}" if plot else "", end="")


def _options(arguments, trace) -> dict:
    """The options of the rule that were given, by its names."""
    given = {key: getattr(arguments, key) for key in ("resolution", "patience")}
    given |= {field: getattr(arguments, key) for key, field in NUMBERS.items()}
    given |= {key.replace("-", "_"): getattr(arguments, key.replace("-", "_")) for key in RULE}
    if arguments.ladder is not None:
        given["ladder"] = ladder(arguments.ladder, trace)
    return {key: value for key, value in given.items() if value is not None}


def ladder(text: str, trace) -> tuple[str, ...]:
    """The formats of `8,16,32` or `dfx8,dfx16,fp32`; errors as `format_named`."""
    from perfmodel.whatif import format_named

    return tuple(format_named(part.strip(), trace) for part in text.split(","))


def number(text: str) -> float:
    """A number in ASCII digits, with a point and an exponent perhaps: `float` also takes nan, 1_0 and １２."""
    if not re.fullmatch(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a number")
    return float(text)
