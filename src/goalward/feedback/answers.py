"""Finding the answer in a text: pure functions, exact numbers, no floats."""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

_MARKER = re.compile(r"####|(?-i:\bA:)|\banswer\s+is\b:?|\banswer:", re.IGNORECASE)

# One number as people write it: "-$1,234.50", "1/2", "2 1/2", "1.5e3", ".5". The possessive quantifiers (++)
# keep the engine from giving back digits to get around a look-ahead. Not numbers: digits inside a word or an
# exponent (m2, m^2), times and ratios (2:10), broken decimals (2. 67), and the sign in "80-45". At most 400 thousands
# groups, so that a megabyte of "123,123," takes no more time than any other megabyte.
_NUMBER = re.compile(
    r"""
    (?<![\w.^]) (?<!\d:)
    (?P<sign>-)? (?:[$€£¥₹]\s?)? (?P<late_sign>-)?
    (?: (?P<mixed>\d++)\ (?=\d+/\d) )?
    (?: (?P<whole>\d{1,3}(?:,\d{3}){1,400}+(?!\d)|\d++) (?P<decimals>\.\d++)? | (?P<bare_decimals>\.\d++) )
    (?!:\d) (?!\.\ \d)
    (?: e(?P<exponent>[+-]?\d{1,3})(?!\w) )?
    (?: \s?/\s?(?P<denominator>\d++)(?![\w:]) )?
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_LONGEST = 1000  # characters in one number; Python refuses to read integers beyond a few thousand digits

_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\([$%#&])"), r"\1"),
    (re.compile(r"\{,\}|,\\!"), ","),
    (re.compile(r"\\[,!;: ]"), ""),
    (re.compile("[−–]"), "-"),
)


def tagged_answer(text: str) -> str | None:
    """The text between the last `<answer>` and the next `</answer>`, stripped; None where there is none.

    This is the essay's rule. (Its code also takes what follows an `<answer>` that is never closed, and a
    text without any tag as a whole; on its published answers that makes no difference.)
    """
    _, opening, rest = text.rpartition("<answer>")
    answer, closing, _ = rest.partition("</answer>")
    return answer.strip() if opening and closing else None


def final_answer(text: str) -> str | None:
    """What a vote counts: the text in the answer tag, else the number that the text ends on, else nothing."""
    tagged = tagged_answer(text)
    if tagged is not None:
        return tagged
    number = final_number(text)
    return None if number is None else str(number)


def boxed_answer(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds, inner braces balanced; None where there is none."""
    _, opening, rest = text.rpartition("\\boxed{")
    if not opening:
        return None
    depth = 1
    for position, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[:position].strip()
    return None


def final_number(text: str) -> Fraction | None:
    r"""The number that `text` gives as its answer, exactly; None where it gives none.

    Looked for in the answer tag; without a tag in `\boxed{}`; without a box in the line after the last "####",
    "A:", "answer:" or "the answer is"; without any of these it is the last number in the text. A tag or a box
    without a number is an answer without a number: nothing else is looked at.

    Where several numbers stand in the answer, what follows the last "=" counts, and there the first number
    ("240 + 70 = 310 ounces in 2 jars" is 310). Thousands commas, currency signs, trailing zeros, units behind
    the number and full stops do not matter; a percent sign is read as a unit, so "50%" is 50.
    """
    for place in (tagged_answer(text), boxed_answer(text)):
        if place is not None:
            return _first_number(place)
    *_, marker = (None, *_MARKER.finditer(text))
    if marker is not None:
        line, _, _ = text[marker.end() :].lstrip().partition("\n")
        number = _first_number(line)
        if number is not None:
            return number
    return _earliest(reversed(list(_matches(text))))


def _first_number(text: str) -> Fraction | None:
    for side in reversed(text.split("=")):
        number = _earliest(_matches(side))
        if number is not None:
            return number
    return None


def _matches(text: str) -> Iterator[re.Match[str]]:
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    return _NUMBER.finditer(text)


def _earliest(matches: Iterable[re.Match[str]]) -> Fraction | None:
    values = (_value(match) for match in matches)
    return next((value for value in values if value is not None), None)


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match.group()) > _LONGEST:
        return None
    digits = (match["whole"] or "0").replace(",", "") + (match["decimals"] or match["bare_decimals"] or "")
    value = Fraction(digits) * Fraction(10) ** int(match["exponent"] or 0)
    if match["denominator"]:
        if not int(match["denominator"]):
            return None
        value /= int(match["denominator"])
    value += int(match["mixed"] or 0)
    return -value if match["sign"] or match["late_sign"] else value
