"""Ask a model questions and grade what it says. Evaluation is apart from the reward: own tasks, own graders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from goalward.engines.engine import Engine, Request, Sampling
from goalward.errors import UsageError
from goalward.evaluation.evaluation import Attempt, Evaluation, EvaluationSettings, Record
from goalward.experience.reflect import Reflector, ReflectSettings
from goalward.feedback.answers import final_answer
from goalward.feedback.grade import is_correct
from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_all
from goalward.types import Group, IntArray, Message, Rollout, Task

__all__ = ["Evaluation", "EvaluationSettings", "evaluate", "final_answer", "stream"]

QUESTIONS_AT_ONCE = 128
"""Questions in one call of the engine: enough to fill its batches, few enough to move a progress bar."""


Prove = Callable[[Sequence[Task]], list[tuple[tuple[Rollout, ...], tuple[Rollout, ...]]]]
"""Tasks -> for each what stands for its greedy answer (a tuple of one), and for its sampled ones."""


def evaluate(
    tasks: Sequence[Task],
    engine: Engine,
    chat_prompt: Callable[[Sequence[Message]], IntArray],
    metrics: Mapping[str, Grader],
    settings: EvaluationSettings,
    *,
    name: str,
    model: str = "",
    task: str = "",
    step: int = 0,
    answer: Callable[[str], str | None] = final_answer,
    reflect: ReflectSettings | None = None,
    prove: Prove | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask every question greedily, and `settings.samples` times more at `settings.temperature`.

    A metric is a grader; the first is the headline. What a grader fails to judge counts as not
    correct, and `Summary.no_verdict` says how often that was. A sampled attempt depends on the weights, the
    seed, the question's id and its own number alone, so two models meet the same luck and asking
    fewer questions changes no answer. `answer` finds in a completion what maj@k should vote on.

    Args:
        tasks: the questions, each with an id of its own.
        engine: samples from the model asked.
        chat_prompt: turns a conversation into prompt tokens, [P].
        metrics: name -> grader; a grader judges the greedy answer alone, and the samples together.
        settings: how to ask.
        name: what tables call the model; `model`, `task` and `step` describe it further.
        model: the model, in words.
        task: the task set and its split, in words.
        step: the optimizer step of the weights.
        answer: a completion's text -> the answer in it, or None.
        reflect: how to improve: then the samples are the earlier attempts, and what stands for the greedy answer
            is the improved one, which has read some of them; it costs `samples` attempts a round more.
        prove: who answers instead of the engine, where answers are proofs that are searched for.
        progress: called with (questions done, questions in all).

    Raises:
        UsageError: no tasks, no metrics, or two tasks share an id.
    """
    if not tasks or not metrics:
        raise UsageError(f"evaluation {name!r}: there are no {'questions' if metrics else 'metrics'}")
    _refuse_doubles(tasks)
    records: list[Record] = []
    for start in range(0, len(tasks), QUESTIONS_AT_ONCE):
        chunk = tasks[start : start + QUESTIONS_AT_ONCE]
        asked = prove(chunk) if prove else list(_ask(chunk, engine, chat_prompt, settings))
        if reflect is not None:
            asked = _reflect(chunk, [samples for _, samples in asked], engine, chat_prompt, settings, reflect)
        greedy, samples = zip(*asked, strict=True)
        first, others = (judged_attempts(chunk, rollouts, metrics, answer) for rollouts in (greedy, samples))
        records += [
            Record(
                id=each.id,
                question=each.question,
                reference=each.reference,
                greedy=alone,
                samples=tuple(more),
            )
            for each, (alone,), more in zip(chunk, first, others, strict=True)
        ]
        if progress is not None:
            progress(len(records), len(tasks))
    return Evaluation(
        name=name,
        model=model,
        task=task,
        step=step,
        settings=settings,
        metrics=tuple(metrics),
        records=tuple(records),
    )


def stream(task_id: str, index: int) -> int:
    """The random stream of attempt number `index` at a task: the same on every machine and day."""
    digest = blake2b(f"{task_id}\n{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _ask(
    tasks: Sequence[Task],
    engine: Engine,
    chat_prompt: Callable[[Sequence[Message]], IntArray],
    settings: EvaluationSettings,
) -> Iterator[tuple[tuple[Rollout, ...], tuple[Rollout, ...]]]:
    """For each task its greedy rollout (a tuple of one) and its sampled ones (perhaps none)."""
    prompts = [chat_prompt(each.messages) for each in tasks]
    greedy = engine.generate(
        [Request(prompt=prompt, streams=(0,)) for prompt in prompts],
        Sampling(temperature=0, max_tokens=settings.max_tokens),
        seed=settings.seed,
    )
    if settings.samples == 0:
        return ((rollouts, ()) for rollouts in greedy)
    sampled = engine.generate(
        [
            Request(prompt=prompt, streams=tuple(stream(task.id, i) for i in range(settings.samples)))
            for task, prompt in zip(tasks, prompts, strict=True)
        ],
        Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens),
        seed=settings.seed,
    )
    return zip(greedy, sampled, strict=True)


def _reflect(
    tasks: Sequence[Task],
    earlier: Sequence[tuple[Rollout, ...]],
    engine: Engine,
    chat_prompt: Callable[[Sequence[Message]], IntArray],
    settings: EvaluationSettings,
    reflect: ReflectSettings,
) -> list[tuple[tuple[Rollout, ...], tuple[Rollout, ...]]]:
    """For each task its improved answer (a tuple of one) and the attempts that it came from."""
    draws = [stream(task.id, -1) % 2**32 for task in tasks]
    groups = [Group(task=task, rollouts=own) for task, own in zip(tasks, earlier, strict=True)]
    for turn in range(reflect.rounds):
        last = turn + 1 == reflect.rounds
        sampling = Sampling(temperature=0 if last else settings.temperature, max_tokens=settings.max_tokens)
        once = Reflector(engine, chat_prompt, replace(reflect, rounds=1), sampling, seed=settings.seed + turn)
        improved = once.improve(groups, draws, size=1 if last else settings.samples, version=0)
        groups = [replace(group, rollouts=own) for group, own in zip(groups, improved, strict=True)]
    return [(group.rollouts, own) for group, own in zip(groups, earlier, strict=True)]


def judged_attempts(
    tasks: Sequence[Task],
    rollouts: Sequence[tuple[Rollout, ...]],
    metrics: Mapping[str, Grader],
    answer: Callable[[str], str | None],
) -> Iterator[list[Attempt]]:
    """For each task its attempts, judged by every metric; all tasks at once, for graders that gain by it.

    rollouts: those of each task, perhaps none; answer: as in `evaluate`.
    """
    groups = [Group(task=task, rollouts=own) for task, own in zip(tasks, rollouts, strict=True) if own]
    verdicts = {metric: iter(judge_all(groups, grader)) for metric, grader in metrics.items()}
    for own in rollouts:
        row = {metric: next(feedback) if own else () for metric, feedback in verdicts.items()}
        yield [
            Attempt(
                text=rollout.text,
                answer=answer(rollout.text),
                stop=rollout.stop,
                tokens=int(rollout.sampled.sum()),
                scores={metric: feedback[i].score for metric, feedback in row.items()},
                correct={metric: is_correct(feedback[i]) for metric, feedback in row.items()},
                errors={
                    metric: error
                    for metric, feedback in row.items()
                    if (error := feedback[i].error) is not None
                },
            )
            for i, rollout in enumerate(own)
        ]


def _refuse_doubles(tasks: Sequence[Task]) -> None:
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UsageError(f"two questions have the id {task.id!r}: ids must be unique to be compared")
        seen.add(task.id)
