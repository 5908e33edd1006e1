"""The scanner against an independent reader of G-code: regular expressions and decimal numbers."""

import random
import re
import string
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adder import command, frame, link
from adder.command import EMPTY, NEXT, NO_NUMBER, OK, OTHER, PLAIN, Command, scan_line
from adder.errors import Refused

# The sample lines of the RepRap page
SAMPLES = [
    (3, "T0", 57),
    (4, "G92 E0", 67),
    (5, "G28", 22),
    (6, "G1 F1500.0", 82),
    (7, "G1 X2.0 Y2.0 F3000.0", 85),
    (8, "G1 X3.0 Y3.0", 33),
]
REFUSED = (
    "G1 X--3", "G1 X1.2.3", "G1 X1e9", "G1 X1e-9", "G1 X-", "G1 X+", "G1 X.", "G1 X-.", "G1 XNaN", "G1 X1-2",
    "G1 X1 2", "G1 X0x10", "G1 X99999999999", "G1 X-99999999999", "G1 X1 X2", "G1 X1 Y2 x3", "G1 X1 G1 Y2",
    "G1 X1 M104 S200", "G99999", "M99999999999", "G1 X1,5", "G1 X$", "G1 X1 %", "M104 S2_0", 'M104 S"200"',
    "G1 X\x00", "G1 X1\x7f", "G\x01", "M117 bell\x07", "G1 X\u00b5", "G-", "M 10 4",
)
ACCEPTED = {
    "G1 X-.5 E.04667": {"X": "-0.5", "E": "0.04667"},
    "G1 X5. Y+3": {"X": "5", "Y": "3"},
    "g1 x10y-20z.2": {"X": "10", "Y": "-20", "Z": "0.2"},
    "G1X10Y20F3000": {"X": "10", "Y": "20", "F": "3000"},
    "  G1\tX1 \r\n": {"X": "1"},
    "G 1 X 10 Y - 3"[:11]: {"X": "10", "Y": None},
    "G1 X1;Y2": {"X": "1"},
    "G1 X1 (Y2) Z3": {"X": "1", "Z": "3"},
    "(a) G1 (b) X1(c)Y2 (d": {"X": "1", "Y": "2"},
    "G1 X1 ; \u00e4\u00f6 \x00": {"X": "1"},
    "G28 X Y0 Z": {"X": None, "Y": "0", "Z": None},
    "G1 x1E5": {"X": "1", "E": "5"},
    "g1x1e5": {"X": "1", "E": "5"},
    "G1 X000000000012.50": {"X": "12.5"},
    "G1 E30123.45678": {"E": "30123.4567"},
    "G1 X0.00000000000000000000001": {"X": "0"},
    "G1 X2147483639": {"X": "2147483639"},
    "M862.3": {},
    "": None,
    " \t\r\n": None,
    "; only a comment": None,
    "(only a comment)": None,
}


def scan(text):
    c = Command()
    data = text.encode() if isinstance(text, str) else text
    return c, c.scan(data)


def values(c):
    return {
        chr(65 + n): Decimal(c.show(chr(65 + n))) if c.valued(chr(65 + n)) else None
        for n in range(26)
        if c.has(chr(65 + n))
    }


def checksum(data):
    total = 0
    for byte in data:
        total ^= byte
    return total


def numbered(number, text):
    data = b"N%d %s" % (number, text.encode() if isinstance(text, str) else text)
    return data + b"*%d\n" % checksum(data)


@pytest.mark.parametrize(("number", "text", "total"), SAMPLES)
def test_samples_of_the_reprap_page(number, text, total):
    line = b"N%d %s*%d" % (number, text.encode(), total)
    c, result = scan(line)
    assert result == OK
    assert c.line_number() == number
    assert c.record[command._SUM] == c.record[command._XOR] == total
    assert scan_line(line + b"\n", len(line) + 1, c.record, number) == NEXT
    assert scan_line(line + b"\n", len(line) + 1, c.record, number + 1) == OTHER
    for at in range(len(line) - 3):
        damaged = bytearray(line + b"\n")
        damaged[at] ^= 4
        assert scan_line(bytes(damaged), len(damaged), c.record, number) == OTHER


@pytest.mark.parametrize("text", REFUSED)
def test_damaged_lines_are_refused_with_a_reason(text):
    c, result = scan(text)
    assert result > EMPTY
    assert c.record[command.KEY] == command.REFUSED
    assert c.error.isascii() and c.error.isprintable() and len(c.error) < 110, c.error
    assert scan_line(text.encode() + b"\n", len(text.encode()) + 1, c.record, 0) == OTHER


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.items())
def test_odd_spellings(text, expected):
    c, result = scan(text)
    if expected is None:
        assert result == EMPTY
        return
    assert result == OK, c.error
    assert values(c) == {letter: v and Decimal(v) for letter, v in expected.items()}


def test_code_words():
    for text, code in (("G1", ("G", 1, 0)), ("m104", ("M", 104, 0)), ("G92.1", ("G", 92, 1)), ("T3", ("T", 3, 0)),
                       ("T", ("T", -1, 0)), ("T-1", ("T", -1, 0)), ("G", ("G", -1, 0)), ("D-1", ("D", -1, 0)),
                       ("G 28", ("G", 28, 0)), ("M65534", ("M", 65534, 0)), ("G0.9", ("G", 0, 9)),
                       ("G01", ("G", 1, 0))):
        c, result = scan(text)
        assert result == OK, text
        assert (chr(c.letter), c.number, c.sub) == code
        assert c.record[command.KEY] & 0xF == code[2]
    keys = {scan(f"{letter}{number}{sub}")[0].record[command.KEY]
            for letter in "GMTD" for number in ("", 0, 1, 92, 65534) for sub in ("", ".1", ".9")}
    assert len(keys) == 4 * 5 * 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("M117 Hello, World", b"Hello, World"),
        ("M117 G1 X5 N3 (a) b*c", b"G1 X5 N3 (a) b*c"),
        ("M117 text ; comment", b"text"),
        ("m117", b""),
        ("M118 A1 action:pause\r\n", b"A1 action:pause"),
        ("N5 M117 a*b*88\n", b"a*b"),
        ("M117 Gr\u00fc\u00df", "Gr\u00fc\u00df".encode()),
        ("M0 Click to go on", b"Click to go on"),
        ("M1 P1000 wait", b"P1000 wait"),
        ("Tx", b"x"),
        ("T?", b"?"),
        ("TC", b"C"),
        ("G1 X1", b""),
        ("M104 S200", b""),
    ],
)
def test_texts(line, text):
    c, result = scan(line)
    assert result == OK
    assert c.text == text


def test_text_codes_are_those_of_the_table():
    from adder.codes import table

    for row in table.ROWS:
        if row[0][0] == "M":
            c, _ = scan(row[0] + " hello hello")
            assert (c.text == b"hello hello") == ("text" in row[4]), row


number = st.builds(
    lambda sign, whole, point, fraction: sign + whole + ("." + fraction if point else ""),
    st.sampled_from(["", "-", "+"]),
    st.text(string.digits, min_size=1, max_size=5),
    st.booleans(),
    st.text(string.digits, max_size=4),
)
letters = st.permutations([c for c in string.ascii_uppercase if c not in "GMN"]).flatmap(
    lambda order: st.integers(0, 8).map(lambda n: order[:n])
)


@st.composite
def commands(draw):
    """A command as (text, letter, number, {letter: text of a number or ""})."""
    code, which = draw(st.sampled_from("GMD")), draw(st.integers(2, 999).filter(lambda n: n not in (117, 118)))
    fields = {letter: draw(st.one_of(st.just(""), number)) for letter in draw(letters)}
    words = [f"{code}{which}"] + [letter + value for letter, value in fields.items()]
    if draw(st.booleans()):
        words = [word.lower() for word in words]
    text = draw(st.sampled_from([" ", "", "  ", "\t"])).join(words)
    return draw(st.sampled_from(["", " "])) + text, code, which, fields


@given(commands(), st.sampled_from(["", " ", ";c", " (x)", "\r"]))
def test_fields_are_what_decimal_numbers_say(line, end):
    text, code, which, fields = line
    c, result = scan(text + end)
    assert result == OK, c.error
    assert (chr(c.letter), c.number) == (code, which)
    assert values(c) == {letter: Decimal(value) if value else None for letter, value in fields.items()}
    for letter, value in fields.items():
        if not value:
            assert c.scaled(letter, 3, 77) == 77 and c.int(letter, 78) == 78
            continue
        exact = Decimal(value)
        for decimals in (0, 2, 5):
            scaled = int((exact * 10**decimals).to_integral_value(ROUND_HALF_UP))
            assert c.scaled(letter, decimals) == scaled
        assert c.int(letter) == int(exact)
        if abs(exact) < 10000:
            assert c.length(letter) == int((exact * 100000).to_integral_value(ROUND_HALF_UP))
        if abs(exact) < 400:
            inch = int((exact * Decimal("2540000")).to_integral_value(ROUND_HALF_UP))
            assert c.length(letter, True) == inch


@given(st.from_regex(re.compile(r"[-+]?([0-9]{1,4}(\.[0-9]{0,12})?|\.[0-9]{1,12})", re.ASCII), fullmatch=True))
def test_long_fractions_are_rounded_once(text):
    c, result = scan("G1 X" + text)
    assert result == OK
    exact = int((Decimal(text) * 100000).to_integral_value(ROUND_HALF_UP))
    # From 2147.48364 on there is no room for a sixth decimal: it is cut off
    assert abs(c.length("X") - exact) <= (abs(exact) >= 214748364)


def test_lengths_end_at_ten_metres_but_for_filament():
    c, _ = scan("G1 X10800 E10800.5")
    with pytest.raises(Refused, match=r"X10800 is too long"):
        c.length("X")
    assert c.length("E") == 1080050000


@given(commands(), st.integers(-1, 10**6))
def test_a_numbered_line_is_next_only_with_its_number_and_sum(line, n):
    text = line[0]
    data = numbered(n, text)
    c = Command()
    special = line[1] == "M" and line[2] in (108, 110, 112, 410)
    assert scan_line(data, len(data), c.record, n) == (OTHER if special else NEXT)
    assert scan_line(data, len(data), c.record, n + 1) == OTHER
    assert c.line_number() == n
    assert scan_line(data[:-1], len(data) - 1, c.record, n) == OTHER  # no newline
    plain = text.encode() + b"\n"
    assert scan_line(plain, len(plain), c.record, n) == (OTHER if special else PLAIN)


@given(commands(), st.integers(0, 10**6), st.data())
def test_a_damaged_byte_never_passes(line, n, data):
    original = numbered(n, line[0])
    at = data.draw(st.integers(0, len(original) - 2))
    damaged = bytearray(original)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = bytes(damaged)
    if damaged[at] == 10:
        return
    c = Command()
    result = scan_line(damaged, len(damaged), c.record, n)
    # The one way to survive: white space or a zero in front of the checksum's digits is no damage of the command
    if result == NEXT:
        assert damaged[: original.rindex(b"*")] == original[: original.rindex(b"*")]
    else:
        assert result == OTHER or not damaged.startswith((b"N", b"n"))
        if result == PLAIN:
            # Without its N and without a star it is another line; that is what line numbers of later lines are for
            assert b"*" not in damaged or b";" in damaged


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data):
    c, result = scan(data)
    assert (c.error is None) == (result <= EMPTY)
    assert isinstance(c.text, bytes)
    c.shown()
    for letter in "GXYN":
        c.has(letter), c.valued(letter), c.int(letter), c.scaled(letter, 5), c.show(letter)


@given(st.binary(max_size=40).filter(lambda d: b"*" not in d), st.integers(0, 99))
def test_the_sum_is_taken_over_raw_bytes(body, n):
    data = b"N%d " % n + body.replace(b"\n", b" ")
    c = Command()
    c.scan(data + b"*%d\n" % checksum(data))
    assert c.record[command._SUM] == c.record[command._XOR] == checksum(data)


@pytest.mark.parametrize("text", ["N G1", "N- G1", "N1.5 G1", "N99999999999 G1", "NaN", "N1-2 G1", "N5", "N 5 ;c"])
def test_damaged_line_numbers_fit_no_line(text):
    data = text.encode()
    data += b"*%d\n" % checksum(data)
    c = Command()
    assert scan_line(data, len(data), c.record, NO_NUMBER) in (OTHER, NEXT)
    for expected in (0, 1, 5, 15, -5):
        if not (c.empty() and expected == 5):
            assert scan_line(data, len(data), c.record, expected) == OTHER
    assert c.line_number() in (NO_NUMBER, 5)


def test_a_record_is_used_over_and_over():
    rng = random.Random(1)
    lines = [b"G1 X1 Y2 E3 F4\n", b"M117 hello\n", b"\n", b"G28 X\n", b"Tx\n", b"N1 G1 X5*99\n", b"G1 X--\n", b"M0 x\n",
             b"; M112\n", b"(\n", b"G92.1\n"]
    fresh = {}
    for line in lines:
        c, result = scan(line)
        fresh[line] = (result, c.text, values(c), c.line_number(), c.error, list(c.record[61:67]))
    c = Command()
    for _ in range(300):
        line = rng.choice(lines)
        result = c.scan(line)
        seen = (result, c.text, values(c), c.line_number(), c.error, list(c.record[61:67]))
        if fresh[line][0] != EMPTY:
            assert seen == fresh[line]
        else:
            assert seen[:5] == fresh[line][:5]


def test_other_modules_know_the_layout():
    for name in ("KEY", "LETTER", "NUMBER", "NUMBERED", "LINE", "STAR", "SUM", "XOR", "TEXT", "COMMENT", "RESULT"):
        assert getattr(link, "_" + name) == getattr(command, "_" + name)
    for name in ("MASK", "VALUED", "MANTISSA", "DECIMALS"):
        assert getattr(frame, "_C_" + name) == getattr(command, "_" + name)
