import json

import pytest

from goalward.errors import GoalwardError, UsageError
from goalward.evaluation import evaluate as module
from goalward.evaluation.evaluate import EvaluationSettings, evaluate, final_answer, stream
from goalward.evaluation.evaluation import Evaluation
from goalward.feedback.graders import EachRollout
from goalward.types import Feedback


def test_evaluate_asks_grades_and_counts(scripted, chat_prompt, equal, make_tasks):
    tasks = make_tasks(["a", "b", "c", "d"])
    engine = scripted({b"question 0": "a", b"question 1": "b", b"question 2": "x", b"question 3": "dd"})
    broken = EachRollout(lambda task, given: 1 / 0 if task.id == "q2" else 0.5)
    seen = []
    found = evaluate(
        tasks,
        engine,
        chat_prompt,
        {"strict": equal, "partial": broken},
        EvaluationSettings(max_tokens=7),
        name="base",
        model="pocket",
        task="letters test",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [record.greedy.scores["strict"] for record in found.records] == [1, 1, 0, 0]
    assert found.summary.accuracy["strict"].mean == 0.5
    assert found.summary.questions == 4
    assert found.summary.tokens == (1 + 1 + 1 + 2) / 4
    # Partial credit is no right answer; an error is no score, is counted, and says why.
    assert found.summary.accuracy["partial"].mean == 0.0
    assert found.summary.score == {"strict": 0.5, "partial": 0.5}
    assert found.summary.no_verdict == {"strict": 0, "partial": 1}
    assert "ZeroDivisionError" in found.records[2].greedy.errors["partial"]
    assert seen == [(4, 4)]
    [(requests, sampling)] = engine.calls
    assert (len(requests), sampling.temperature, sampling.max_tokens) == (4, 0, 7)


def test_samples_depend_on_the_question_and_number_alone(
    monkeypatch, scripted, chat_prompt, equal, make_tasks
):
    tasks = make_tasks(["a"] * 5)
    said = {f"question {i}".encode(): "a" for i in range(5)}
    settings = EvaluationSettings(samples=5)

    def samples(asked):
        found = evaluate(asked, scripted(said), chat_prompt, {"strict": equal}, settings, name="x")
        return {record.id: [sample.text for sample in record.samples] for record in found.records}

    whole = samples(tasks)
    monkeypatch.setattr(module, "QUESTIONS_AT_ONCE", 2)
    assert samples(tasks) == whole
    assert samples(tasks[::-1][:2]) == {key: whole[key] for key in ("q4", "q3")}
    assert len({stream(f"q{i}", j) for i in range(100) for j in range(10)}) == 1000
    assert -(2**63) <= stream("q1", 0) < 2**63


def test_pass_and_maj_come_from_the_samples(make_evaluation):
    found = make_evaluation("x", "10", samples=["1100", "0100"])
    summary = found.summary
    assert list(summary.pass_at) == [1, 2, 4]
    assert summary.pass_at[1].mean == (0.5 + 0.25) / 2
    assert summary.pass_at[2].mean == pytest.approx((1 - 1 / 6 + 1 - 3 / 6) / 2)
    assert summary.pass_at[4].mean == 1.0
    assert list(summary.maj_at) == [2, 4]
    assert summary.maj_at[4].mean == (0.5 + 0.0) / 2
    assert make_evaluation("x", "1", samples=["110111"]).summary.pass_at.keys() == {1, 2, 4}
    assert make_evaluation("x", "1").summary.pass_at == {}


def test_no_verdict_is_counted_and_not_correct(make_evaluation):
    summary = make_evaluation("x", "11?0").summary
    assert summary.accuracy["strict"].mean == 0.5
    assert summary.score["strict"] == pytest.approx(2 / 3)
    assert summary.no_verdict == {"strict": 1}
    assert summary.truncated == 0.5


def test_the_essays_score_is_correct_by_its_answer_part(scripted, chat_prompt, make_tasks):
    form_only = EachRollout(lambda task, given: Feedback(score=1.0, parts={"format": 1.0, "answer": 0.0}))
    found = evaluate(
        make_tasks(["a"]),
        scripted({b"question 0": "z"}),
        chat_prompt,
        {"essay": form_only},
        EvaluationSettings(),
        name="x",
    )
    assert found.summary.accuracy["essay"].mean == 0.0


def test_saved_and_loaded_it_is_the_same(make_evaluation, tmp_path):
    found = make_evaluation("grpo", "1?0", step=60, samples=["10", "?1", "00"])
    path = tmp_path / "evaluations" / "test.json"
    found.save(path)
    assert Evaluation.load(path) == found
    assert json.loads(path.read_text())["summary"]["accuracy"]["strict"]["mean"] == pytest.approx(1 / 3)
    assert [file.name for file in path.parent.iterdir()] == ["test.json"]


def test_bad_input_is_refused_plainly(tmp_path, scripted, chat_prompt, equal, make_tasks):
    ask = lambda tasks, metrics: evaluate(  # noqa: E731
        tasks, scripted({}), chat_prompt, metrics, EvaluationSettings(), name="base"
    )
    with pytest.raises(UsageError, match="no questions"):
        ask([], {"strict": equal})
    with pytest.raises(UsageError, match="no metrics"):
        ask(make_tasks("a"), {})
    with pytest.raises(UsageError, match="two questions have the id 'q0'"):
        ask(make_tasks("a") * 2, {"strict": equal})
    for bad in ({"max_tokens": 0}, {"samples": -1}, {"temperature": 0.0}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            EvaluationSettings(**bad)
    path = tmp_path / "other.json"
    with pytest.raises(UsageError, match=r"other\.json: cannot be read"):
        Evaluation.load(path)
    for text in ("{", "[]", "{}", '{"name": 1, "model": "", "task": "", "step": 0, "settings": {"x": 1}}'):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"other\.json: not an evaluation"):
            Evaluation.load(path)


def test_an_evaluation_that_cannot_be_saved_says_so(make_evaluation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GoalwardError, match="cannot be made"):
        make_evaluation("x", "1").save(tmp_path / "file" / "test.json")


def test_final_answer_prefers_the_tag_then_the_number():
    assert final_answer("so <answer> 12 </answer>") == "12"
    assert final_answer("3 + 4 = 7") == "7"
    assert final_answer("who knows") is None
