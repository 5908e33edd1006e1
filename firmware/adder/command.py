"""One parsed line: scanned once by viper code into a preallocated record, without a single float.

The grammar is that of the RepRap wiki: a code word, then fields of a letter and a number; white space
means nothing, `;` begins a comment, `(...)` is one, lower case is upper case. A number is a sign,
digits, a point, digits; exponents do not exist. In front there may be `N` and the line's number,
at the end `*` and the XOR of all bytes before it: both are taken up in the same pass, and it is
for the link to judge them.
"""

from array import array

import micropython
from micropython import const

from adder.errors import Refused

# Fields of a record; adder/frame.py and adder/link.py read the same layout
_LETTER = const(0)
_NUMBER = const(1)  # -1: none
_SUB = const(2)
_MASK = const(3)  # letters that are there
_VALUED = const(4)  # letters that have a number
_LINE = const(5)  # number behind N, NO_NUMBER if that is damaged
_NUMBERED = const(6)  # 1: the line begins with N
_TEXT = const(7)  # where the text of a text command begins, 0: none
_BAD = const(8)  # where the scan failed
_MANTISSA = const(9)  # 26 letters
_DECIMALS = const(35)  # 26 letters
_KEY = const(61)  # letter << 20 | number << 4 | sub
_STAR = const(62)  # where the last star is, or NONE
_SUM = const(63)  # number behind it, NONE if there is none or it is damaged
_XOR = const(64)  # of the bytes before it
_COMMENT = const(65)  # where the comment begins, or NONE
_RESULT = const(66)
RECORD = 67
KEY = 61

# Above all that is possible, and not below zero: where ints have 64 bits, viper reads a -1 out of an array as 2**32 - 1
NO_NUMBER = const(0x3FFFFFFF)
NONE = const(0x7FFF)

# Results of a scan
OK = const(0)
EMPTY = const(1)
_BAD_CHARACTER = const(2)
_BAD_NUMBER = const(3)
_TOO_LARGE = const(4)
_TWICE = const(5)
_TWO_COMMANDS = const(6)
_NO_CODE = const(7)
_BINARY = const(8)

# What `scan_line` returns: lines that need no second look, and all others
NEXT = const(0)  # numbered as expected, checksum right
PLAIN = const(1)  # neither number nor checksum
OTHER = const(2)

# Keys of commands that have no handler
REFUSED = -1
DONE = -2

_NUMBER_MAX = const(65534)
_LARGEST = const(0x3FFFFFFF)
_SHOWN = const(60)


@micropython.viper
def scan_line(line: ptr8, length: int, rec: ptr32, expected: int) -> int:
    """Fill the record `rec` from a line: NEXT, PLAIN or OTHER; `expected` is the number that NEXT must have."""
    # N with its number, and the code word; `_fields` and `_finish` do the rest
    rec[_KEY] = 0
    rec[_LETTER] = 0
    rec[_NUMBERED] = 0
    rec[_TEXT] = 0
    rec[_COMMENT] = NONE
    rec[_RESULT] = EMPTY
    rec[_MASK] = 0
    rec[_VALUED] = 0
    xor = 0
    i = 0
    while i < length:
        c = line[i]
        letter = c & 0xDF
        if letter < 65 or letter > 90:
            if c == 40:  # ( up to )
                end = i
                while end < length and line[end] != 41:
                    end += 1
                if end < length:
                    while i < end:
                        xor ^= line[i]
                        i += 1
                    c = 32
            if c == 32 or c == 10 or c == 13 or c == 9:
                xor ^= line[i]
                i += 1
                continue
            if c == 59 or c == 40:
                rec[_COMMENT] = i
            elif c != 42:
                rec[_BAD] = i
                rec[_RESULT] = _BAD_CHARACTER
            break
        rec[_BAD] = i
        xor ^= c
        i += 1
        value = 0
        digits = 0
        sign = 0
        c = 0
        while i < length:
            c = line[i]
            d = c - 48
            if d >= 0 and d <= 9:
                if value > 99999999:
                    break
                digits += 1
                value = value * 10 + d
            elif c == 32:
                if digits > 0 or sign != 0:
                    break
            elif (c == 45 or c == 43) and digits == 0 and sign == 0:
                sign = c
            else:
                break
            xor ^= c
            i += 1
        if sign == 45:
            value = 0 - value
        if letter == 78 and rec[_NUMBERED] == 0:
            rec[_NUMBERED] = 1
            rec[_RESULT] = _NO_CODE
            # A damaged number fits no line
            if digits == 0 or (c > 42 and c < 58):
                value = NO_NUMBER
            rec[_LINE] = value
            continue
        rec[_LETTER] = letter
        rec[_NUMBER] = value
        rec[_RESULT] = OK
        if digits == 0:
            rec[_NUMBER] = -1
            if sign != 0:
                rec[_RESULT] = _BAD_NUMBER
        elif value > _NUMBER_MAX or value < 0 - _NUMBER_MAX:
            rec[_RESULT] = _TOO_LARGE
        elif letter == 77 and (value == 117 or value == 118 or value == 98 or (value >= 0 and value < 2)):
            rec[_TEXT] = i
        if letter == 84 and digits == 0:
            rec[_TEXT] = i
        return int(_fields(line, length, rec, i, xor, expected))
    return int(_finish(line, length, rec, i, xor, expected))


@micropython.viper
def _fields(line: ptr8, length: int, rec: ptr32, i: int, xor: int, expected: int) -> int:
    # Everything behind the code word, up to a comment, the checksum, or what is no field
    whole = length
    sub = 0
    if i + 1 < length and line[i] == 46:
        # G92.1: a digit behind the point is a sub-code
        c = line[i + 1] - 48
        if c >= 0 and c <= 9:
            sub = c
            xor ^= 46 ^ line[i + 1]
            i += 2
    rec[_SUB] = sub
    rec[_KEY] = (rec[_LETTER] << 20) | ((rec[_NUMBER] & 0xFFFF) << 4) | sub
    mask = 0
    valued = 0
    result = rec[_RESULT]
    if rec[_TEXT] > 0 and (rec[_LETTER] == 84 or rec[_NUMBER] > 1):
        length = i  # no fields
    while i < length and result == 0:
        c = line[i]
        letter = c & 0xDF
        if letter < 65 or letter > 90:
            if c == 32 or c == 10 or c == 13 or c == 9:
                xor ^= c
                i += 1
                continue
            if c == 40:  # ( up to )
                d = i
                while d < length and line[d] != 41:
                    d += 1
                if d < length:
                    while i <= d:
                        xor ^= line[i]
                        i += 1
                    continue
            if c == 59 or c == 40:  # ;
                rec[_COMMENT] = i
            elif c != 42:  # *
                rec[_BAD] = i
                result = _BAD_CHARACTER
            break
        start = i
        xor ^= c
        i += 1
        value = 0
        digits = 0
        sign = 0
        decimals = -1
        while i < length:
            c = line[i]
            d = c - 48
            if d >= 0 and d <= 9:
                digits += 1
                if value < 214748364 and decimals < 9:
                    value = value * 10 + d
                    if decimals >= 0:
                        decimals += 1
                elif decimals < 0:
                    result = _TOO_LARGE
                # behind the point, digits for which there is no room do not matter
            elif c == 46 and decimals < 0:  # .
                decimals = 0
            elif c == 32:
                if digits > 0 or sign != 0 or decimals >= 0:
                    break
            elif (c == 45 or c == 43) and digits == 0 and sign == 0 and decimals < 0:
                sign = c
            else:
                # X1e9 is no number: a small e right behind the digits of a capital letter was meant as one
                if (c > 42 and c < 47) or (c == 101 and digits > 0 and line[start] < 97):
                    result = _BAD_NUMBER
                break
            xor ^= c
            i += 1
        if digits == 0 and (sign != 0 or decimals >= 0):
            result = _BAD_NUMBER
        if sign == 45:
            value = 0 - value
        d = letter - 65
        c = 1 << d
        if mask & c:
            result = _TWICE
        if letter == 71 or letter == 77:
            result = _TWO_COMMANDS
        mask |= c
        if digits > 0:
            valued |= c
            rec[_MANTISSA + d] = value
            if decimals < 0:
                decimals = 0
            rec[_DECIMALS + d] = decimals
        if result != 0:
            rec[_BAD] = start
            break
    rec[_MASK] = mask
    rec[_VALUED] = valued
    rec[_RESULT] = result
    return int(_finish(line, whole, rec, i, xor, expected))


@micropython.viper
def _finish(line: ptr8, length: int, rec: ptr32, i: int, xor: int, expected: int) -> int:
    # What is left of a line behind its fields, from `i` on: text, comment, damage, checksum. The last star counts.
    star = -1
    text = rec[_TEXT]
    at_star = 0
    first = i
    while i < length:
        c = line[i]
        if c == 42:
            star = i
            at_star = xor
        elif c < 32:
            if c != 10 and c != 13 and c != 9 and rec[_COMMENT] == NONE:
                rec[_RESULT] = _BINARY
        elif c == 59 and rec[_COMMENT] == NONE:
            rec[_COMMENT] = i
        xor ^= c
        i += 1
    total = -1
    i = star + 1
    if star >= 0 and i < length:
        c = line[i]
        while c >= 48 and c <= 57 and total < 1000:
            if total < 0:
                total = 0
            total = total * 10 + c - 48
            i += 1
            c = 0
            if i < length:
                c = line[i]
        while i < length:
            if line[i] > 32:
                total = -1
            i += 1
        if star > first and line[first] == 42 and text == 0:
            total = -1  # lines whose ends were lost, run into one: their sums may cancel each other
    rec[_STAR] = star if star >= 0 else NONE
    rec[_SUM] = total if total >= 0 else NONE
    rec[_XOR] = at_star
    if text > 0 and rec[_RESULT] != _BINARY and (rec[_LETTER] != 77 or rec[_NUMBER] < 2):
        rec[_RESULT] = 0  # M0 and M1: what does not read as fields is their text
    if rec[_RESULT] != 0 or line[length - 1] != 10:
        return OTHER
    if rec[_LETTER] == 77:
        i = rec[_NUMBER]
        if i == 112 or i == 110 or i == 108 or i == 124 or i == 410:
            return OTHER
    if rec[_NUMBERED] != 0:
        if total == at_star and rec[_LINE] == expected:
            return NEXT
        return OTHER
    if star >= 0:
        return OTHER
    return PLAIN


def _entry(index):
    # An entry of the record, by name
    def get(self):
        return self.record[index]

    return property(get)


class Command:
    """A record, filled by `scan`; the same object is used over and over."""

    letter = _entry(0)  # ord of the code's letter
    number = _entry(1)  # of the code; -1: none
    sub = _entry(2)  # G92.1: 1
    mask = _entry(3)  # bit n: letter 65 + n is there
    valued_mask = _entry(4)  # bit n: it has a number

    def __init__(self):
        self.record = array("i", [0] * RECORD)
        self.line = b""
        self.error = None  # text of a refusal that waits for its turn, if the key says REFUSED

    def scan(self, line, length=None):
        """Fill from the first `length` bytes of `line`; OK, EMPTY, or another number when `error` says why not.

        Number and checksum are taken in, not judged. Nothing of a refused line is executed.
        """
        scan_line(line, len(line) if length is None else length, self.record, 0)
        self.line = line
        result = self.record[_RESULT]
        self.error = None
        if result > EMPTY:
            self.refuse(self.explain())
        return result

    def refuse(self, text):
        """Let the dispatcher answer with `text` when it is this command's turn."""
        self.error = text
        self.record[_KEY] = REFUSED

    def finish(self):
        """All is done already: the dispatcher only acknowledges."""
        self.record[_KEY] = DONE

    @property
    def text(self):
        """What stands behind M117, M118, M0, M1 or a bare T, without white space around it; else b""."""
        record = self.record
        start = record[_TEXT]
        if not start:
            return b""
        end = record[_COMMENT]
        if record[_SUM] != NONE and record[_STAR] < end:
            end = record[_STAR]
        return bytes(self.line[start:end]).strip()

    def empty(self):
        """There is no command: a number, a checksum, perhaps a comment."""
        return self.record[_RESULT] in (EMPTY, _NO_CODE)

    def line_number(self):
        """Number of the N field, None if there is none."""
        record = self.record
        return record[_LINE] if record[_NUMBERED] else None

    def has(self, letter):
        """The letter is there, with or without a number."""
        return bool(self.record[_MASK] >> (ord(letter) - 65) & 1)

    def valued(self, letter):
        """The letter is there with a number."""
        return bool(self.record[_VALUED] >> (ord(letter) - 65) & 1)

    def int(self, letter, default=None):
        """Integer part of the letter's number, towards zero."""
        record = self.record
        i = ord(letter) - 65
        if not record[_VALUED] >> i & 1:
            return default
        value = record[_MANTISSA + i]
        scale = 10 ** record[_DECIMALS + i]
        return value // scale if value >= 0 else -(-value // scale)

    def scaled(self, letter, decimals, default=None):
        """The letter's number times 10**decimals, rounded half away from zero."""
        record = self.record
        i = ord(letter) - 65
        if not record[_VALUED] >> i & 1:
            return default
        value = record[_MANTISSA + i]
        shift = decimals - record[_DECIMALS + i]
        if shift >= 0:
            return value * 10**shift
        scale = 10**-shift
        return (value + scale // 2) // scale if value >= 0 else -((scale // 2 - value) // scale)

    def length(self, letter, inch=False):
        """The letter's number as a length in 10 nm, rounded half away from zero (moves: adder/frame.py).

        Refused above 10.7 m, but for E: filament adds up to more in a long print.
        """
        value = self.scaled(letter, 9 if inch else 5)
        if inch:
            value = (abs(value) * 127 + 25_000) // 50_000 * (-1 if value < 0 else 1)
        if letter != "E" and not -_LARGEST <= value <= _LARGEST:
            raise Refused("%s%s is too long, should be within 10 m" % (letter, self.show(letter)))
        return value

    def show(self, letter):
        """The letter's number as the host wrote it, for messages."""
        record = self.record
        i = ord(letter) - 65
        if not record[_VALUED] >> i & 1:
            return ""
        value = record[_MANTISSA + i]
        decimals = record[_DECIMALS + i]
        sign = "-" if value < 0 else ""
        text = "%d" % abs(value)
        if not decimals:
            return sign + text
        text = "0" * (decimals + 1 - len(text)) + text
        return sign + text[:-decimals] + "." + text[-decimals:]

    def shown(self):
        """The command as the host wrote it, without number, checksum and comment, at most 60 characters."""
        text = printable(self.line).split(";")[0]
        if self.record[_NUMBERED]:
            text = text[: text.rfind("*")].strip(" ?")[1:].lstrip("+-0123456789 ")
        return text.strip(" ?")[:_SHOWN]

    def explain(self):
        """Why the line was refused: what is wrong with it, and what would be right."""
        line = self.line
        result = self.record[_RESULT]
        if result == _NO_CODE:
            return "line number without a command"
        at = self.record[_BAD]
        if result == _BINARY or (result == _BAD_CHARACTER and not 32 <= line[at] < 127):
            return "unprintable bytes in the line, text is right"
        end = at + 1
        while end < len(line) and end < at + 16 and line[end] > 32 and end != self.record[_STAR]:
            end += 1
        piece = printable(line[at:end])
        if self.record[_LETTER] not in (71, 77, 84):  # G M T
            return 'Unknown command: "%s"' % self.shown()
        if result == _BAD_CHARACTER:
            return 'unexpected "%s": fields are a letter and a number' % piece
        if result == _BAD_NUMBER:
            return 'bad number in "%s": digits with at most one sign and one point are right' % piece
        if result == _TOO_LARGE:
            return 'number too large in "%s": at most 65534 in a code and 2147483639 elsewhere' % piece
        if result == _TWO_COMMANDS:
            return 'second command in "%s": one in a line is right' % piece
        return 'letter twice in "%s": once is right' % piece


def printable(data):
    """Bytes as text, with `?` for what is not printable ASCII."""
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in data])
