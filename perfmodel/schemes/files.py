"""Schemes from TOML files: the bundled ones, and users' own in the same vocabulary (`docs/schemes.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from perfmodel.datafiles import Section, bundled, find_file, read_toml
from perfmodel.errors import quote, unknown_name
from perfmodel.formats import FORMATS
from perfmodel.lowering import KIND_OF
from perfmodel.schemes.conversions import GEMM_LAYERS, PASS_OF, Conversion
from perfmodel.schemes.rules import TENSORS, LayerRule, TensorFormats
from perfmodel.schemes.schedule import SCHEDULE_KEYS, Constant, Cyclic, Schedule, Shares, Stage
from perfmodel.schemes.scheme import Scheme
from perfmodel.schemes.stretches import run_stretches

FORMAT_KEYS = ("format", *TENSORS, "fprop", "dgrad", "wgrad")
LONGEST_PATTERN = 200  # characters
MOST_ROWS = 500  # rules of layers, patterns of each, conversions, and stages
CONVERSION_KINDS = ("quantise", "cast", "check", "scale")
PASS_NAMES = ("", "fprop", "dgrad", "wgrad", "update")
STORED = ("fp16", "bf16", "fp32")  # what memory-bound layers read and write, and GEMMs on floating-point units


def scheme_names() -> list[str]:
    """The names of the bundled schemes: FP32 and mixed precision, which others are compared with, then the rest."""
    names = list(bundled("schemes"))
    return sorted(names, key=lambda name: (name not in ("fp32", "mixed"), names.index(name)))


def find_scheme(name: str) -> Scheme:
    """The bundled scheme of this name, or the scheme file at a path that ends in `.toml`.

    Raises `UnknownName` (E1006) with the nearest names, `InputError` for a file that does not read.
    """
    if not isinstance(name, str):
        raise unknown_name("E1006", "scheme", name, scheme_names())
    if name in bundled("schemes"):
        return _bundled(name)
    return read_scheme(find_file("schemes", "scheme", name, "E1006"))


@cache
def _bundled(name: str) -> Scheme:
    return read_scheme(bundled("schemes")[name])


def read_scheme(path: Path) -> Scheme:
    """The scheme that a file describes; raises `InputError` that names file, line and key."""
    own = read_toml(path, lines=True)
    title, source = own.text("title"), own.text("source")
    top = _extended(own)
    tensors, optimizer = top.table("tensors"), top.table("optimizer")
    layers = _layer_rules(top)
    stages = _stages(top)
    said = {
        "tensors": _formats(tensors), "stored": _choice(tensors, "stored", STORED, "fp32"),
        "accumulate": _choice(tensors, "accumulate", ("fp16", "fp32"), "fp32"),
        "tile_k": tensors.whole("tile_k", 0, least=0),
        **{key: _format(optimizer, key, "fp32") for key in ("master", "gradients", "momentum")},
    }  # fmt: skip
    for section in (tensors, optimizer):  # before a format is missed that stands there under another name
        section.finish()
    formats = _trained(top, tensors, said["tensors"], layers, stages)
    scheme = Scheme(
        name=path.name.removesuffix(".toml"), title=title, source=" ".join(source.split()), formats=formats,
        layers=layers, stages=stages, conversions=tuple(_conversion(row) for row in _rows(top, "conversions")),
        schedule=_schedule(top, formats), stands_for=_stands_for(top, formats),
        leaves_out=_texts(top, "leaves_out"), notes=" ".join(top.take("notes", str, "").split()), **said,
    )  # fmt: skip
    top.finish()
    _check_schedule(scheme, top)
    return scheme


def _check_schedule(scheme: Scheme, top: Section) -> None:
    """Raise E1211 where the scheme's own run has a format that it does not say it trains in."""
    for stretch in run_stretches(scheme, 10**6, 10**6):  # long enough for every width of a cycle
        for name in stretch.formats.precision.names:
            if name not in scheme.formats:
                raise top.fail("E1211", "formats", f"lack {name}, which the scheme's own run has.", f"Add {name}.")


def _extended(own: Section) -> Section:
    """The keys of the scheme that this one `extends`, with its own in their place: tables key by key, lists whole.

    A `format` of all tensors takes the place of what the other says of single ones.
    """
    base = own.take("extends", str, None)
    if base is None:
        return own
    if base not in bundled("schemes"):
        raise own.fail(
            "E1402", "extends", f"{quote(base)} is no bundled scheme.", f"Known: {', '.join(scheme_names())}."
        )
    values = dict(_extended(read_toml(bundled("schemes")[base])).values)
    for key in ("title", "source", "extends", "stands_for"):
        values.pop(key, None)
    for key, value in own.values.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict) and key != "schedule"
        dropped = FORMAT_KEYS if both and "format" in value else ()
        kept = {name: one for name, one in values[key].items() if name not in dropped} if both else {}
        values[key] = {**kept, **value} if both else value
    merged = Section(values, own.place, own.key, own.lines)
    for key in ("title", "source", "extends"):
        merged.take(key, object, None)
    return merged


def _formats(section: Section) -> TensorFormats:
    """What a table says of tensors and passes; `format` is that of all tensors that it does not name."""
    said = {key: _format(section, key, None) for key in FORMAT_KEYS}
    whole = said.pop("format")
    base = TensorFormats.same(whole) if whole else TensorFormats()
    return TensorFormats(**said).over(base)


def _format(section: Section, key: str, default: str | None) -> str | None:
    name = section.take(key, str, default)
    return name if name is default else _choice(section, key, FORMATS, default)


def _choice(section: Section, key: str, known, default: str | None) -> str | None:
    name = section.take(key, str, default)
    if name is not None and name not in known:
        (problem,) = unknown_name("E1004", "format", name, known).problems
        raise section.fail("E1004", key, f"{problem.place} {problem.found}", problem.fix)
    return name


def _texts(section: Section, key: str, default=()) -> tuple[str, ...]:
    """A text, or a list of texts that are not blank."""
    given = section.take(key, (str, list), list(default), "a text or a list of texts")
    texts = [given] if isinstance(given, str) else given
    for one in texts:
        if not isinstance(one, str) or not one.strip():
            raise section.fail("E1211", key, f"{quote(one)} is not a text.", "Correct the value.")
    return tuple(texts)


def _names(section: Section, key: str, known, default=...) -> tuple[str, ...]:
    """One of the known names, or a list of them, each once."""
    given = _texts(section, key, () if default is ... else default)
    if not given and (default is ... or key in section.values):
        raise section.fail("E1210", key, "is missing.", f"Add some of {', '.join(known)}.")
    for name in given:
        if name not in known:
            raise section.fail("E1211", key, f"{quote(name)} is not one of {', '.join(known)}.", "Correct the value.")
    if len(set(given)) < len(given):
        raise section.fail("E1211", key, f"{quote(list(given))} names one twice.", "Name each once.")
    return given


def _rows(section: Section, key: str) -> list[Section]:
    """A list of tables, at most `MOST_ROWS` of them."""
    rows = section.tables(key, [])
    _check_number(section, key, rows)
    return rows


def _check_number(section: Section, key: str, rows: Sequence) -> None:
    if len(rows) > MOST_ROWS:
        raise section.fail(
            "E1212", key, f"are {len(rows)}; at most {MOST_ROWS} are read.", "Write fewer, with patterns."
        )


def _layer_rules(section: Section) -> tuple[LayerRule, ...]:
    return tuple(_layer_rule(row) for row in _rows(section, "layers"))


def _layer_rule(section: Section) -> LayerRule:
    match = _texts(section, "match")
    if not match:
        raise section.fail("E1210", "match", "is missing.", "Name layers, patterns such as layer1.*, or roles.")
    _check_number(section, "match", match)
    for one in match:
        if len(one) > LONGEST_PATTERN:
            found = f"a pattern of {len(one)} characters; at most {LONGEST_PATTERN} are read."
            raise section.fail("E1212", "match", found, "Write a shorter one.")
    formats = _formats(section)
    if formats == TensorFormats():
        raise section.fail("E1210", "format", "is missing.", "Say which format these layers have.")
    rule = LayerRule(match, formats, section.whole("least_image", 1), section.at("match"))
    section.finish()
    return rule


def _conversion(section: Section) -> Conversion:
    kind = section.text("kind")
    if kind not in CONVERSION_KINDS:
        raise section.fail(
            "E1211", "kind", f"{quote(kind)} is not one of {', '.join(CONVERSION_KINDS)}.", "Correct the value."
        )
    of = _names(section, "of", PASS_OF)
    operations = (*GEMM_LAYERS, *KIND_OF)
    conversion = Conversion(
        kind, of, ops=_operations(section, of, operations),
        bytes_each=_bytes_each(section) if kind != "quantise" else (0.0, 0.0),
        pass_=_one_of(section, "pass", PASS_NAMES, ""), heads=section.take("heads", bool, True),
        one_pass=section.take("one_pass", bool, False), times=_times(section),
        pooled=_one_of(section, "pooled", ("whole", "channels"), "whole"),
        codes_only=section.take("codes_only", bool, False), what=section.take("what", str, ""),
        once=section.take("once", bool, False),
    )  # fmt: skip
    section.finish()
    return conversion


def _operations(section: Section, of: tuple[str, ...], known) -> tuple[str, ...]:
    """Of parameters all layers are meant that have any, of other tensors those with GEMMs."""
    default = () if of == ("parameters",) else GEMM_LAYERS
    return _names(section, "ops", known, default)


def _one_of(section: Section, key: str, known: tuple[str, ...], default: str) -> str:
    name = section.take(key, str, default)
    if name not in known:
        words = ", ".join(one for one in known if one)
        raise section.fail("E1211", key, f"{quote(name)} is not one of {words}.", "Correct the value.")
    return name


def _bytes_each(section: Section) -> tuple[float, float]:
    """Bytes that a kernel reads and writes for each element."""
    given = section.take("bytes", list, ..., "[bytes read, bytes written]")
    numbers = [one for one in given if isinstance(one, (int, float)) and not isinstance(one, bool) and 0 <= one <= 1000]
    if len(given) != 2 or len(numbers) != 2 or not any(numbers):
        raise section.fail("E1211", "bytes", f"{quote(given)} is not [read, written].", "Give two numbers up to 1000.")
    return float(numbers[0]), float(numbers[1])


def _times(section: Section) -> float:
    """How often a step does it: `times`, or once in `every` steps."""
    times, every = section.whole("times", 1, most=1000), section.whole("every", 1)
    if times > 1 and every > 1:
        raise section.fail("E1211", "every", "stands beside times.", "Give one of the two.")
    return times if every == 1 else times / every


def _schedule(top: Section, formats: tuple[str, ...]) -> Schedule:
    section = top.table("schedule")
    kind = section.take("kind", str, "constant")
    if kind not in SCHEDULE_KEYS:
        raise section.fail("E1211", "kind", f"{quote(kind)} is not one of {', '.join(SCHEDULE_KEYS)}.", "Correct it.")
    if kind == "shares":
        schedule = Shares(_shares(section, formats), section.text("from"))
    elif kind == "cyclic":
        low, high, backward = (section.whole(key, most=16) for key in ("low", "high", "backward"))
        if low > high:
            raise section.fail("E1212", "low", f"{low} is above high, {high}.", "Swap them.")
        schedule = Cyclic(low, high, backward, section.whole("cycles", most=10**6))
    else:
        name = _format(section, "format", formats[0])
        schedule = Constant(name)
    section.finish()
    return schedule


def _shares(section: Section, formats: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    shares = section.table("shares")
    for name in shares.values:
        if name not in formats:
            raise shares.fail("E1211", name, "is no format of this scheme.", f"It has {', '.join(formats)}.")
    if not shares.values:
        raise section.fail("E1210", "shares", "is missing.", "Say how many epochs each format has.")
    return tuple((name, shares.whole(name, most=10**6)) for name in shares.values)


def _stages(top: Section) -> tuple[Stage, ...]:
    """A user's plan, epoch by epoch: each stage ends where `until` says, the last one may be open."""
    stages: list[Stage] = []
    rows = _rows(top, "epochs")
    for i, row in enumerate(rows):
        until = row.whole("until", None, most=10**6)
        before = stages[-1].until if stages else 0
        if until is None and i < len(rows) - 1:
            raise row.fail("E1210", "until", "is missing.", "Only the last stage goes on to the end.")
        if until is not None and until <= before:
            raise row.fail("E1212", "until", f"{until} is not after {before}.", "Give rising epochs.")
        layers = _layer_rules(row)
        stages.append(Stage(until, _formats(row), layers))
        row.finish()
    return tuple(stages)


def _trained(top: Section, tensors: Section, rule: TensorFormats, layers, stages) -> tuple[str, ...]:
    """The formats that a trace's passes may have: as said, else all that the file names."""
    if "formats" in top.values:
        return _names(top, "formats", FORMATS)
    every = [rule, *(one.formats for one in layers), *(stage.formats for stage in stages)]
    every += [one.formats for stage in stages for one in stage.layers]
    named = [name for one in every for name in (getattr(one, key) for key in FORMAT_KEYS[1:]) if name]
    if not named:
        raise tensors.fail("E1210", "format", "is missing.", "Say which formats the scheme trains in.")
    return tuple(dict.fromkeys(named))


def _stands_for(top: Section, formats: tuple[str, ...]) -> dict[str, str]:
    section = top.table("stands_for")
    found = {name: _choice(section, name, formats, None) for name in section.values}
    section.finish()
    return found
