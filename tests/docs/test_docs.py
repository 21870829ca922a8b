"""The pages say what is there: links lead somewhere, commands exist, examples are valid."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollbridge.config import parse_config
from tollbridge.telemetry.meter import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s#]+)(?:#[\w-]+)?\)")
HEADING_LINK = re.compile(r"\[[^\]]+\]\(([^)\s#]*)#([\w-]+)\)")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found, text in BLOCK.findall(page.read_text()):
            if found == language:
                yield f"{page.relative_to(ROOT)}: {text[:60]!r}...", text


def anchors(page: Path) -> set[str]:
    """A heading's anchor as code hosts make it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings)
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    text = page.read_text()
    for target in LINK.findall(text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}: no such file"
    for target, anchor in HEADING_LINK.findall(text):
        if "://" not in target and (not target or target.endswith(".md")):
            linked = page.parent / target if target else page
            assert anchor in anchors(linked), f"{page.name} links to {target}#{anchor}: no heading"


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert target in targets, f"{page.name}: the Makefile has no target {target!r}"


def test_make_help_is_complete():
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (help .+)$", text, re.MULTILINE)
    assert phony is not None
    helped = set(re.findall(r'@echo "make ([a-z-]+)', text))
    assert helped == set(phony[1].split()) - {"help", "clean"}


def test_toml_examples_are_valid_configurations():
    class AnyVariable(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return f"value-of-{name}"

        def get(self, name: str, default: object = None) -> str:
            return self[name]

    for where, text in blocks("toml"):
        try:
            parse_config(text, AnyVariable())
        except Exception as error:
            raise AssertionError(f"{where} is refused: {error}") from error


def test_python_and_json_examples_parse():
    for where, text in blocks("python"):
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise AssertionError(f"{where}: {error}") from error
    for where, text in blocks("json"):
        try:
            json.loads(text)
        except ValueError as error:
            raise AssertionError(f"{where}: {error}") from error


def test_changelog_has_a_place_for_the_next_change():
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("tool", ["error_table", "routing_table", "translation_table"])
def test_generated_pages_are_up_to_date(tool: str):
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_metric_and_its_labels_are_on_the_page():
    rows = re.findall(
        r"^\| `(tollbridge_\w+)` \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    told = {name: tuple(labels.split(", ")) if labels != "-" else () for name, labels in rows}
    counted = {
        family.name + ("" if family.bounds_ms else "_total"): family.labels
        for family in FAMILIES.values()
    }
    assert told == {**counted, "tollbridge_open_requests": (), "tollbridge_tasks": ()}
