"""One stage of a recipe: its settings, each with its default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from goalward.engines.engine import Sampling
from goalward.experience.practice import PracticeSettings
from goalward.experience.reflect import ReflectSettings
from goalward.experience.search import SearchSettings
from goalward.experience.stitched import StitchSettings
from goalward.experience.voters import VoterSettings
from goalward.feedback.guards import Guards
from goalward.learning.learner import LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.load import ModelConfig
from goalward.schema import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardPart:
    """One grader's share in the score: a built-in name, a grader file, "file.py:function", or a grader's table."""

    grader: str | Table
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperienceSettings:
    """What a step gathers.

    prompts: tasks a step; group_size: attempts at each; steps, or else epochs: how long to go on;
    max_prompt_tokens: longer tasks are left out of training, and counted; 0 keeps all;
    max_error_share: the share of attempts in a step that the grader may fail to judge before the run stops;
    voters, contrast: more attempts at each task, or at a changed question, that a vote listens to;
    reflect: learn from `group_size` improved attempts, which read earlier ones, sampled or from a log.
    log: learn from recorded attempts instead: a file, a run's folder, or an earlier stage's name. A step then
    takes `prompts` tasks with all their attempts. Their recorded scores count, unless there is a reward;
    stitch: learn from `group_size` attempts at each task that are stitched from the log's.
    practice: learn from searches for proofs of `prompts` theorems a step.
    proofs: theorems' worked solutions are the shortest proofs that so many expansions by size find; theorems that
    these do not prove are left out.
    """

    split: str = "train"
    log: str | None = None
    stitch: StitchSettings | None = None
    prompts: int = 32
    group_size: int = 8
    steps: int | None = None
    epochs: float = 1.0
    max_prompt_tokens: int = 0
    max_error_share: float = 0.2
    voters: VoterSettings | None = None
    contrast: VoterSettings | None = None
    reflect: ReflectSettings | None = None
    practice: PracticeSettings | None = None
    proofs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """Questions, and how to ask them. The first of `metrics` is the headline; `size` takes the first ones.

    reflect: ask for an improved answer that reads earlier ones, `samples` sampled attempts.
    search: answer theorems by searching for a proof.
    Only for `validation`: every: ask after so many training steps; best: the stage's model is the one that was best
    here, the model it started from included, and not the last; patience: stop after so many times without a better
    one; 0 never does.
    """

    task: Table | None = None
    split: str = "test"
    size: int | None = None
    metrics: tuple[str, ...] = ("strict", "numeric", "essay_format")
    max_tokens: int = 512
    samples: int = 0
    temperature: float = 1.0
    reflect: ReflectSettings | None = None
    search: SearchSettings | None = None
    every: int = 0
    best: bool = False
    patience: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    """Save after `every` steps and at the end; keep the newest `keep`."""

    every: int = 50
    keep: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One part of a run. `start` names the earlier stage whose model it starts from.

    do: "record" attempts what "train" would and learns nothing: its rollouts are a log to learn from.
    """

    name: str
    do: Literal["train", "record", "evaluate", "compare"] = "train"
    start: str | None = None
    seed: int = 0
    model: ModelConfig = field(default_factory=lambda: ModelConfig(name="pocket"))
    task: Table = field(default_factory=dict)
    reward: Mapping[str, RewardPart] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    algorithm: Table = field(default_factory=dict)
    experience: ExperienceSettings = field(default_factory=ExperienceSettings)
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    evaluation: Mapping[str, EvaluationSpec] = field(default_factory=dict)
    validation: EvaluationSpec | None = None
    guards: Guards = field(default_factory=Guards)
    checkpoint: CheckpointSettings = field(default_factory=CheckpointSettings)
