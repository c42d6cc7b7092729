"""Reports of small runs, taken apart by the standard library's parser."""

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from perfmodel.calibration import find_calibrated_model
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.report.html import Provenance, report_text
from perfmodel.simulate import Setting, compare
from perfmodel.traces import PassPrecision, Segment, Trace

VOID = ("meta", "br", "hr", "col")
PROVENANCE = Provenance(
    "perfmodel report run -o run.html", "Modelled, not measured: rtx-2080-ti.", (("perfmodel", "0.0"),),
    (("trace", "run", "ab" * 32),), ("A note.",),
)  # fmt: skip


@dataclass
class Page(HTMLParser):
    """What a page consists of: tags with their attributes, texts, and whether every tag was closed in turn."""

    markup: str
    tags: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    scripts: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.feed(self.markup)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open[-1:] in (["script"], ["style"]) else self.texts).append(data)

    def find(self, tag, **attributes):
        return [a for name, a in self.tags if name == tag and all(a.get(k) == v for k, v in attributes.items())]


def _trace(*formats, **more):
    """A run of one epoch in each format."""
    segments = tuple(
        Segment(epoch, 3, PassPrecision.same(name), metrics={"val_acc": 30.0 + epoch, "val_loss": 1.5})
        for epoch, name in enumerate(formats)
    )
    said = {"network": "resnet20", "dataset": "made up", "scheme": "muppet", "samples": 96, "batch": 32,
            "source": {"note": "a test"}, "segments": segments}  # fmt: skip
    return Trace(**(said | more))


@pytest.fixture(scope="session")
def setting():
    """A model with intervals."""
    return Setting(find_calibrated_model("tiles", find_device("rtx-2080-ti"), "best", True, "default"))


@pytest.fixture(scope="session")
def markup(setting):
    """The text of a report on some traces, by name; keywords change its provenance."""

    def make(network=None, target=None, traces=None, **changes):
        traces = traces or {"run": _trace("dfx8", "dfx12", "fp32")}
        found = [compare(one, network or find_network(one.network), setting) for one in traces.values()]
        provenance = replace(PROVENANCE, **changes)
        return report_text(list(traces), found, setting.model.device, provenance, target)

    return make


@pytest.fixture(scope="session")
def trace():
    """Makes a trace of one epoch in each format."""
    return _trace


@pytest.fixture(scope="session")
def parsed():
    """Takes a page apart."""
    return Page


@pytest.fixture(scope="session")
def page(markup):
    """The report of one run, taken apart."""
    return Page(markup())
