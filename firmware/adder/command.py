"""One parsed line: scanned once by viper code into a preallocated record, without a single float.

The grammar is that of the RepRap wiki: a code word, then fields of a letter and a number; white space means nothing, `;` begins
a comment, `(...)` is one, lower case is upper case. A number is a sign, digits, a point, digits; exponents do not exist.
"""

from array import array

from micropython import const
import micropython

from adder.errors import Refused

# Fields of a record
_LETTER = const(0)
_NUMBER = const(1)
_SUB = const(2)
_MASK = const(3)  # letters that are there
_VALUED = const(4)  # letters that have a number
_LINE = const(5)  # number of N, if _HAS_LINE
_HAS_LINE = const(6)
_TEXT = const(7)  # where the text of a text command begins, -1: none
_BAD = const(8)  # where the scan failed
_MANTISSA = const(9)  # 26 letters
_DECIMALS = const(35)  # 26 letters
RECORD = 61

# Results of a scan
OK = const(0)
EMPTY = const(1)
_BAD_CHARACTER = const(2)
_BAD_NUMBER = const(3)
_TOO_LARGE = const(4)
_TWICE = const(5)
_NO_CODE = const(6)

_LARGEST = const(0x3FFFFFFF)


@micropython.viper
def _scan(line: ptr8, length: int, out: ptr32) -> int:
    # length: up to the checksum, or the whole line
    i = 0
    while i < 9:
        out[i] = 0
        i += 1
    out[_TEXT] = -1
    stage = 0  # 0: N or the code word, 1: the code word, 2: fields
    i = 0
    while i < length:
        c = line[i]
        if c <= 32:
            i += 1
            continue
        if c == 59:  # ;
            break
        if c == 40:  # (
            while i < length and line[i] != 41:
                i += 1
            i += 1
            continue
        start = i
        lower = 0
        if c >= 97 and c <= 122:
            c -= 32
            lower = 1
        if c < 65 or c > 90:
            out[_BAD] = i
            return _BAD_CHARACTER
        i += 1
        while i < length and line[i] == 32:
            i += 1
        # The number behind the letter
        sign = 1
        if i < length:
            d = line[i]
            if d == 45 or d == 43:  # - +
                if d == 45:
                    sign = -1
                i += 1
        digits = i
        value = 0
        point = -1
        while i < length:
            d = line[i]
            if d >= 48 and d <= 57:
                if value > 107374181:
                    # No room for another digit; behind the point it does not matter
                    if point < 0:
                        out[_BAD] = start
                        return _TOO_LARGE
                    if stage == 2:
                        point += 1
                else:
                    value = value * 10 + d - 48
            elif d == 46 and point < 0 and (stage == 2 or c != 78):  # .
                point = i
            else:
                break
            i += 1
        count = i - digits
        decimals = 0
        if point >= 0:
            count -= 1
            decimals = i - 1 - point
        if count < 1 and (i > digits or sign < 0 or (digits > 0 and line[digits - 1] == 43)):
            out[_BAD] = start
            return _BAD_NUMBER
        if count > 0 and i < length:
            # X1e9 is no number; a small e right behind digits of a capital letter was meant as one
            d = line[i]
            if d == 46 or (d == 101 and lower == 0):
                out[_BAD] = start
                return _BAD_NUMBER
        if sign < 0:
            value = 0 - value
        if stage == 0 and c == 78:
            if count < 1:
                out[_BAD] = start
                return _BAD_NUMBER
            out[_LINE] = value
            out[_HAS_LINE] = 1
            stage = 1
        elif stage < 2:
            out[_LETTER] = c
            if decimals > 0:
                # G92.1: one digit behind the point is a sub-code
                out[_SUB] = value % 10
                value = value // 10
                if decimals > 1 or sign < 0:
                    out[_BAD] = start
                    return _BAD_NUMBER
            out[_NUMBER] = value
            if count < 1:
                out[_NUMBER] = -1
            stage = 2
            if (c == 77 and (value < 2 or value == 117 or value == 118) and count > 0) or (c == 84 and count < 1):
                while i < length and line[i] == 32:
                    i += 1
                out[_TEXT] = i
                if c == 84 or value > 1:
                    return OK
        else:
            d = c - 65
            bit = 1 << d
            if out[_MASK] & bit:
                out[_BAD] = start
                return _TWICE
            out[_MASK] = out[_MASK] | bit
            if count > 0:
                out[_VALUED] = out[_VALUED] | bit
                out[_MANTISSA + d] = value
                out[_DECIMALS + d] = decimals
    if stage < 2:
        if stage == 1:
            return _NO_CODE
        return EMPTY
    return OK


_POW10 = (1, 10, 100, 1000, 10000, 100000)


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
        self.text = b""
        self.line = b""
        self.error = None  # text of a refusal that waits for its turn
        self.done = False  # acted on arrival: only to be acknowledged

    def scan(self, line, length):
        """Fill from the first `length` bytes of `line`; returns OK, EMPTY, or another number when `error` says why not.

        Nothing of a refused line is executed.
        """
        result = _scan(line, length, self.record)
        self.line = line
        self.done = False
        if result != OK or self.record[7] >= 0 or self.text:
            return self._special(result, line, length)
        self.error = None
        return OK

    def _special(self, result, line, length):
        # A text command, an empty line, or one that is refused
        record = self.record
        self.text = b""
        self.error = None
        if record[7] >= 0:
            self.text = _text(line, record[7], length)
            if result > EMPTY and self.letter == 77 and self.number < 2:
                result = OK  # M0 and M1: what does not read as fields is their text
        if result > EMPTY:
            self.error = _explain(result, line, record[8], length)
        return result

    def line_number(self):
        """Number of the N field, None if there is none."""
        record = self.record
        return record[_LINE] if record[_HAS_LINE] else None

    def has(self, letter):
        """The letter is there, with or without a number."""
        return bool(self.mask >> (ord(letter) - 65) & 1)

    def valued(self, letter):
        """The letter is there with a number."""
        return bool(self.valued_mask >> (ord(letter) - 65) & 1)

    def int(self, letter, default=None):
        """Integer part of the letter's number, towards zero."""
        i = ord(letter) - 65
        if not self.valued_mask >> i & 1:
            return default
        value = self.record[_MANTISSA + i]
        decimals = self.record[_DECIMALS + i]
        if decimals:
            return value // 10**decimals if value >= 0 else -(-value // 10**decimals)
        return value

    def scaled(self, letter, decimals, default=None):
        """The letter's number times 10**decimals, rounded half away from zero."""
        i = ord(letter) - 65
        if not self.valued_mask >> i & 1:
            return default
        value = self.record[_MANTISSA + i]
        shift = decimals - self.record[_DECIMALS + i]
        if shift >= 0:
            return value * 10**shift
        half = 10**-shift
        return (value + half // 2) // half if value >= 0 else -((half // 2 - value) // half)

    def length(self, letter, inch=False):
        """The letter's number as a length in 10 nm; Refused above 10.7 m."""
        i = ord(letter) - 65
        value = self.record[_MANTISSA + i]
        shift = 5 - self.record[_DECIMALS + i]
        if shift >= 0:
            value *= _POW10[shift]
        else:
            value = self.scaled(letter, 5)
        if inch:
            value = value * 127 // 5
        if value > _LARGEST or value < -_LARGEST:
            raise Refused("%s%s: lengths must stay within 10 m" % (letter, self.show(letter)))
        return value

    def show(self, letter):
        """The letter's number as the host wrote it, for messages."""
        i = ord(letter) - 65
        if not self.valued_mask >> i & 1:
            return ""
        value = self.record[_MANTISSA + i]
        decimals = self.record[_DECIMALS + i]
        sign = "-" if value < 0 else ""
        text = "%d" % abs(value)
        if not decimals:
            return sign + text
        text = "0" * (decimals + 1 - len(text)) + text
        return sign + text[:-decimals] + "." + text[-decimals:]


def _text(line, start, length):
    # Text of M117 and the like: up to a comment, without white space around it
    end = line.find(b";", start, length)
    return bytes(line[start : length if end < 0 else end]).strip()


def _explain(result, line, at, length):
    if result == _NO_CODE:
        return "line number without a command"
    end = at + 1
    while end < length and end < at + 16 and line[end] > 32:
        end += 1
    piece = "".join(chr(b) if 32 < b < 127 else "?" for b in bytes(line[at:end]))
    if result == _BAD_CHARACTER:
        return 'unexpected "%s": fields are a letter and a number' % piece
    if result == _BAD_NUMBER:
        return 'bad number in "%s": digits with at most one sign and one point are right' % piece
    if result == _TOO_LARGE:
        return 'number too large in "%s": at most 1073741823' % piece
    return 'letter twice in "%s": once is right' % piece
