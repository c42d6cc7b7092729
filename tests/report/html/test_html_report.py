"""The report as a whole: its parts, that it needs nothing else, and that what is data stays it."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace

import pytest

from perfmodel.networks import Conv2d, Network
from perfmodel.report.table import visible
from perfmodel.traces import PassPrecision, Segment, find_trace

HOSTILE = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"' onmouseover=\"alert(1)", "&amp;&#x3c;",
    "\u202egnp.exe", "$\\frac{1}$", "]]>", "<!--", "x\x1b[31m", "</title>", "\u2028\u2029", "'; --",
)  # fmt: skip


def test_parts_in_order(page):
    headings = [(tag, attributes) for tag, attributes in page.tags if tag in ("h1", "h2", "section")]
    assert [attributes["id"] for tag, attributes in headings if tag == "section"] == [
        "answer", "runs", "steps", "basis", "sources", "again",
    ]  # fmt: skip
    assert [link["href"] for link in page.find("a")][1:] == [
        "#answer", "#runs", "#steps", "#basis", "#sources", "#again",
    ]  # fmt: skip
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_ids_are_there_once_and_all_references_lead_to_one(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "href"):
            if name in attributes:
                assert attributes[name].removeprefix("#") in ids
        for value in attributes.values():
            for name in re.findall(r"url\(#([^)]*)\)", value or ""):
                assert name in ids


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", page.markup.split("<main")[0])


def test_the_policy_lets_the_one_script_run(page):
    (policy,) = page.find("meta", **{"http-equiv": "Content-Security-Policy"})
    (script,) = [text for text in page.scripts if '"use strict"' in text]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["content"].startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")
    assert len(page.find("script")) == 2
    assert page.find("script", type="application/json", id="data")


def test_figures_say_what_they_show(page):
    figures = page.find("svg", role="img")
    assert len(figures) == 5  # speedups, timeline, log, layers, roofline
    for one in figures:
        assert one["aria-labelledby"].endswith("-title")
    titles = [a["id"] for tag, a in page.tags if tag == "title" and "id" in a]
    assert titles == [one["aria-labelledby"] for one in figures]
    assert any(text.startswith("Bars of speedups against FP32. run, mixed precision: ") for text in page.texts)


def test_the_answer_comes_first(page):
    text = " ".join("".join(page.texts).split())
    assert re.search(
        r"run: MuPPET on resnet20 takes [0-9.]+ s \(modelled, 90 %: [0-9.]+ s … [0-9.]+ s\): [0-9.]+x \[", text
    )
    assert re.search(r"\] as fast as FP32 \([0-9.]+ s\), [0-9.]+x \[[0-9.]+x … [0-9.]+x\] as fast as mixed", text)
    assert text.index("run: MuPPET on resnet20 takes") < text.index("Training time and speedup")
    assert "Time to accuracy" in text
    assert "A note." in text


def test_what_a_trace_leaves_open_is_a_range_everywhere(markup, parsed):
    found = parsed(markup(traces={"paper": find_trace("muppet-alexnet-imagenet")}))
    text = " ".join("".join(found.texts).split())
    assert re.search(r"565,565 iterations of batch 256; 6\.9 % … 8\.0 % of its time converts numbers\.", text)
    assert re.search(r"paper: MuPPET on alexnet-reference takes 10:20 h … 11:10 h ", text)


def test_data_for_programs(page):
    (data,) = [text for text in page.scripts if text.startswith("{")]
    rows = json.loads(data)["rows"]
    assert [row["training"] for row in rows] == ["FP32", "mixed precision", "MuPPET", "MuPPET, theoretical limit"]
    (cell,) = {
        a["data-value"] for tag, a in page.tags if tag == "td" and a.get("data-value") == repr(rows[2]["time_low_s"])
    }
    assert float(cell) == rows[2]["time_low_s"]


def test_the_same_inputs_give_the_same_bytes(markup, page):
    assert markup() == page.markup


def test_equal_steps_are_shown_once(page):
    headers = [text for text in page.texts if text.endswith(" ms")]
    assert {"fp32 ms", "mixed fp16 ms", "dfx8 ms", "dfx12 ms"} <= set(headers)
    assert not any("(" in text for text in headers)


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 4))
def test_texts_of_others_stay_texts(markup, parsed, trace, first):
    """Four texts at a time in every place that takes one."""
    texts = HOSTILE[first : first + 4]
    text = f"!{' '.join(texts)}"
    one = trace("dfx8", "fp32", dataset=text, source={"note": text}, notes=text, title=text)
    named = [replace(segment, metrics={f"val_acc {text}": 5.0}) for segment in one.segments]
    one = replace(one, segments=tuple(named))
    names = ["input", *texts]
    layers = [
        Conv2d(name, (before,), (8, 8, 8), 8, (3, 3), padding=(1, 1))
        for name, before in zip(texts, names, strict=False)
    ]
    found = parsed(markup(Network("net", text, text, (8, 8, 8), tuple(layers)), traces={text: one}, command=text,
                          setting=text, notes=(text,)))  # fmt: skip
    assert len(found.find("script")) == 2
    assert not found.find("img")
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    shown = "".join(found.texts)
    for one in (text, *texts):
        assert visible(one) in shown
    assert not set("\x1b\u202e\u2028\u2029").intersection(shown)


def test_long_runs_and_many_layers_are_cut_aloud(markup, parsed, trace):
    names = [f"layer{i}" for i in range(301)]
    layers = [
        Conv2d(name, (before,), (8, 4, 4), 8, (3, 3), padding=(1, 1))
        for name, before in zip(names, ["input", *names], strict=False)
    ]
    network = Network("long", "long", "made up", (8, 4, 4), tuple(layers))
    formats = [PassPrecision.same(("dfx8", "dfx12", "dfx16")[i * 7 % 3]) for i in range(3000)]
    segments = tuple(Segment(i, 3, one) for i, one in enumerate(formats))
    markup_ = markup(network, traces={"long": replace(trace("dfx8"), segments=segments)})
    text = "".join(parsed(markup_).texts)
    assert "202 others" in text  # of the table: 301 layers and the images
    assert "252 others" in text  # of the figure
    assert "… 2,960 more" in text
    assert len(markup_) < 1_500_000


def test_several_runs_share_the_steps_of_one_network(markup, parsed, trace):
    found = parsed(markup(traces={"one": trace("dfx8", "fp32"), "two": trace("dfx8", "dfx16", "fp32")}))
    assert len(found.find("svg", role="img")) == 1 + 2 * 2 + 2
    assert "2 training runs on NVIDIA GeForce RTX 2080 Ti" in found.texts
