"""What the pages show is what the program prints, and every error code is on its page."""

import re
import shlex
from pathlib import Path

import pytest

from perfmodel.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r'"([EW]\d{4})"')


def console_blocks():
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            command, _, output = block.partition("\n")
            yield pytest.param(command, output, id=f"{page.name}: {command[:60]}")


@pytest.mark.parametrize(("command", "output"), list(console_blocks()))
def test_the_page_shows_what_is_printed(command, output, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "perfmodel"
    main(words[1:])
    printed = capsys.readouterr()
    shown, _, rest = output.partition("…\n")  # a page may leave out the end
    text = printed.out + printed.err
    assert text.startswith(shown) if rest or output.endswith("…\n") else text == shown


def test_there_are_such_blocks():
    assert len(list(console_blocks())) >= 3


def test_every_code_is_documented_and_every_documented_code_exists():
    sources = (ROOT / "perfmodel").rglob("*.py")
    used = {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([EW]\d{4}) \|", page, re.MULTILINE)) == used


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
