import tomllib
from pathlib import Path

import pytest

from goalward.errors import UsageError
from goalward.learning.policy_gradient import PolicyGradient
from goalward.recipe import evaluation_stage, find_recipe, load_recipe, make_algorithm
from goalward.schema import merge, parse_override, without

RECIPES = sorted((Path(__file__).parents[1] / "recipes").rglob("*.toml"))

BASE = """
model = "pocket"
task = "word_problems"
[reward]
answer = "strict"
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str = "", base: str = BASE) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(base + text)
        return path

    return write


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_shipped_recipe_is_valid(path: Path):
    recipe = load_recipe(path)
    assert recipe.stages
    # What is saved with the run is a recipe again, and the same one.
    saved = tomllib.loads(recipe.text)
    assert saved["name"] == recipe.name


def test_the_resolved_recipe_reads_back_the_same(write, tmp_path: Path):
    recipe = load_recipe(write('[stages.a]\nalgorithm = "dapo"\n[stages.b]\nstart = "a"\n'))
    again = tmp_path / "resolved.toml"
    again.write_text(recipe.text)
    assert load_recipe(again).text == recipe.text


def test_the_essay_has_its_settings():
    recipe = load_recipe(find_recipe("recipes/gsm8k/essay.toml"))
    base, sft, grpo, comparison = recipe.stages
    assert [stage.do for stage in recipe.stages] == ["evaluate", "train", "train", "compare"]
    assert base.evaluation["test"].size is None
    assert (sft.experience.epochs, sft.optimizer.learning_rate, sft.experience.prompts) == (2, 1e-6, 4)
    algorithm = make_algorithm(grpo)
    assert isinstance(algorithm, PolicyGradient)
    assert (algorithm.beta, algorithm.max_tokens) == (0.005, 512)
    assert {name: (part.grader, part.weight) for name, part in grpo.reward.items()} == {
        "format": ("essay_format", 1),
        "answer": ("essay_answer", 2),
    }
    optimizer = grpo.optimizer
    assert (optimizer.learning_rate, optimizer.betas, optimizer.weight_decay) == (1e-5, (0.9, 0.99), 0.1)
    assert (optimizer.warmup, optimizer.schedule, optimizer.clip) == (0.1, "cosine", 0.1)
    assert comparison.name == "comparison"


def test_overrides_win_in_every_stage(write):
    path = write('[stages.a.experience]\nsteps = 5\n[stages.b]\nstart = "a"\n')
    recipe = load_recipe(path, ["experience.steps=2", "stages.b.seed=7", "model=other"])
    assert [stage.experience.steps for stage in recipe.stages] == [2, 2]
    assert [stage.seed for stage in recipe.stages] == [0, 7]
    assert {stage.model.name for stage in recipe.stages} == {"other"}


def test_another_algorithm_starts_from_its_own_defaults(write):
    recipe = load_recipe(write('[algorithm]\nname = "grpo"\nbeta = 0.1\n'), ["algorithm=sft"])
    assert recipe.stages[0].algorithm == {"name": "sft"}


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (
            "[algorithm]\nname='grpo'\nbta=1",
            [],
            "mine.toml: algorithm.bta: there is no key 'bta'; did you mean 'beta'",
        ),
        ("[optimiser]\nx=1", [], "there is no key 'optimiser'; did you mean 'optimizer'?"),
        ("", ["algorithm=gpro"], "algorithm.name: there is no algorithm 'gpro'; did you mean 'grpo'?"),
        ("", ["task=gms8k"], "there is no task 'gms8k'; did you mean 'gsm8k'?"),
        ("", ["reward.answer.grader=strct"], "reward.answer.grader: "),
        (
            "",
            ["experience.group_size=two"],
            "experience.group_size: input should be a valid integer, found 'two'",
        ),
        (
            "",
            ["experience.group_size=4.5"],
            "experience.group_size: input should be a valid integer, found 4.5",
        ),
        ("", ["experience.group_size=1"], "experience.group_size: attempts are compared with each other"),
        (
            "",
            ["experience.group_size=0", "algorithm=rejection_sampling"],
            "experience.group_size: at least one",
        ),
        ("", ["sampling.top_p=0.9"], "top_p and top_k sample from another policy"),
        ("", ["experience.log=x"], "it learns from the policy's own fresh attempts"),
        ("", ["experience.log=x", "do=record"], "a log is made of new attempts"),
        ("", ["experience.proofs=64"], "worked solutions are for what imitates them"),
        ("", ["experience.proofs=64", "algorithm=sft"], "it is theorems that have proofs"),
        ("", ["experience.proofs=0", "algorithm=sft", "task=theorems"], "proofs: at least one expansion"),
        ("", ["do=record", "algorithm=dapo"], "dynamic sampling has no use in a log"),
        (
            "",
            ["algorithm=dpo", "learner.minibatches=2"],
            "weighs the whole step by one policy; leave it at 1",
        ),
        ("", ["sampling.temperature=0"], "greedy attempts are all the same"),
        ("[model]", [], "mine.toml: not valid TOML"),
        (
            "[stages.a]\n[stages.b]\nstart='c'",
            [],
            "stages.b.start: there is no earlier stage that trains, 'c'",
        ),
        ("[stages.a]\nstart='a'", [], "stages.a.start"),
        ("[stages.a]", ["stages.x.seed=1"], "there is no stage 'x'"),
        ("", ["seed"], "an override is written key=value"),
        ("", ["do=evaluate"], "evaluation: say what to evaluate on"),
        ("[validation]\nsize=3", [], "validation.every: "),
        ("[validation]\nevery=3\npatience=2", [], "validation.patience: the last model is then not the best"),
        ("[validation]\nevery=3\nbest=true\npatience=-1", [], "validation.patience: how often"),
        (
            "[evaluation.test]\nbest=true",
            [],
            "evaluation.test: every, best and patience are for [validation]",
        ),
        ("[model.lora]\nrnk=4", [], "there is no key 'rnk'; did you mean 'rank'?"),
        ("[evaluation.test]\nsise=4", [], "there is no key 'sise'; did you mean 'size'?"),
    ],
)
def test_bad_recipes_fail_plainly(tmp_path, text, overrides, message):
    path = tmp_path / "mine.toml"
    base = BASE.replace('model = "pocket"\n', "") if text.startswith("[model.") else BASE
    path.write_text(base + text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path, overrides)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_a_reward_is_needed(write):
    with pytest.raises(UsageError, match="attempts need feedback"):
        load_recipe(write(base='model = "pocket"\n'))


def test_evaluation_stage():
    stage = evaluation_stage("pocket", "word_problems", "test", 4, ["evaluation.size=10", "task.seed=3"])
    assert stage.evaluation["test"].size == 10
    assert stage.evaluation["test"].samples == 4
    assert stage.task == {"name": "word_problems", "seed": 3}


def test_merge_parse_and_without():
    assert parse_override("a.b=1e-3") == {"a": {"b": 1e-3}}
    assert parse_override("a=../x") == {"a": "../x"}
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert without({"a": {"b": 1, "c": 2}, "d": 4}, {"a": {"b": 9}}) == {"a": {"c": 2}, "d": 4}


def test_a_log_may_be_an_earlier_stage(write):
    text = """
[stages.log]
do = "record"
[stages.a]
algorithm = "dpo"
experience.log = "log"
[stages.b]
algorithm = "dpo"
experience.log = "later"
[stages.later]
"""
    recipe = load_recipe(write(text), ["run=runs/x"])
    assert [stage.experience.log for stage in recipe.stages] == [None, "runs/x/log", "later", None]
