"""Settings and their store on MicroPython: saved, damaged, loaded again; rows are those of the whole firmware."""

import os

from adder.errors import Refused
from adder.settings import Settings, groups
from adder.store import Store

PATH = "/tmp/adder-settings-%s" % "".join("%02x" % b for b in os.urandom(6))


def fresh():
    settings = Settings(groups(), {"steps_per_mm_e": "92.655", "z_max": 180}, Store(PATH))
    return settings, settings.load()


try:
    settings, lines = fresh()
    assert lines == ["echo:No settings stored, defaults loaded"], lines
    assert settings.get("steps_per_mm_e") == 92655 and settings.text("z_max") == "180.00"
    lines = list(settings.gcode_lines())
    assert "echo:  M92 X80.00 Y80.00 Z400.00 E92.655" in lines, lines
    heard = []
    settings.on_change("jerk_", heard.append)
    settings.set("jerk_x", 1234)
    assert heard == ["jerk_x"]
    try:
        settings.set("jerk_x", 10001)
    except Refused as problem:
        assert "should be 0.01 to 100.00 mm/s" in str(problem), problem
    else:
        raise AssertionError("out of range")
    assert settings.save().startswith("echo:Settings Stored (")
    settings.set("jerk_x", 777)
    settings.save()
    settings, lines = fresh()
    assert len(lines) == 1 and settings.get("jerk_x") == 777, lines
    with open(PATH + ".b", "rb") as stream:
        whole = stream.read()
    for noise in (whole[:-5], b"", os.urandom(500), b"adder-settings \xff\xfe\ncrc32 1\n"):
        with open(PATH + ".b", "wb") as stream:
            stream.write(noise)
        settings, lines = fresh()
        assert settings.get("jerk_x") == 1234 and len(lines) == 3, lines
    with open(PATH + ".a", "wb") as stream:
        stream.write(os.urandom(300))
    settings, lines = fresh()
    assert settings.get("jerk_x") == 1000 and len(lines) == 3, lines
    settings.save()
    settings, lines = fresh()
    assert settings.get("jerk_x") == 1000, lines
finally:
    for name in ("a", "b"):
        try:
            os.remove(PATH + "." + name)
        except OSError:
            pass

print("passed")
