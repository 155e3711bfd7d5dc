"""The sentences that word problems are made of.

A scenario follows one running quantity `x` from an opening sentence, through steps, to a question.
Each sentence carries a program: the operations that a careful person writes down, one a line,
separated by semicolons. `x` is the running quantity, `y` the result of the line before, and the
letters are numbers in the sentence: `a`, `b`, `c` amounts, `j`, `k` small counts from 2 to 9. The words
before an operation are what the careful person says about it; where there are none, "Now".
A program without operations only names the letter that `x` starts from.
"""

from dataclasses import dataclass

PEOPLE = {
    "Mia": "she", "Ben": "he", "Ava": "she", "Leo": "he", "Zoe": "she", "Sam": "he", "Ida": "she", "Max": "he",
    "Eva": "she", "Tom": "he", "Lily": "she", "Omar": "he", "Nora": "she", "Jack": "he", "Ruth": "she", "Hugo": "he",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence and its program. {N} is the person, {F} a friend, {S}/{s}/{h} She/she/her, {i} the things."""

    text: str
    program: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One setting: the things that it may be about, and the sentences that open, continue and end it."""

    name: str
    things: tuple[str, ...]
    starts: tuple[Line, ...]
    steps: tuple[Line, ...]
    ends: tuple[Line, ...]


SCENARIOS = (
    Scenario(
        "farm",
        ("apples", "pears", "lemons", "plums"),
        (
            Line("{N} picks {a} {i} on the farm.", "a"),
            Line("{N} picks {a} {i} in the morning and {b} {i} in the afternoon.", "Picked a+b"),
            Line(
                "There are {j} trees on the farm of {N}, and each tree gives {a} {i}.", "The trees give j*a"
            ),
        ),
        (
            Line("{S} finds {a} more {i} under a tree.", "x+a"),
            Line("{S} throws away {a} bad {i}.", "x-a"),
            Line("{F} brings {j} baskets with {k} {i} in each.", "The baskets hold j*k; x+y"),
            Line("{S} feeds {a} {i} to each of {h} {j} goats.", "The goats eat j*a; x-y"),
            Line("Half of the {i} go to {F}.", "x/2"),
            Line("{F} picks {j} times as many {i}, and they put all of them together.", "{F} picks x*j; x+y"),
            Line("A third of the {i} are eaten by birds.", "Eaten x/3; x-y"),
        ),
        (
            Line("How many {i} does {N} have now?"),
            Line(
                "{S} packs the {i} equally into {j} crates. How many {i} are in each crate?", "Each crate x/j"
            ),
            Line("{S} sells the {i} for ${j} each. How many dollars does {s} get?", "The money is x*j"),
        ),
    ),
    Scenario(
        "bakery",
        ("cookies", "muffins", "rolls", "cakes"),
        (
            Line("{N} bakes {j} trays of {a} {i}.", "The trays hold j*a"),
            Line("A bakery has {a} {i} when {N} opens it.", "a"),
            Line("{N} bakes {a} {i}, and {F} bakes {b} more than {N}.", "{F} bakes a+b; Together a+y"),
        ),
        (
            Line("{S} burns {a} of them.", "x-a"),
            Line("Then {s} bakes another {a} {i}.", "x+a"),
            Line("{S} sells {j} boxes of {k} {i}.", "Sold j*k; x-y"),
            Line("Two friends come and each brings {a} {i}.", "They bring 2*a; x+y"),
            Line("A third of the {i} go to a school, and the rest stay.", "The school gets x/3; x-y"),
            Line(
                "The next day {s} makes {j} times as many {i} as that, and only these new ones count.", "x*j"
            ),
            Line("A quarter of the {i} are sold at once.", "Sold x/4; x-y"),
        ),
        (
            Line("How many {i} are left?"),
            Line("Each of the {i} costs ${j}. How many dollars are they worth?", "They are worth x*j"),
            Line("{N} puts {j} {i} on each plate. How many plates does {s} need?", "The plates are x/j"),
        ),
    ),
    Scenario(
        "savings",
        ("dollars",),
        (
            Line("{N} has ${a} in {h} piggy bank.", "a"),
            Line("{N} earns ${j} an hour and works for {a} hours.", "Earned j*a"),
            Line("{N} gets ${a} from {h} aunt and ${b} from {h} uncle.", "Got a+b"),
        ),
        (
            Line("{S} saves ${j} every day for {k} days.", "Saved j*k; x+y"),
            Line("{S} spends ${a} on a book.", "x-a"),
            Line("{S} buys {j} toys for ${k} each.", "The toys cost j*k; x-y"),
            Line("{H} grandmother doubles {h} money.", "x*2"),
            Line("{S} gives half of the money to {h} brother.", "x/2"),
            Line("{S} finds ${a} in {h} coat.", "x+a"),
            Line("{S} spends a fifth of the money on lunch.", "Lunch costs x/5; x-y"),
        ),
        (
            Line("How much money does {N} have?"),
            Line("{S} wants a bike that costs ${c}. How many more dollars does {s} need?", "Missing c-x"),
            Line(
                "{S} shares it equally with {h} friends, {j} people in all. What does each get?",
                "Each gets x/j",
            ),
        ),
    ),
    Scenario(
        "library",
        ("books", "comics", "magazines"),
        (
            Line("A library owns {a} {i} about animals and {b} {i} about space.", "Owned a+b"),
            Line("{N} fills {j} shelves with {a} {i} each.", "The shelves hold j*a"),
            Line("{N} counts {a} {i} in the library.", "a"),
        ),
        (
            Line("Readers borrow {a} {i}.", "x-a"),
            Line("Readers bring back {a} {i}.", "x+a"),
            Line("{j} classes borrow {k} {i} each.", "Borrowed j*k; x-y"),
            Line("{N} unpacks {j} boxes of {k} new {i}.", "The boxes hold j*k; x+y"),
            Line("Half of the {i} are old and go to a sale.", "x/2"),
            Line(
                "The other library has {j} times as many {i}, and both are put together.",
                "The other has x*j; x+y",
            ),
            Line("A quarter of the {i} get lost.", "Lost x/4; x-y"),
        ),
        (
            Line("How many {i} are in the library now?"),
            Line("{N} puts them on {j} shelves equally. How many {i} are on each shelf?", "Each shelf x/j"),
            Line("The library wants {c} {i}. How many more does it need?", "Missing c-x"),
        ),
    ),
    Scenario(
        "reading",
        ("pages",),
        (
            Line("{N} reads {j} pages a day for {a} days.", "Read j*a"),
            Line("{N} reads {a} pages on Monday and {b} fewer on Tuesday.", "Tuesday a-b; Together a+y"),
            Line("{N} has read {a} pages of a long book.", "a"),
        ),
        (
            Line("On Sunday {s} reads {a} more pages.", "x+a"),
            Line("{S} reads {j} chapters of {k} pages each.", "The chapters have j*k; x+y"),
            Line("{S} forgets the last {a} pages and does not count them.", "x-a"),
            Line("{F} reads {j} times as many pages, and they add up all their pages.", "{F} reads x*j; x+y"),
            Line("{S} skipped {a} pages on each of {j} days, so these do not count.", "Skipped j*a; x-y"),
            Line("Half of the pages were only pictures, so {s} counts the other half.", "x/2"),
            Line("In the holidays {s} reads a third as many again.", "Again x/3; x+y"),
        ),
        (
            Line("How many pages is that?"),
            Line("The book has {c} pages. How many pages are left to read?", "Left c-x"),
            Line(
                "{S} writes down one word for every {j} pages. How many words is that?", "The words are x/j"
            ),
        ),
    ),
    Scenario(
        "marbles",
        ("marbles", "stickers", "cards", "coins", "shells"),
        (
            Line("{N} has {a} {i}.", "a"),
            Line("{N} has {a} red {i} and {b} blue {i}.", "All a+b"),
            Line("{F} has {a} {i}. {N} has {j} times as many as {F}.", "a*j"),
        ),
        (
            Line("{S} loses {a} {i} in a game.", "x-a"),
            Line("{S} wins {a} {i}.", "x+a"),
            Line("{S} buys {j} packs with {k} {i} in each pack.", "The packs hold j*k; x+y"),
            Line("{S} gives {a} {i} to each of {j} friends.", "Given j*a; x-y"),
            Line("{S} gives half of {h} {i} to {F}.", "x/2"),
            Line("{S} gives a quarter of {h} {i} away.", "Given x/4; x-y"),
            Line("After a good week {s} has {j} times as many.", "x*j"),
        ),
        (
            Line("How many {i} does {N} have in the end?"),
            Line("{S} puts them into {j} bags equally. How many {i} are in each bag?", "Each bag x/j"),
            Line("{F} has {c} {i}. How many more than {N} is that?", "More c-x"),
        ),
    ),
    Scenario(
        "bus",
        ("people",),
        (
            Line("A train starts with {a} people.", "a"),
            Line("{j} buses with {a} people each leave the city.", "The buses carry j*a"),
            Line("{a} adults and {b} children get on a ship.", "On board a+b"),
        ),
        (
            Line("At the next stop {a} people get off.", "x-a"),
            Line("Then {a} people get on.", "x+a"),
            Line("{j} families of {k} people join.", "Joining j*k; x+y"),
            Line("{j} groups of {k} people leave.", "Leaving j*k; x-y"),
            Line("In the big town half of the people get off.", "x/2"),
            Line("A third of the people leave at the lake.", "Leaving x/3; x-y"),
            Line("At the harbor there are soon {j} times as many people.", "x*j"),
        ),
        (
            Line("How many people are there in the end?"),
            Line("Every ticket costs ${j}. How many dollars do these people pay?", "They pay x*j"),
            Line("They ride on in {j} equal groups. How many people are in a group?", "A group has x/j"),
        ),
    ),
    Scenario(
        "running",
        ("meters", "laps", "miles"),
        (
            Line("{N} runs {j} {i} a day for {a} days.", "Ran j*a"),
            Line("{N} runs {a} {i} before lunch and {b} {i} after lunch.", "Ran a+b"),
            Line("{N} plans to run {a} {i} this month.", "a"),
        ),
        (
            Line("{S} adds {a} {i} on the last day.", "x+a"),
            Line("Rain takes {a} {i} off this.", "x-a"),
            Line("{S} runs {j} {i} on each of {k} more days.", "More days j*k; x+y"),
            Line("{F} runs {a} {i} less, and together they count both.", "{F} runs x-a; x+y"),
            Line("The coach says to do {j} times that.", "x*j"),
            Line("{S} is tired and does only half of it.", "x/2"),
            Line("{S} misses {j} days of {k} {i} each.", "Missed j*k; x-y"),
        ),
        (
            Line("How many {i} is that in total?"),
            Line("It is split over {j} equal days. How many {i} are run in a day?", "A day x/j"),
            Line("The goal is {c} {i}. How many {i} are missing?", "Missing c-x"),
        ),
    ),
    Scenario(
        "shop",
        ("pens", "hats", "cups", "balls"),
        (
            Line("{N} buys {j} {i} for ${a} each.", "The cost is j*a"),
            Line("{N} buys a game for ${a} and a lamp for ${b}.", "The cost is a+b"),
            Line("In a shop, {N} fills a cart with {i} for ${a}.", "a"),
        ),
        (
            Line("{S} also takes a bag for ${a}.", "x+a"),
            Line("A coupon takes ${a} off the price.", "x-a"),
            Line("{S} adds {j} {i} at ${k} each.", "Added j*k; x+y"),
            Line("The shop has a sale, and {s} pays half of the price.", "x/2"),
            Line("{S} gives back {j} {i} that cost ${k} each.", "Returned j*k; x-y"),
            Line("Then {s} buys all of this for {j} classes.", "x*j"),
            Line("{S} gets a tenth of the price back.", "Back x/10; x-y"),
        ),
        (
            Line("How many dollars does {N} pay?"),
            Line("{S} pays with ${c}. How many dollars does {s} get back?", "Back c-x"),
            Line(
                "{N} and friends split the bill equally among {j} people. What does each pay?",
                "Each pays x/j",
            ),
        ),
    ),
    Scenario(
        "garden",
        ("flowers", "roses", "seeds", "carrots"),
        (
            Line("{N} plants {j} rows of {a} {i}.", "The rows have j*a"),
            Line("{N} plants {a} {i} in the garden.", "a"),
            Line("In the garden, {N} plants {a} {i} and {F} plants {b} {i}.", "Planted a+b"),
        ),
        (
            Line("The rain destroys {a} of them.", "x-a"),
            Line("{S} plants {a} more.", "x+a"),
            Line("{S} adds {j} pots with {k} {i} in each pot.", "The pots hold j*k; x+y"),
            Line("A rabbit takes {j} {i} a day for {k} days.", "Taken j*k; x-y"),
            Line("A third of the {i} dry up.", "Dry x/3; x-y"),
            Line("{F} has {j} times as many in another garden, and they count both.", "{F} has x*j; x+y"),
            Line("Only half of the {i} grow.", "x/2"),
        ),
        (
            Line("How many {i} are in the garden now?"),
            Line("{S} ties them into bunches of {j}. How many bunches are there?", "The bunches are x/j"),
            Line("Each one sells for ${j}. How many dollars does {N} get for all?", "All sell for x*j"),
        ),
    ),
    Scenario(
        "school",
        ("students", "children"),
        (
            Line("A school has {j} classes of {a} {i}.", "The classes have j*a"),
            Line("{a} girls and {b} boys come to the school party.", "All a+b"),
            Line("{N} teaches {a} {i}.", "a"),
        ),
        (
            Line("{a} {i} go home early.", "x-a"),
            Line("{a} new {i} arrive.", "x+a"),
            Line("{j} cars bring {k} {i} each.", "The cars bring j*k; x+y"),
            Line("{j} teams of {k} {i} leave for a match.", "The teams take j*k; x-y"),
            Line("Half of the {i} are sick today, and only the others count.", "x/2"),
            Line("A fifth of the {i} go on a trip.", "On the trip x/5; x-y"),
            Line("Next year there will be {j} times as many {i}.", "x*j"),
        ),
        (
            Line("How many {i} are there?"),
            Line("{N} makes teams of {j} {i}. How many teams are there?", "The teams are x/j"),
            Line("Every one of these {i} gets {j} pencils. How many pencils is that?", "The pencils are x*j"),
        ),
    ),
    Scenario(
        "crafts",
        ("beads", "candles", "bricks"),
        (
            Line("{N} makes {j} {i} an hour and works {a} hours.", "Made j*a"),
            Line("A box of {N} holds {a} {i}.", "a"),
            Line("{N} makes {a} {i}. {F} makes twice as many.", "{F} makes a*2; Together a+y"),
        ),
        (
            Line("{a} {i} break.", "x-a"),
            Line("{S} makes {a} more {i} at night.", "x+a"),
            Line("{S} uses {j} {i} for each of {k} gifts.", "Used j*k; x-y"),
            Line("{F} sends {j} bags of {k} {i}.", "The bags hold j*k; x+y"),
            Line("{S} keeps half of the {i} and sells the rest to {F}.", "x/2"),
            Line("A machine then makes {j} times as many, and {s} takes only those.", "x*j"),
            Line("A quarter of the {i} are too small and thrown out.", "Too small x/4; x-y"),
        ),
        (
            Line("How many {i} does {N} have?"),
            Line("{S} needs {j} {i} for one chain. How many chains can {s} make?", "The chains are x/j"),
            Line("An order asks for {c} {i}. How many {i} are still to be made?", "Missing c-x"),
        ),
    ),
)
