"""Ctrl-C on the emulated board: a byte like any other while a host talks, the way to the REPL when nothing goes on."""

pytest_plugins = ["host_tests.board.twin_fixtures"]


def said(twin, seconds):
    return "\n".join(twin.run(seconds))


def test_ctrl_c_leads_to_the_repl_only_while_idle(twin):
    twin.send("\x03M105\n")
    text = said(twin, 0.5)
    assert "echo:unprintable bytes" in text and ">>>" not in text
    twin.send("M104 S50\n")
    twin.run(6.0)
    twin.send("\x03\nM104 S0\n")
    assert "echo:unprintable bytes" in said(twin, 0.5)
    twin.run(6.0)
    twin.send("\x03")
    assert "echo:firmware stopped, heaters off" in said(twin, 0.5)
    twin.send("print(6*7)\r\n")
    assert "\n42" in said(twin, 0.5)
    assert not twin.heater_on("hotend")
    # The heater check goes on and feeds the watchdog
    twin.run(10.0)
    twin.send("print(7*7)\r\n")
    assert "\n49" in said(twin, 0.5)
