"""docs/settings.md is what the rows say now, and says it in a form that a reader can use."""

import re

from adder.settings import groups
from tools import settings_doc

ROWS = [row for group in groups() for row in group]


def test_the_page_is_current():
    assert settings_doc.PAGE.read_text() == settings_doc.page(), "write it anew: make docs"


def test_every_setting_has_one_line():
    page = settings_doc.page()
    for row in ROWS:
        assert page.count(f"| `{row[0]}` |") == 1, row[0]


def test_numbers_are_in_the_settings_unit():
    lines = settings_doc.page().splitlines()
    line = next(line for line in lines if "`max_feedrate_z`" in line)
    assert [cell.strip() for cell in line.split("|")[2:6]] == ["M203 Z", "mm/s", "12", "0.1 to 1000"]
    line = next(line for line in lines if "`junction_deviation`" in line)
    assert [cell.strip() for cell in line.split("|")[2:6]] == ["M205 J", "mm", "0.013", "0 to 0.5"]


def test_tables_are_whole():
    for line in settings_doc.page().splitlines():
        if line.startswith("| `"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 7, line
