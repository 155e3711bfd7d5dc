"""Scenarios of the out-of-distribution split: nothing else is told in these sentences."""

from goalward.tasks.word_problem_text import Line, Scenario

HARDER = (
    Scenario(
        "hives",
        ("bees", "eggs"),
        (
            Line("On a farm {N} has {j} hives with {a} {i} in each.", "The hives hold j*a"),
            Line("{N} counts {a} old {i} and {b} young {i}.", "Counted a+b"),
        ),
        (
            Line("A storm takes {a} of the {i}.", "x-a"),
            Line("{F} brings {a} more of them.", "x+a"),
            Line("{N} sells {j} bags with {k} {i} in each bag.", "Sold j*k; x-y"),
            Line("{S} buys {j} crates of {k} {i} each.", "The crates hold j*k; x+y"),
            Line("{S} gives half of them to a school.", "x/2"),
            Line("{F} has {j} times as many {i}, and they put them together.", "{F} has x*j; x+y"),
            Line("In the winter a third of the {i} are lost.", "Lost x/3; x-y"),
        ),
        (
            Line("How many {i} are there in the end?"),
            Line("{N} puts them into {j} boxes equally. How many {i} are in each box?", "Each box x/j"),
        ),
    ),
    Scenario(
        "museum",
        ("guests", "friends"),
        (
            Line("A museum sees {a} {i} on Monday and {b} {i} on Tuesday.", "Seen a+b"),
            Line("{j} ships with {a} {i} each come to a museum.", "The ships carry j*a"),
        ),
        (
            Line("After lunch {a} {i} leave.", "x-a"),
            Line("At night {a} more {i} come in.", "x+a"),
            Line("{j} buses bring {k} {i} each.", "The buses bring j*k; x+y"),
            Line("{j} teams of {k} {i} each go home.", "Going j*k; x-y"),
            Line("Half of the {i} go to the garden.", "x/2"),
            Line("A quarter of the {i} leave for the lake.", "Leaving x/4; x-y"),
            Line("On Sunday there are {j} times as many {i}.", "x*j"),
        ),
        (
            Line("How many {i} are in the museum now?"),
            Line("Each of the {i} pays ${j}. How many dollars do they pay?", "They pay x*j"),
        ),
    ),
    Scenario(
        "harbor",
        ("boxes", "tires"),
        (
            Line("{j} ships bring {a} {i} each to the harbor.", "The ships bring j*a"),
            Line(
                "{N} has {a} {i} on a ship and {b} more than that on a train.",
                "On the train a+b; Together a+y",
            ),
        ),
        (
            Line("{a} {i} are bad and thrown away.", "x-a"),
            Line("Then {s} finds another {a} {i}.", "x+a"),
            Line("{j} shops take {k} {i} each.", "Taken j*k; x-y"),
            Line("{j} cars bring {k} {i} each.", "The cars bring j*k; x+y"),
            Line("The rain destroys half of them.", "x/2"),
            Line("A fifth of the {i} are sold.", "Sold x/5; x-y"),
            Line("In a year {s} has {j} times as many {i}.", "x*j"),
        ),
        (
            Line("How many {i} does {N} have in all?"),
            Line("{S} puts them on {j} ships equally. How many {i} are on each ship?", "Each ship x/j"),
        ),
    ),
)
