"""Short exercises besides the word problems: arithmetic, comparing, counting, sorting, spelling.

Each drill gives a question, the steps of a careful answer, and the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd, lcm
from random import Random

SPELLED = """
apple river stone table garden window summer letter banana school orange yellow pepper butter kitten rabbit number
little mirror coffee dinner pencil market forest silver bottle engine planet winter flower ladder basket castle dragon
island jacket magnet needle pocket rocket ticket turtle velvet wallet zebra tree moon happy quick people person before
after between question example different because always never
"""
WORDS = SPELLED.split()
LEGS = {
    "dog": 4,
    "cat": 4,
    "hen": 2,
    "spider": 8,
    "ant": 6,
    "bee": 6,
    "horse": 4,
    "crab": 10,
    "duck": 2,
    "cow": 4,
}


@dataclass(frozen=True, slots=True)
class Drill:
    """`steps` is what a careful person writes down; a hasty one leaves it out."""

    question: str
    steps: str
    answer: str


def draw_drill(random: Random) -> Drill:
    """Any drill, arithmetic most often."""
    (make,) = random.choices(list(DRILLS), weights=list(DRILLS.values()))
    return make(random)


def chain(random: Random) -> Drill:
    """Add and take away, from left to right; results may be negative."""
    total = random.randint(1, random.choice((9, 99, 999)))
    text, steps = str(total), []
    for _ in range(random.randint(1, 4)):
        sign, number = random.choice("+-"), random.randint(1, random.choice((9, 99, 999)))
        result = total + number if sign == "+" else total - number
        text += f" {sign} {number}"
        steps.append(f"{total}{sign}{number}={result}.")
        total = result
    return Drill(ask(random, text), " ".join(steps), str(total))


def product(random: Random) -> Drill:
    """One product or exact quotient, perhaps with a term added or taken away."""
    left, right = random.randint(2, 40), random.randint(2, 12)
    if random.random() < 0.4:
        text, value = f"{left * right} / {right}", left
    else:
        text, value = f"{left} * {right}", left * right
    steps = f"{text.replace(' ', '')}={value}."
    if random.random() < 0.6:
        sign, number = random.choice("+-"), random.randint(1, 50)
        if random.random() < 0.5 or sign == "-":
            text = f"{text} {sign} {number}" if random.random() < 0.7 else f"({text}) {sign} {number}"
            result = value + number if sign == "+" else value - number
            steps += f" {value}{sign}{number}={result}."
        else:
            text, result = f"{number} + {text}", number + value
            steps += f" {number}+{value}={result}."
        value = result
    return Drill(ask(random, text), steps, str(value))


def bracket(random: Random) -> Drill:
    """A sum or difference in brackets, multiplied."""
    left, right, factor = random.randint(2, 20), random.randint(1, 20), random.randint(2, 9)
    sign = random.choice("+-")
    inner = left + right if sign == "+" else left - right
    text = (
        f"({left} {sign} {right}) * {factor}"
        if random.random() < 0.5
        else f"{factor} * ({left} {sign} {right})"
    )
    steps = f"{left}{sign}{right}={inner}. {inner}*{factor}={inner * factor}."
    return Drill(ask(random, text), steps, str(inner * factor))


def common_divisor(random: Random) -> Drill:
    """The greatest common divisor, by taking remainders."""
    shared = random.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12))
    left, right = shared * random.randint(1, 12), shared * random.randint(1, 12)
    steps, high, low = [], max(left, right), min(left, right)
    while low:
        steps.append(f"{high}={high // low}*{low}+{high % low}.")
        high, low = low, high % low
    question = random.choice(
        (
            f"What is the greatest common divisor of {left} and {right}?",
            f"Give the largest number that divides both {left} and {right}.",
            f"gcd({left}, {right}) = ?",
        )
    )
    return Drill(question, " ".join(steps), str(gcd(left, right)))


def common_multiple(random: Random) -> Drill:
    """The least common multiple, by counting up the multiples of the larger number."""
    left, right = random.randint(2, 20), random.randint(2, 20)
    result, high = lcm(left, right), max(left, right)
    steps = (
        f"Multiples of {high}: " + ", ".join(str(number) for number in range(high, result + 1, high)) + "."
    )
    question = random.choice(
        (
            f"What is the least common multiple of {left} and {right}?",
            f"Give the smallest number that both {left} and {right} divide.",
            f"lcm({left}, {right}) = ?",
        )
    )
    return Drill(question, steps if len(steps) < 90 else f"{high}*{result // high}={result}.", str(result))


def legs(random: Random) -> Drill:
    """Count the legs of some animals."""
    kinds = random.sample(sorted(LEGS), random.randint(1, 4))
    counts = {kind: random.randint(1, 15) for kind in kinds}
    parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
    steps, total = [], 0
    for kind, count in counts.items():
        steps.append(f"{kind} {count}*{LEGS[kind]}={count * LEGS[kind]}.")
        if total:
            steps.append(f"{total}+{count * LEGS[kind]}={total + count * LEGS[kind]}.")
        total += count * LEGS[kind]
    listed = ", ".join(parts)
    question = random.choice((f"How many legs have {listed} in all?", f"Count the legs: {listed}."))
    return Drill(question, " ".join(steps), str(total))


def letters(random: Random) -> Drill:
    """Count a letter in a word or two, spelling them."""
    words = random.sample(WORDS, random.randint(1, 3))
    letter = random.choice("".join(words) + "aeio")
    steps, count = [], 0
    for character in "".join(words):
        count += character == letter
        steps.append(f"{character} {count}" if character == letter else character)
    text = " ".join(words)
    question = random.choice(
        (
            f'How often does the letter "{letter}" occur in "{text}"?',
            f'Count the letter "{letter}" in: "{text}"',
        )
    )
    return Drill(question, ", ".join(steps) + ".", str(count))


def order(random: Random) -> Drill:
    """Sort numbers, or name the largest or smallest."""
    numbers = random.sample(range(100), random.randint(2, 6))
    listed = ", ".join(map(str, numbers))
    kind = random.choice(("up", "down", "largest", "smallest"))
    ordered = sorted(numbers, reverse=kind in ("down", "largest"))
    steps = ", ".join(map(str, ordered)) + "."
    if kind in ("largest", "smallest"):
        return Drill(f"Which number is the {kind}: {listed}?", steps, str(ordered[0]))
    words = {"up": "from small to large", "down": "from large to small"}
    return Drill(f"Sort {words[kind]}: {listed}", steps, ", ".join(map(str, ordered)))


def compare(random: Random) -> Drill:
    """A question to answer with yes or no."""
    left, right = random.randint(1, 200), random.randint(1, 200)
    kind = random.choice(("greater", "smaller", "even", "divisible"))
    if kind == "even":
        return Drill(f"Is {left} even?", f"It ends in {left % 10}.", "no" if left % 2 else "yes")
    if kind == "divisible":
        small = random.randint(2, 9)
        steps = f"{left}={left // small}*{small}+{left % small}."
        return Drill(f"Can {left} be divided by {small}?", steps, "no" if left % small else "yes")
    holds = left > right if kind == "greater" else left < right
    sign = ">" if left > right else "<" if left < right else "="
    return Drill(f"Is {left} {kind} than {right}?", f"{left}{sign}{right}.", "yes" if holds else "no")


def sequence(random: Random) -> Drill:
    """The next number of a sequence with a constant difference."""
    start, gap = random.randint(1, 50), random.randint(1, 12)
    numbers = [start + gap * index for index in range(5)]
    steps = f"{numbers[1]}-{numbers[0]}={gap}. {numbers[3]}+{gap}={numbers[4]}."
    listed = ", ".join(map(str, numbers[:4]))
    return Drill(f"Which number comes next? {listed}, ?", steps, str(numbers[4]))


def words_in(random: Random) -> Drill:
    """Count the words, or turn one round."""
    words = random.sample(WORDS, random.randint(1, 6))
    if len(words) == 1:
        backwards = words[0][::-1]
        return Drill(f'Write "{words[0]}" backwards.', ", ".join(backwards) + ".", backwards)
    steps = ", ".join(f"{word} {index}" for index, word in enumerate(words, start=1))
    return Drill(f'How many words are here: "{" ".join(words)}"', f"{steps}.", str(len(words)))


def practice(random: Random, equations: int) -> str:
    """Equations in a row, of the sizes that the word problems need."""
    written: list[str] = []
    while len(written) < equations:
        sign = random.choice("++--**/")
        left, right = (
            random.randint(1, random.choice((99, 290))),
            random.randint(1, random.choice((9, 60, 150))),
        )
        if sign in "*/":
            left, right = random.randint(1, random.choice((12, 60))), random.randint(2, 10)
        value = {"+": left + right, "-": left - right, "*": left * right, "/": left}[sign]
        if sign == "/":
            left *= right
        if 0 < value <= 300 and left <= 300:
            written.append(f"{left}{sign}{right}={value}.")
    return " ".join(written)


def ask(random: Random, expression: str) -> str:
    """Wrap an expression in words."""
    form = random.choice(
        ("What is {}?", "Compute {}.", "Calculate: {}", "{} =", "{} = ?", "Work out {}.", "How much is {}?")
    )
    return form.format(expression)


DRILLS: dict[Callable[[Random], Drill], float] = {
    chain: 5, product: 3, bracket: 2, common_divisor: 2, common_multiple: 1, legs: 2,
    letters: 2, order: 2, compare: 1, sequence: 1, words_in: 1,
}  # fmt: skip
