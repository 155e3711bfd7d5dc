import re
from itertools import islice

import pytest

from goalward.errors import UsageError
from goalward.tasks.word_problem import Difficulty, Operand, Operation, Problem, problems, solve
from goalward.tasks.word_problems import WordProblems

SPLITS = ("train", "validation", "test", "ood")
EQUATION = re.compile(r"([-+*/()\d]+)=(\d+)")
FORMAT = re.compile(r"<reasoning>(.+)</reasoning>\n<answer>(\d+)</answer>")


@pytest.fixture(scope="module")
def tasks():
    return {
        split: WordProblems(train=400, test=300, ood=200, validation=200).tasks(split) for split in SPLITS
    }


def solved(*operations: Operation, style: str) -> str:
    problem = Problem(scenario="", question="", skeleton="", numbers=(), operations=operations)
    return solve(problem, style)


def test_same_knobs_give_the_same_tasks_and_another_seed_gives_others():
    first, again, other = (WordProblems(test=40, seed=seed).tasks("test") for seed in (3, 3, 4))
    assert first == again
    assert not {task.question for task in first} & {task.question for task in other}


def test_a_small_split_is_the_beginning_of_a_large_one(tasks):
    assert WordProblems(test=20).tasks("test") == tasks["test"][:20]


def test_sizes_and_ids(tasks):
    assert [len(tasks[split]) for split in SPLITS] == [400, 200, 300, 200]
    assert tasks["test"][17].id == "word_problems/test/17"
    assert all(len({task.question for task in tasks[split]}) == len(tasks[split]) for split in SPLITS)


@pytest.mark.parametrize("key", ["skeleton", "numbers"])
def test_splits_share_no_skeleton_and_no_numbers(tasks, key):
    read = islice(problems("pretraining", 0, Difficulty(steps=(1, 6), amount=60, limit=200)), 1500)
    found = {split: {task.info[key] for task in tasks[split]} for split in SPLITS}
    # Another seed must not leak either: which split a problem belongs to does not hang on the seed.
    found["train"] |= {task.info[key] for task in WordProblems(seed=1, train=400).tasks("train")}
    found["pretraining"] = {getattr(problem, key) for problem in read}
    for split, values in found.items():
        for other, others in found.items():
            assert split == other or not values & others


def test_out_of_distribution_is_harder_and_elsewhere(tasks):
    assert {task.info["steps"] for task in tasks["test"]} == {2, 3, 4, 5}
    assert {task.info["steps"] for task in tasks["ood"]} == {4, 5, 6}
    assert not {t.info["scenario"] for t in tasks["ood"]} & {t.info["scenario"] for t in tasks["test"]}

    def mean(split):
        return sum(int(task.reference) for task in tasks[split]) / len(tasks[split])

    assert mean("ood") > 1.5 * mean("test")


@pytest.mark.parametrize("style", ["terse", "careful"])
def test_every_equation_holds_and_ends_in_the_reference(style):
    for split in SPLITS:
        for task in WordProblems(style=style, train=150, validation=50, test=100, ood=150).tasks(split):
            reasoning, answer = FORMAT.fullmatch(task.demonstration).groups()
            equations = EQUATION.findall(reasoning)
            assert equations
            for formula, result in equations:
                assert eval(formula) == int(result) > 0
                assert style == "terse" or len(re.findall(r"[-+*/]", formula)) == 1
            assert equations[-1][1] == answer == task.reference
            if style == "careful":
                assert len(equations) == task.info["steps"]


def test_terse_solutions_have_fewer_and_longer_formulas():
    lengths = {
        style: [task.demonstration.count("=") for task in WordProblems(style=style, train=100).tasks("train")]
        for style in ("terse", "careful")
    }
    assert sum(lengths["terse"]) < 0.9 * sum(lengths["careful"])


def test_the_numbers_are_those_of_the_question(tasks):
    for task in tasks["test"]:
        assert tuple(map(int, re.findall(r"\d+", task.question))) == task.info["numbers"]
        assert not set("{}") & set(task.question)


def test_terse_writes_the_operations_of_a_sentence_as_one_formula():
    add = Operation("All", Operand(4), "+", Operand(2), 6, 0)
    times = Operation("The bags hold", Operand(5), "*", Operand(3), 15, 1)
    both = Operation("Now", Operand(6, 0), "+", Operand(15, 1), 21, 1)
    assert solved(add, times, both, style="terse") == "All 4+2=6. Now 6+5*3=21."
    assert solved(add, times, both, style="careful") == "All 4+2=6. The bags hold 5*3=15. Now 6+15=21."


def test_brackets_stand_where_they_must():
    add = Operation("All", Operand(4), "+", Operand(2), 6, 0)
    times = Operation("Now", Operand(6, 0), "*", Operand(3), 18, 0)
    less = Operation("Left", Operand(30), "-", Operand(6, 0), 24, 0)
    assert solved(add, times, style="terse") == "Now (4+2)*3=18."
    assert solved(add, less, style="terse") == "Left 30-(4+2)=24."


def test_steps_are_a_knob():
    assert {task.info["steps"] for task in WordProblems(steps=(3, 3), train=30).tasks("train")} == {3}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: WordProblems().tasks("dev"), "split"),
        (lambda: WordProblems(steps=(3, 2)), "steps"),
        (lambda: WordProblems(prompt="esay"), "essay"),
        (lambda: WordProblems(test=0), "word_problems.test"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()


def test_the_essay_prompt_puts_instructions_before_the_question():
    task = WordProblems(prompt="essay", test=1).tasks("test")[0]
    assert [message["role"] for message in task.messages] == ["system", "user", "assistant", "user"]
    assert task.question == WordProblems(test=1).tasks("test")[0].question
