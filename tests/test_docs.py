"""The documents: every relative link leads somewhere, and the guide's pages lead nowhere that the wheel lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from app.guide import slug

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def links(page: Path) -> Iterator[str]:
    """The relative links of a page, pictures too; not those that show how one writes a link in code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"\w+:", link):
            yield link


def headings(page: Path) -> set[str]:
    """The anchors of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {slug(re.sub(r"[`*]", "", heading)) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    wrong = []
    for page in PAGES:
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in headings(target)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert not wrong, wrong


def test_the_pages_of_the_guide_lead_to_nothing_outside_it() -> None:
    docs = ROOT / "docs"
    for page in (docs / "guide").glob("*.md"):
        for link in links(page):
            assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(docs), f"{page.name}: {link}"


def test_the_first_page_of_the_guide_leads_to_all_others() -> None:
    first = ROOT / "docs" / "guide" / "README.md"
    reached = {link for link in links(first) if "/" not in link}
    assert reached == {page.name for page in first.parent.glob("*.md")} - {first.name}
