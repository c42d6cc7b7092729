"""What the pages show is what the program prints, and every error code is on its page."""

import re
import shlex
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.schemes import scheme_names

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r'"([EW]\d{4})"')


def console_blocks(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with what the page shows of its output; a block may hold several commands."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if console_blocks(page)], ids=lambda page: page.name)
def test_the_page_shows_what_is_printed(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the commands of a page may write files, and use them
    (tmp_path / "tests").symlink_to(ROOT / "tests")  # for the sample logs
    for command, output in console_blocks(page):
        words = shlex.split(command)
        assert words[0] == "perfmodel"
        main(words[1:])
        printed = capsys.readouterr()
        shown, _, rest = output.partition("…\n")  # a page may leave out the end
        text = printed.out + printed.err
        assert text.startswith(shown) if rest or output.endswith("…\n") else text == shown


def test_there_are_such_blocks():
    assert sum(len(console_blocks(page)) for page in PAGES) >= 3


def test_every_code_is_documented_and_every_documented_code_exists():
    sources = (ROOT / "perfmodel").rglob("*.py")
    used = {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([EW]\d{4}) \|", page, re.MULTILINE)) == used


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_scheme_on_its_page_is_the_one_of_the_examples():
    page = (ROOT / "docs" / "schemes.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown == (ROOT / "tests" / "data" / "schemes" / "bits.toml").read_text(encoding="utf-8")


def test_every_bundled_scheme_has_its_section():
    page = (ROOT / "docs" / "schemes.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (\S+)$", page, re.MULTILINE)) == sorted(scheme_names())
