from fractions import Fraction

import pytest

from goalward.feedback.answers import boxed_answer, final_number, tagged_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<reasoning>r</reasoning>\n<answer>18</answer>", "18"),
        ("<answer> 18\n</answer>", "18"),
        ("<answer>1</answer> no, <answer>2</answer>", "2"),
        ("<answer>1</answer></answer>", "1"),
        ("<answer>1<answer>2</answer></answer>", "2"),
        ("<answer></answer>", ""),
        ("<answer>18", None),
        ("<answer>17</answer> or <answer>18", None),
        ("18</answer>", None),
        ("18", None),
        ("", None),
    ],
)
def test_tagged_answer(text: str, answer: str | None) -> None:
    assert tagged_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1}, then \boxed{ 2 }", "2"),
        (r"\boxed{5", None),
        ("5", None),
    ],
)
def test_boxed_answer(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # how a number is written
        ("18", 18),
        ("18.00", 18),
        ("18.", 18),
        ("-3", -3),
        ("−3", -3),
        ("+3", 3),
        ("$1,234.50", Fraction(2469, 2)),
        ("-$5", -5),
        ("$-5", -5),
        ("€ 7", 7),
        ("1,234,567", 1234567),
        ("1234567", 1234567),
        (".5", Fraction(1, 2)),
        ("$.50", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        ("1/2", Fraction(1, 2)),
        ("-1/2", Fraction(-1, 2)),
        ("2 1/2", Fraction(5, 2)),
        ("47/3", Fraction(47, 3)),
        ("1e3", 1000),
        ("1.5e-3", Fraction(3, 2000)),
        ("50%", 50),
        (r"50\%", 50),
        (r"\$18", 18),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"1{,}234", 1234),
        ("007", 7),
        # what stands behind or before it
        ("18 dollars", 18),
        ("5 apples.", 5),
        ("16GB", 16),
        ("3rd", 3),
        ("12 m2", 12),
        ("12 m^2", 12),
        ("**18**", 18),
        ("$$18$$", 18),
        # what is no number
        ("", None),
        ("eighteen", None),
        ("Cannot be determined", None),
        ("2:10 PM", None),
        ("12:10", None),
        ("1/0", None),
        ("x2", None),
        ("9" * 5000, None),
        ("1e9999999", 1),
        # several numbers: behind the last "=", and there the first
        ("240 + 70 = 310 ounces in 2 jars", 310),
        ("(8 * 30) + (1 * 70) = 240 + 70 = 310 ounces", 310),
        ("5 = x", 5),
        ("7 dogs and 3 cats", 7),
        ("2. 67", 67),
    ],
)
def test_a_number_in_the_answer_tag(text: str, number: Fraction | int | None) -> None:
    assert final_number(f"<reasoning>It is 99 = 99.</reasoning>\n<answer>{text}</answer>") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"first 7, then \boxed{5} of 9", 5),
        (r"<answer>4</answer> \boxed{5}", 4),
        (r"<answer>none</answer> \boxed{5}", None),
        ("so 48+24 = 72\n#### 72", 72),
        ("#### 2,125\n", 2125),
        ("16 - 3 = 13\nA: 13", 13),
        ("The answer is 18.", 18),
        ("The final answer is: $18.00 in 3 days", 18),
        ("The answer is 18. There are 3 of them.\nBye, 7", 18),
        ("Answer: 42 (not 43)", 42),
        ("the answer is not known, but 3 is near", 3),
        ("the answer is\n\n**18**", 18),
        ("Q: 1+1? A: 2\nQ: 2+2? A: 4", 4),
        ("In USA: 5 people", 5),
        ("There are 3 boxes with 4 each, so 12 apples.", 12),
        ("25 - 15 = 10 pencils", 10),
        ("80-45", 45),
        ("nothing here", None),
    ],
)
def test_a_number_in_free_text(text: str, number: int | None) -> None:
    assert final_number(text) == number


def test_numbers_are_exact() -> None:
    assert final_number("0.1") + final_number("0.2") == final_number("0.3")  # type: ignore[operator]
    assert final_number("10000000000000000000001") != final_number("10000000000000000000000")
