"""The report in a real browser: nothing fetched, nothing complained of, sorted, legible, readable on any width."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
LEGIBLE = 4.5  # WCAG 2.2, criterion 1.4.3
PHONE_PX, PAPER_PX = 375, 1047  # A4 across less margins of 1 cm, at 96 pixels an inch
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
COLUMN = """
    const table = document.getElementById(arguments[0]);
    return [...table.tBodies[0].rows].map(row => {
        const cell = row.cells[arguments[1]], raw = cell.getAttribute("data-value");
        return raw === null ? cell.textContent : Number(raw);
    });
"""
SECTIONS = """
    return [...document.querySelectorAll("header, section")].map(part => {
        const box = part.getBoundingClientRect();
        return [part.id || "header", box.top + scrollY, box.height];
    });
"""
TALLEST_PX = 4000  # of a picture


def test_nothing_is_fetched_and_nothing_complained_of(browser, report_file):
    assert browser.log("browser") == []
    asked = [
        entry["params"]["request"]["url"] for entry in browser.log("performance")
        if entry["method"] == "Network.requestWillBeSent"
    ]  # fmt: skip
    assert asked == [report_file.as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').map(one => one.name)") == []


def test_the_policy_stops_what_does_not_belong_here(browser):
    browser.run("""
        const made = document.createElement("script");
        made.textContent = "document.title = 'changed'";
        document.body.append(made);
        const picture = new Image();
        picture.src = "file:///nowhere.png";
        document.body.append(picture);
    """)
    assert "changed" not in browser.run("return document.title")
    refused = browser.log("browser")
    assert any("script" in line and "Content Security Policy" in line for line in refused)
    assert any("nowhere.png" in line and "Content Security Policy" in line for line in refused)


def test_tables_sort_by_click(browser):
    head = "#speedup thead th:nth-child(4)"
    before = browser.run(COLUMN, "speedup", 3)
    assert before != sorted(before)
    browser.click(f"{head} button")
    assert browser.run(COLUMN, "speedup", 3) == sorted(before)
    browser.click(f"{head} button")
    assert browser.run(COLUMN, "speedup", 3) == sorted(before, reverse=True)
    states = "return [...document.querySelectorAll('#speedup th')].map(one => one.getAttribute('aria-sort'))"
    browser.click("#speedup thead th:nth-child(1) button")
    assert browser.run(states) == ["ascending"] + [None] * (len(browser.run(states)) - 1)


def test_tables_sort_by_key(browser):
    before = browser.run(COLUMN, "s0-kind", 1)
    browser.run("document.querySelector('#s0-kind th:nth-child(2) button').focus()")
    browser.press("enter")
    known = [value for value in before[:-1] if value != "–"]
    empty = ["–"] * (len(before) - 1 - len(known))
    assert browser.run(COLUMN, "s0-kind", 1) == [*sorted(known), *empty, before[-1]]  # the sum stays below
    browser.press("space")
    assert browser.run(COLUMN, "s0-kind", 1) == [*sorted(known, reverse=True), *empty, before[-1]]
    state = "return document.querySelector('#s0-kind th:nth-child(2)').getAttribute('aria-sort')"
    assert browser.run(state) == "descending"


def test_rows_are_found_by_their_text(browser):
    browser.run("""
        const box = document.querySelector("#speedup").closest(".scroll").parentNode.querySelector("input");
        box.focus();
    """)
    browser.press(*"mixed")
    shown = "return [...document.querySelectorAll('#speedup tbody tr')].filter(row => row.offsetParent).length"
    every = browser.run("return document.querySelector('#speedup').tBodies[0].rows.length")
    assert browser.run(shown) == every / 4


def test_the_first_key_leads_past_the_contents(browser):
    browser.press("tab")
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("enter")
    assert browser.run("return location.hash") == "#main"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_legible(browser, report_file, scheme):
    browser.media(scheme)
    height = browser.run("return document.documentElement.scrollHeight")
    browser.size(1200, height)  # what lies behind a text is known for what is in the window only
    found = browser.run(CONTRAST)
    assert len(found) > 1000
    assert {tag for _, _, tag in found} >= {"P", "TD", "text", "BUTTON", "FIGCAPTION"}
    assert sorted({(round(ratio, 2), text) for ratio, text, _ in found if ratio < LEGIBLE}) == []


def test_the_button_changes_the_colours(browser):
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.click("#theme")
    dark = browser.run(ground)
    browser.click("#theme")
    assert light == browser.run(ground) != dark
    browser.media("dark")
    assert browser.run(ground) == light  # who chose, chose


def test_the_button_says_what_it_does(browser):
    label = "return document.getElementById('theme').textContent"
    assert browser.run(label) == "Dark colours"
    browser.media("dark")  # the system's colours change while the page is open
    assert browser.run(label) == "Light colours"
    browser.click("#theme")
    assert browser.run(label) == "Dark colours"


@pytest.mark.parametrize("width", [PHONE_PX, 1200])
def test_nothing_sticks_out(browser, width):
    browser.size(width)
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_on_paper(browser):
    browser.media("dark", "print")
    browser.size(PAPER_PX)
    shown = "return [...document.querySelectorAll(arguments[0])].filter(one => one.getClientRects().length).length"
    for control in ("nav", ".tools", "header button"):
        assert browser.run(shown, control) == 0, control
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return document.documentElement.scrollWidth") <= PAPER_PX
    assert browser.paper().startswith(b"%PDF")


def test_without_script_all_is_there(browser, report_file):
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    browser.go(report_file.as_uri())
    root = browser.devtools("DOM.getDocument")["root"]["nodeId"]

    def nodes(selector):
        return browser.devtools("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]

    assert nodes("button") == []
    parts = [*nodes("section"), *nodes("table"), *nodes("figure")]
    assert len(parts) > 50
    for part in parts:
        assert browser.devtools("DOM.getBoxModel", nodeId=part)["model"]["height"] > 20


def test_pictures_of_the_sections(browser):
    """For people to look at: a PNG of each section in both schemes, and the PDF; the test is that there is ink."""
    folder = os.environ.get("PERFMODEL_SCREENSHOTS")
    if not folder:
        pytest.skip("PERFMODEL_SCREENSHOTS names no folder")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        browser.media(scheme)
        for name, top, height in browser.run(SECTIONS):
            picture = browser.picture(top, min(height, TALLEST_PX), 1200)
            assert len(picture) > 2000
            Path(folder, f"report-{name}-{scheme}.png").write_bytes(picture)
    browser.media()
    Path(folder, "report.pdf").write_bytes(browser.paper())
