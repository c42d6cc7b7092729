"""`perfmodel kernels TARGET`: the CUTLASS kernels that compete on a GPU, and their compilation ahead of it."""

from __future__ import annotations

from perfmodel.cli import complain, options, progress, writing

DESCRIPTION = """\
The CUTLASS GEMM kernels that `profile --gpu` lets compete on an architecture, and with --build their compilation.
TARGET is a compute capability (7.5) or the name of a device (see perfmodel devices). No GPU is needed: what is built
here is there when the GPU is. With --build each kernel's registers, shared memory and spills are shown.
Exit codes: 0, 2 bad input or no compiler, 4 some kernels do not compile, 130 Ctrl-C (what is compiled is kept)."""

KERNELS_FAILED, INTERRUPTED = 4, 130


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    parser = options.parser("kernels", DESCRIPTION)
    parser.add_argument("target", metavar="TARGET", help="a compute capability, as 7.5, or a device")
    parser.add_argument("--precision", default=None, metavar="P,P,…", help="of these precisions only (default: all)")
    parser.add_argument("--search", default="default", metavar="HOW", help="default, or wide: all that are sensible")
    parser.add_argument("--one", action="store_true", help="one of each precision: whether the compiler works")
    parser.add_argument("--build", action="store_true", help="compile those that the cache does not hold yet")
    options.add_output_argument(parser, "table (.txt .csv .json .md .tex)")
    arguments = parser.parse_args(argv)
    writing.output_suffix(arguments.output, figures=False)
    kernels = _chosen(arguments)
    return _build(arguments, kernels) if arguments.build else _list(arguments, kernels)


def _chosen(arguments):
    """The kernels of the target, of the precisions that were asked for."""
    from perfmodel.errors import unknown_name
    from perfmodel.gpu import SEARCHES, all_kernels, target_named

    if arguments.search not in SEARCHES:
        raise unknown_name("E2001", "--search", arguments.search, SEARCHES)
    arguments.architecture = target_named(arguments.target)
    kernels = all_kernels(arguments.architecture, arguments.search)
    if arguments.precision is not None:
        kernels = _of(kernels, arguments.precision.split(","), arguments.target)
    if not arguments.one:
        return kernels
    firsts = {kernel.precision: kernel for kernel in reversed(kernels)}
    return tuple(kernel for kernel in kernels if firsts[kernel.precision] is kernel)


def _of(kernels, names, target: str):
    from perfmodel.errors import unknown_name
    from perfmodel.measure.cutlass.kernels import precision_text

    known = dict.fromkeys(precision_text(kernel.precision) for kernel in kernels)
    for name in names:
        if name not in known:
            raise unknown_name("E2301", f"precision of {target}", name, known)
    return tuple(kernel for kernel in kernels if precision_text(kernel.precision) in names)


def _list(arguments, kernels) -> int:
    from perfmodel.report.kernels import kernels_table

    writing.emit([kernels_table(_title(arguments), kernels)], arguments.output)
    return 0


def _build(arguments, kernels) -> int:
    from perfmodel.gpu import build_kernels
    from perfmodel.measure.cutlass.factory import Failed
    from perfmodel.measure.cutlass.toolchain import find_toolchain
    from perfmodel.measuring import stopped_by_signals
    from perfmodel.report.kernels import kernels_table

    toolchain = find_toolchain()
    with stopped_by_signals() as stop:
        tell = progress.counted("compiling kernels")
        built = progress.then_cleared(lambda: build_kernels(toolchain, arguments.architecture, kernels, tell, stop)[1])
    failed = [one for one in built.values() if isinstance(one, Failed)]
    for one in failed:
        complain(f"{one.name} does not compile: {one.reason}; {one.command}")
    writing.emit([kernels_table(_title(arguments), kernels, built)], arguments.output)
    if len(built) < len(kernels):
        complain("interrupted: what is compiled is kept; the same command goes on")
        return INTERRUPTED
    return KERNELS_FAILED if failed else 0


def _title(arguments) -> str:
    return f"CUTLASS kernels for sm_{arguments.architecture}, search {arguments.search}"
