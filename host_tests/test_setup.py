"""What the Makefile relies on: help, steps that fail, the environment's stamp."""

import re
import subprocess
import sys

import pytest

from tools import paths, setup, steps


def test_help_is_the_default_and_lists_every_target():
    text = (paths.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    shown = subprocess.run(["make"], cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    assert targets == set(re.findall(r"make ([a-z]+)", shown))


def test_failed_step_shows_its_last_lines(monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "LOGS", tmp_path / "build/log")
    monkeypatch.setattr(steps, "BUILD", tmp_path / "build")
    script = "print('first'); print('the reason'); raise SystemExit(3)"
    wanted = r"try: ended with code 3; the whole log: build/log/try\.log\. Do that"
    with pytest.raises(steps.ToolError, match=wanted) as caught:
        steps.run("try", [sys.executable, "-c", script], hint="Do that")
    assert caught.value.detail.splitlines()[-1] == "  | the reason"


def test_missing_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "LOGS", tmp_path)
    with pytest.raises(steps.ToolError, match="no-such-command: command not found"):
        steps.run("try", ["no-such-command"])


def test_second_setup_does_nothing(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("ran something")

    monkeypatch.setattr(setup, "run", fail)
    setup.setup()
