"""Java's regular expressions in Python.

The rules in a directory are written for `java.util.regex`. Constructs with the same meaning in Python are kept, those
with another spelling are translated, and all others are refused by name: no expression may silently match other values
than in dcm4chee. Classes such as ``\\d`` and ``\\w`` and ignoring case are ASCII, as in Java.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import regex

from dcm4py_leading.model.bounds import REGULAR_EXPRESSION_CHARACTERS

_LINE_TERMINATORS = r"\n\r\x85\u2028\u2029"
_CLASSES = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "0-9a-zA-Z",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
    "h": r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
    "v": r"\n\x0b\f\r\x85\u2028\u2029",
}
_SAME_ESCAPES = frozenset("tnrfadDsSwW")


def compile_java_regex(pattern: str) -> regex.Pattern[str]:
    """Compile for `Pattern.fullmatch`, which takes a timeout: the library regex, as re has none.

    Raises ValueError with the error, or the construct that Python does not have.
    """
    if len(pattern) > REGULAR_EXPRESSION_CHARACTERS:
        raise ValueError(f"regular expression longer than {REGULAR_EXPRESSION_CHARACTERS} characters")
    translated = "".join(_Translation(pattern))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # Python's own plans for nested classes
        try:
            re.compile(translated, re.ASCII)  # stricter: refuses what regex has and Java has not
            return regex.compile(translated, regex.V0 | regex.ASCII)
        except (re.error, regex.error, FutureWarning, OverflowError, RecursionError) as err:
            raise ValueError(f"bad regular expression: {err}") from err


class _Translation:
    """One pass over a pattern, yielding Python's spelling piece by piece."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._dot = f"[^{_LINE_TERMINATORS}]"

    def __iter__(self) -> Iterator[str]:
        if leading := re.match(r"\(\?([a-zA-Z]+)\)", self._text):
            yield self._flags(leading[1])
            self._at = leading.end()
        while self._at < len(self._text):
            yield self._piece()

    def _flags(self, flags: str) -> str:
        if unsupported := set(flags) - set("ims"):
            raise ValueError(f"unsupported flag (?{min(unsupported)}) in the regular expression")
        if "m" in flags:
            raise ValueError("unsupported flag (?m) in the regular expression")
        if "s" in flags:
            self._dot = r"[\s\S]"
        return "(?i)" if "i" in flags else ""

    def _rest(self) -> str:
        return self._text[self._at :]

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _piece(self) -> str:
        if self._take("\\"):
            return self._escape(in_class=False)
        if self._take("["):
            return self._class()
        if self._take("("):
            return self._group()
        if self._take("."):
            return self._dot
        if self._take("$"):
            return rf"(?=(?:\r\n|[{_LINE_TERMINATORS}])?\Z)"
        if self._text[self._at] == "{":
            quantifier = re.match(r"\{\d+(,\d*)?\}", self._rest())
            if quantifier is None:
                raise ValueError("'{' in the regular expression begins no quantifier such as {2,3}")
            self._at += quantifier.end()
            return quantifier[0]
        self._at += 1
        return self._text[self._at - 1]

    def _group(self) -> str:
        if not self._take("?"):
            return "("
        if self._take("<"):
            if self._text[self._at : self._at + 1] in ("=", "!"):
                return "(?<"
            return "(?P<"
        for same in (":", "=", "!", ">"):
            if self._take(same):
                return f"(?{same}"
        if self._take("i:"):
            return "(?i:"
        raise ValueError(f"unsupported construct '(?{self._rest()[:2]}' in the regular expression")

    def _escape(self, *, in_class: bool) -> str:
        if self._take("Q"):
            quoted, _, _ = self._rest().partition("\\E")
            self._at = min(self._at + len(quoted) + 2, len(self._text))
            return re.escape(quoted)
        if self._at == len(self._text):
            raise ValueError("regular expression ends with a single backslash")
        char = self._text[self._at]
        self._at += 1
        if not char.isascii() or not char.isalnum():
            return re.escape(char)
        if char in _SAME_ESCAPES:
            return "\\" + char
        if char in "pP":
            return self._property(negated=char == "P", in_class=in_class)
        if char in "hv":
            return _CLASSES[char] if in_class else f"[{_CLASSES[char]}]"
        if char == "e":
            return r"\x1b"
        if char in "xu":
            return self._code_point(char)
        if not in_class:
            if char in "HV":
                return f"[^{_CLASSES[char.lower()]}]"
            if char == "R":
                return rf"(?:\r\n|[{_CLASSES['v']}])"
            if char in "AbB":
                return "\\" + char
            if char == "z":
                return r"\Z"
            if char == "Z":
                return rf"(?=(?:\r\n|[{_LINE_TERMINATORS}])?\Z)"
            if char in "123456789" and not self._rest()[:1].isdigit():
                return "\\" + char
            if char == "k" and (name := re.match(r"<([a-zA-Z][a-zA-Z0-9]*)>", self._rest())):
                self._at += name.end()
                return f"(?P={name[1]})"
        raise ValueError(f"unsupported construct '\\{char}' in the regular expression")

    def _property(self, *, negated: bool, in_class: bool) -> str:
        name = re.match(r"\{(\w+)\}|\w", self._rest(), re.ASCII)
        if name is None or name[1] not in _CLASSES or (negated and in_class):
            shown = name[0] if name else ""
            raise ValueError(f"unsupported construct '\\{'P' if negated else 'p'}{shown}' in the regular expression")
        self._at += name.end()
        if in_class:
            return _CLASSES[name[1]]
        return f"[{'^' * negated}{_CLASSES[name[1]]}]"

    def _code_point(self, kind: str) -> str:
        form = r"[0-9a-fA-F]{2}|\{[0-9a-fA-F]{1,6}\}" if kind == "x" else r"[0-9a-fA-F]{4}"
        digits = re.match(form, self._rest())
        if digits is None or (code := int(digits[0].strip("{}"), 16)) > 0x10FFFF:
            raise ValueError(f"unsupported construct '\\{kind}' in the regular expression")
        self._at += digits.end()
        return re.escape(chr(code))

    def _class(self) -> str:
        out = "[^" if self._take("^") else "["
        first = True
        while self._at < len(self._text):
            if self._take("]"):
                if not first:
                    return out + "]"
                out += r"\]"
            elif self._take("["):
                raise ValueError("unsupported construct '[' inside a class of the regular expression")
            elif self._take("&&"):
                raise ValueError("unsupported construct '&&' in a class of the regular expression")
            elif self._take("\\"):
                out += self._escape(in_class=True)
            else:
                char = self._text[self._at]
                self._at += 1
                out += "\\" + char if char in "&|~^" else char
            first = False
        raise ValueError("bad regular expression: a class is not closed")
