"""report.md: what was run, what came of it, and enough attempts to see with one's own eyes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from goalward.evaluation.compare import Comparison, compare, markdown, to_json
from goalward.evaluation.evaluation import Attempt, Evaluation, Record
from goalward.evaluation.plots import bar_chart, curves
from goalward.evaluation.saved import comparable, evaluations_of, stages
from goalward.runs.files import read_jsonl, write_atomic, write_json
from goalward.runs.run import read_metrics, read_result

GLOSSARY: Mapping[str, str] = {
    "reward": "mean score of the attempts; `reward/<part>` are its parts.",
    "reward_std": "spread of the scores in the batch.",
    "no_spread_share": "groups whose attempts all scored alike: nothing can be learned from comparing them.",
    "loss": "what the gradient is taken of. In GRPO and its kin it is near 0 on fresh attempts, because a "
    "group's advantages sum to 0: no bug, and no measure of progress (its gradient is not 0).",
    "grad_norm": "length of the gradient before it was clipped.",
    "entropy": "how undecided the policy is at each token, in nats; near 0 it no longer explores.",
    "kl": "distance from the reference policy, in nats a token.",
    "clip_share": "tokens whose probability ratio left the clip range, so that they taught nothing.",
    "logprob_gap": "mean difference of sampled and recomputed log-probabilities: rounding, or a bug if large.",
    "importance_weight": "mean ratio of the policy's to the sampler's probability; near 1 on fresh attempts.",
    "truncated_share": "attempts cut at the token limit; they rarely reach an answer.",
    "grader_errors": "attempts that the grader could not judge; they are left out, not counted as wrong.",
    "accuracy": "share of greedy answers with full marks. An answer without a verdict counts as not correct.",
    "pass@k": "chance that at least one of k sampled attempts is right (unbiased, Chen et al. 2021).",
    "maj@k": "how often the most frequent answer of k sampled attempts is right; ties share the credit.",
    "vote error": "mean distance, in points, of a vote's clearness from how often so clear a vote is right (expected "
    "calibration error); chance alone gives a few.",
    "p": "McNemar's exact test: how likely so uneven a split of fixed and broken questions is by chance.",
}


SAMPLES = 2
"""Questions that are shown of those that were fixed, and of those that were broken."""


def write_report(directory: Path) -> Path:
    """Write report.md and its pictures into a run's directory, of one stage or of several.

    Also comparison.png and comparison.json where a task was evaluated twice: by several stages, or
    before and after the one there is; for further tasks comparison-<task>.png and .json.

    Raises:
        UsageError: `directory` is not a run's, or one of its files is malformed.
        GoalwardError: a file cannot be written.
    """
    begun = stages(directory)
    groups = comparable(_to_compare(begun))
    sections = [f"# {directory.resolve().name}\n"]
    names: list[str] = []
    for evaluations in groups:
        names.append(_file_name(evaluations[0].task, names))
        sections.append(_results(directory, names[-1], evaluations))
    words: set[str] = {"accuracy", "pass@k", "maj@k", "vote error", "p"} if groups else set()
    for name, stage in begun:
        metrics = read_metrics(stage / "metrics.jsonl")
        words |= {key.partition("/")[0] for row in metrics for key in row}
        sections += _training(directory, name, stage, metrics)
    recipe = (directory / "recipe.toml").read_text(encoding="utf-8")
    sections.append(f"## The recipe\n\n{_fenced(recipe.strip(), 'toml')}\n")
    meanings = [f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items() if word in words]
    if meanings:
        sections.append("## The words\n\n" + "\n".join(meanings) + "\n")
    path = directory / "report.md"
    write_atomic(path, "\n".join(sections))
    return path


def _to_compare(begun: Sequence[tuple[str, Path]]) -> Iterator[Evaluation]:
    """The last evaluation on each task of every stage; of a single stage the first one too."""
    for name, stage in begun:
        for each in comparable(evaluations_of(stage)):
            if len(begun) == 1 and each[0].step != each[-1].step:
                yield replace(each[0], name=f"step {each[0].step}")
                yield replace(each[-1], name=f"step {each[-1].step}")
            else:
                yield replace(each[-1], name=name)


def _results(directory: Path, name: str, evaluations: Sequence[Evaluation]) -> str:
    comparison = compare(evaluations)
    text = f"## {_heading(comparison)}\n\n{markdown(comparison)}\n{_votes(comparison)}"
    if len(evaluations) == 1:
        return text
    write_json(directory / f"{name}.json", to_json(comparison))
    bar_chart(comparison, directory / f"{name}.png")
    return f"{text}\n![accuracy by model]({name}.png)\n\n{_changes(evaluations[0], evaluations[-1])}"


def _heading(comparison: Comparison) -> str:
    return f"Results: {comparison.task}" if comparison.task else "Results"


def _votes(comparison: Comparison) -> str:
    """How often a vote is right, by how clear it is; nothing where nobody voted."""
    lines = [
        f"| {row.name} | {100 * each.share:.0f} | {100 * each.right:.0f} | {each.count:,} |"
        for row in comparison.rows
        if row.calibration is not None
        for each in row.calibration.bins
    ]
    if not lines:
        return ""
    header = ["| model | share of the samples that agree, % | right, % | questions |", "|---|---:|---:|---:|"]
    return "### How clear a vote, how right\n\n" + "\n".join([*header, *lines]) + "\n"


def _changes(first: Evaluation, last: Evaluation) -> str:
    """Some questions that only the last model got right, and some that only the first did."""
    fixed, broken = list[tuple[Record, Record]](), list[tuple[Record, Record]]()
    for pair in zip(first.records, last.records, strict=True):
        before, after = (record.greedy.correct[first.headline] for record in pair)
        if before != after:
            (fixed if after else broken).append(pair)
    return "\n".join(
        _change(kind, first.name, last.name, pair)
        for kind, pairs in (("Fixed", fixed), ("Broken", broken))
        for pair in pairs[:SAMPLES]
    )


def _change(kind: str, first: str, last: str, pair: tuple[Record, Record]) -> str:
    before, after = pair
    return (
        f"### {kind} by {last}: question {before.id}\n\n{_fenced(before.question)}\n\n"
        f"Reference: {_inline(before.reference)}\n\n"
        f"{first}{_stopped(before.greedy)}:\n\n{_fenced(before.greedy.text)}\n\n"
        f"{last}{_stopped(after.greedy)}:\n\n{_fenced(after.greedy.text)}\n"
    )


def _training(
    directory: Path, name: str, stage: Path, metrics: Sequence[Mapping[str, float]]
) -> Iterator[str]:
    if not metrics:
        return
    yield f"## Training: {name}\n\n{len(metrics)} steps. {_kept(stage)}\n"
    picture = stage / "curves.png"
    if curves(metrics, picture, title=name):
        yield f"![training curves of {name}]({picture.relative_to(directory)})\n"
    attempts = _last_attempts(stage / "rollouts.jsonl")
    if attempts:
        yield _attempt("The best attempt of the last step", max(attempts, key=lambda row: row["score"]))
        yield _attempt("The worst", min(attempts, key=lambda row: row["score"]))


def _kept(stage: Path) -> str:
    """Which model was kept, where validation chose it."""
    result = read_result(stage) or {}
    if "best" not in result:
        return ""
    accuracy = {step: f"{100 * value:.1f} %" for step, value in result["validated"]}
    best = result["best"]
    return (
        f"Kept is the model after step {best}, the best on validation: {accuracy[best]}, against "
        f"{accuracy[0]} before training and {accuracy[result['steps']]} in the end."
    )


def _last_attempts(path: Path) -> list[dict[str, Any]]:
    """The attempts of the last step that got a score."""
    if not path.exists():
        return []
    step, rows = None, list[dict[str, Any]]()
    for _, row in read_jsonl(path):
        if row["score"] is None:
            continue
        if row["step"] != step:
            step, rows = row["step"], []
        rows.append(row)
    return rows


def _attempt(title: str, row: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part} {score:g}" for part, score in row["parts"].items() if score is not None)
    return (
        f"### {title}: score {row['score']:g}{f' ({parts})' if parts else ''}\n\n"
        f"{_fenced(row['messages'][-1]['content'])}\n\nReference: {_inline(row['reference'])}\n\n"
        f"{_fenced(row['text'])}\n"
    )


def _stopped(attempt: Attempt) -> str:
    return " (cut off)" if attempt.stop == "length" else ""


def _inline(text: str | None) -> str:
    return "none" if text is None else f"`{' '.join(text.split()).replace('`', chr(39))}`"


def _fenced(text: str, language: str = "text") -> str:
    """A code block whose fence is longer than any run of backticks within: models write anything."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _file_name(task: str, taken: Sequence[str]) -> str:
    """comparison, and for further tasks comparison-<task>, numbered where that is taken too."""
    if not taken:
        return "comparison"
    slug = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")
    name = f"comparison-{slug}" if slug else "comparison"
    return name if name not in taken else f"{name}-{len(taken) + 1}"
