"""Judging by another model, against a small server on this machine."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.judge import judge
from goalward.types import Feedback, Group, Task

Reply = Callable[[dict[str, Any]], Any]


class Server:
    """Answers what `reply` says: text, (status, body, headers), or a whole body; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.reply: Reply = lambda request: '{"steps": "fine", "result": 0.5}'
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.asked.append({"path": handler.path, **request})
            self.keys.append(handler.headers["Authorization"])
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        said = self.reply(request)
        with self.lock:
            self.busy -= 1
        status, body, headers = said if isinstance(said, tuple) else (200, said, {})
        if isinstance(body, str):
            body = {"choices": [{"message": {"content": body}}]}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def score_model(server: Server, folder: Path, **endpoint: Any) -> dict[str, Any]:
    return {
        "type": "score_model",
        "model": "judge",
        "input": [{"role": "user", "content": "{{ item.question }} {{ sample.output_text }}"}],
        "endpoint": {"base_url": server.url, "cache": str(folder / "cache"), **endpoint},
    }


def graded(folder: Path, table: dict[str, Any], *texts: str) -> tuple[Feedback, ...]:
    path = folder / "judge.json"
    path.write_text(json.dumps(table))
    task = Task(id="t", messages=({"role": "user", "content": "Why?"},))
    group = Group(task=task, rollouts=tuple(map(recorded, texts)))
    (judged,) = judge([group], build_grader(str(path)))
    return judged.feedback


def test_a_score_and_how_it_was_asked_for(server: Server, tmp_path: Path) -> None:
    table = score_model(server, tmp_path) | {
        "sampling_params": {"temperature": 0, "max_completions_tokens": 9}
    }
    assert graded(tmp_path, table, "Because.") == (Feedback(score=0.5, note="fine"),)
    (request,) = server.asked
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"], request["max_completion_tokens"]) == ("judge", 0, 9)
    assert request["messages"][1:] == [{"role": "user", "content": "Why? Because."}]
    assert request["response_format"]["json_schema"]["schema"]["properties"]["result"] == {"type": "number"}
    assert server.keys == ["Bearer secret"]


def test_the_range_is_kept(server: Server, tmp_path: Path) -> None:
    server.reply = lambda request: json.dumps(
        {"steps": "", "result": int(request["messages"][1]["content"][5:])}
    )
    table = score_model(server, tmp_path) | {"range": [1, 10]}
    low, high, beyond = graded(tmp_path, table, "1", "10", "11")
    assert (low.score, high.score) == (1, 10)
    assert beyond == Feedback(score=None, error="the judge gave 11, which is not from 1 to 10")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("good", "the judge did not answer as asked: 'good'"),
        ('{"result": "0.5"}', "the judge gave '0.5', not a number"),
        ('{"result": true}', "the judge gave True, not a number"),
        ('{"result": NaN}', "the judge gave nan, not a number"),
        ('{"score": 1}', "the judge did not answer as asked"),
        ("", "the judge gave no answer"),
        ((200, {"choices": []}, {}), "the judge's reply is no chat completion"),
        (
            (200, {"choices": [{"message": {"content": None, "refusal": "I won't"}}]}, {}),
            'gave no answer: "I won\'t"',
        ),
        ((200, b"<html>", {}), "the judge's server: JSONDecodeError"),
        ((401, {"error": {"message": "bad key"}}, {}), "the judge's server answered 401: bad key"),
        ((302, b"", {"Location": "http://127.0.0.1:9/"}), "the judge's server answered 302"),
        ((500, b"oops", {}), "the judge's server answered 500: oops (tried 2 times)"),
    ],
)
def test_what_is_no_score_is_an_error(server: Server, tmp_path: Path, reply: Any, error: str) -> None:
    server.reply = lambda request: reply
    (feedback,) = graded(tmp_path, score_model(server, tmp_path, tries=2), "x")
    assert feedback.score is None
    assert feedback.error is not None and error in feedback.error
    assert "secret" not in feedback.error
    assert not (tmp_path / "cache").exists()


def test_words_around_the_json_do_no_harm(server: Server, tmp_path: Path) -> None:
    server.reply = lambda request: 'Sure:\n```json\n{"steps": "s", "result": 1}\n```'
    assert graded(tmp_path, score_model(server, tmp_path), "x")[0].score == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    replies = iter([(429, b"", {"Retry-After": "0"}), (503, b"", {"Retry-After": "0"}), '{"result": 1}'])
    server.reply = lambda request: next(replies)
    assert graded(tmp_path, score_model(server, tmp_path), "x")[0].score == 1
    assert len(server.asked) == 3


def test_nobody_there_is_an_error(server: Server, tmp_path: Path) -> None:
    table = score_model(server, tmp_path, base_url="http://127.0.0.1:9/v1", tries=2)
    (feedback,) = graded(tmp_path, table, "x")
    assert feedback.score is None
    assert feedback.error is not None and "refused" in feedback.error and "tried 2 times" in feedback.error


def test_the_same_request_is_asked_once_and_kept(server: Server, tmp_path: Path) -> None:
    table = score_model(server, tmp_path)
    assert [one.score for one in graded(tmp_path, table, "x", "x", "y")] == [0.5] * 3
    assert len(server.asked) == 2
    assert [one.score for one in graded(tmp_path, table, "y", "x")] == [0.5] * 2
    assert len(server.asked) == 2
    graded(tmp_path, table | {"model": "other"}, "x")
    assert len(server.asked) == 3
    graded(tmp_path, score_model(server, tmp_path, cache=""), "x")
    assert len(server.asked) == 4
    assert not any("secret" in file.read_text() for file in (tmp_path / "cache").rglob("*.txt"))


def test_requests_run_side_by_side_within_the_limit(server: Server, tmp_path: Path) -> None:
    def slowly(request: dict[str, Any]) -> str:
        time.sleep(0.2)
        return '{"result": 1}'

    server.reply = slowly
    start = time.monotonic()
    graded(tmp_path, score_model(server, tmp_path, concurrency=4), *map(str, range(8)))
    assert time.monotonic() - start < 8 * 0.2
    assert 2 <= server.busiest <= 4


def test_the_cap_on_time(server: Server, tmp_path: Path) -> None:
    server.reply = lambda request: time.sleep(3) or '{"result": 1}'
    start = time.monotonic()
    table = score_model(server, tmp_path, max_seconds=0.5, concurrency=1, tries=3)
    feedback = graded(tmp_path, table, "x", "y")
    assert time.monotonic() - start < 2.5
    assert [one.score for one in feedback] == [None, None]
    assert feedback[1].error == "the judge's max_seconds of 0.5 s are over"


def test_the_cap_on_cost(server: Server, tmp_path: Path) -> None:
    server.reply = lambda request: (
        200,
        {
            "choices": [{"message": {"content": '{"result": 1}'}}],
            "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 100_000},
        },
        {},
    )
    prices = {"max_cost": 5, "input_price": 2, "output_price": 5, "concurrency": 1}  # $2.50 a request
    feedback = graded(tmp_path, score_model(server, tmp_path, **prices), "a", "b", "c")
    assert [one.score for one in feedback] == [1, 1, None]
    assert feedback[2].error == "the judge's max_cost of $5 is spent"
    assert len(server.asked) == 2


def test_labels(server: Server, tmp_path: Path) -> None:
    server.reply = lambda request: json.dumps({"steps": "", "result": request["messages"][1]["content"][5:]})
    table = score_model(server, tmp_path) | {
        "type": "label_model",
        "labels": ["good", "fair", "bad"],
        "passing_labels": ["good", "fair"],
    }
    good, fair, bad, other = graded(tmp_path, table, "good", "fair", "bad", "great")
    assert (good.score, fair.score, bad.score) == (1, 1, 0)
    assert other == Feedback(score=None, error="the judge gave 'great', which is none of the labels")


def test_an_answer_that_cannot_be_put_in_scores_lowest_and_is_not_asked_about(
    server: Server, tmp_path: Path
) -> None:
    table = score_model(server, tmp_path) | {
        "range": [1, 5],
        "input": [{"role": "user", "content": "{{ sample.output_json.a }}"}],
    }
    assert graded(tmp_path, table, "x") == (Feedback(score=1.0, note="the answer is not JSON"),)
    table["input"] = [{"role": "user", "content": "{{ item.rubric }}"}]
    (feedback,) = graded(tmp_path, table, "x")
    assert feedback.error is not None and feedback.error.startswith("item.rubric: there is no key 'rubric'")
    assert server.asked == []


def test_the_answer_cannot_reach_other_values(server: Server, tmp_path: Path) -> None:
    graded(tmp_path, score_model(server, tmp_path), "{{ item.question }} \ud800 \u2028")
    assert server.asked[0]["messages"][1]["content"] == "Why? {{ item.question }} \ud800 \u2028"


def test_a_key_that_cannot_be_one_is_not_shown(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\nsk-2")
    with pytest.raises(UsageError, match="OPENAI_API_KEY holds what cannot be a key") as error:
        graded(tmp_path, score_model(server, tmp_path), "x")
    assert "sk-" not in str(error.value)
