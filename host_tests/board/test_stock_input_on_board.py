"""Lines as stock MicroPython brings them: without rp2.receive, by poll and readline."""

from host_tests.board.printers import check_drivers, hooked_flash, numbered, printer

STOCK = "import rp2\ndel rp2.receive\n"


def test_lines_come_without_the_call_that_our_image_has():
    with printer(flash=hooked_flash(STOCK)) as twin:
        twin.command("M302 S0")
        twin.stream(["G1 X%.1f E%.2f F6000" % (0.2 * at, 0.01 * at) for at in range(1, 60)])
        assert twin.count.resends == 0 and not twin.count.errors
        twin.command("M400", timeout=60)
        assert twin.steps("x").net == round(0.2 * 59 * twin.plan.steps_per_mm["x"])
        check_drivers(twin)


def test_half_a_line_holds_up_nothing_but_itself():
    for flash in (None, hooked_flash(STOCK)):
        with printer(flash=flash) as twin:
            twin.command("G1 X20 F1200")
            twin.board.write(b"M114")
            assert not [line for line in twin.run(1.0) if line.startswith("X:")]
            twin.board.write(b" \nM115\n")
            said = twin.run(1.0)
            assert [line for line in said if line.startswith("X:")]
            assert [line for line in said if line.startswith("FIRMWARE_NAME")]


def test_lines_in_any_pieces_arrive_whole_and_in_order():
    for flash in (None, hooked_flash(STOCK)):
        with printer(flash=flash) as twin:
            data = b"M110 N0\n" + numbered(["G1 X%d F6000" % (5 + at % 2) for at in range(30)]) + b"M400\r\n"
            size = 1
            at = 0
            said = []
            while at < len(data):
                twin.board.write(data[at : at + size])
                said += twin.run(0.03)
                at += size
                size = size * 7 % 61 + 1
            said += twin.run(2.0)
            assert said.count("ok") == 32 and not [line for line in said if line.startswith(("Error", "Resend"))]
            assert twin.steps("x").total == (5 + 29) * twin.plan.steps_per_mm["x"]
