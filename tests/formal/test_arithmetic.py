"""Natural numbers: notation, the equations of + and *, Peano's rules, and theorems proved by hand, with Lean."""

import pickle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_proofs import mutant

from goalward.errors import UsageError
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import (
    countermodel,
    equal,
    forall,
    generalize,
    implies,
    negation,
    normal,
    parse,
    show,
)
from goalward.formal.goal import Goal, TacticError
from goalward.formal.kernel import (
    App,
    At,
    Every,
    Fun,
    Induction,
    Injective,
    Never,
    ProofError,
    Rewrite,
    Same,
    Trivial,
    Var,
    check,
)
from goalward.formal.lean import Job, Lean
from goalward.formal.lean_find import find_lean, library
from goalward.formal.numbers import (
    ZERO,
    bound,
    free,
    number_level,
    number_name,
    plus,
    succ,
    times,
)
from goalward.formal.numbers import normal as normal_number
from goalward.formal.proof import read_script, verify
from goalward.formal.reading import parse_number
from goalward.formal.script import lean_script
from goalward.formal.tactics import moves, run

ONE = succ(ZERO)

terms = st.recursive(
    st.sampled_from([ZERO, ONE, free(0), free(1)]),
    lambda inner: st.builds(succ, inner) | st.builds(plus, inner, inner) | st.builds(times, inner, inner),
    max_leaves=8,
)


def value(number, n, m):
    """What it means, the plain way."""
    if number.op == "0":
        return 0
    if number.op == "free":
        return (n, m)[number.index]
    parts = [value(part, n, m) for part in number.parts]
    return {"succ": lambda a: a + 1, "+": lambda a, b: a + b, "*": lambda a, b: a * b}[number.op](*parts)


def random_number(chance: Random, depth: int):
    if depth == 0 or chance.random() < 0.2:
        return chance.choice([ZERO, ONE, free(0), free(1)])
    make = chance.choice([lambda a, b: succ(a), plus, plus, times])
    return make(random_number(chance, depth - 1), random_number(chance, depth - 1))


@pytest.fixture(scope="module")
def lean() -> Lean:
    if library() is None:
        pytest.skip("arithmetic is NOT compared with Lean: the `lean` extra is missing")
    return find_lean()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("∀ n, 0 + n = n", forall(equal(plus(ZERO, bound(0)), bound(0)))),
        ("∀ n, ∀ m, n + succ m = 2", forall(forall(equal(plus(bound(1), succ(bound(0))), succ(ONE))))),
        ("∀ n, n = 0 → ⊥", forall(negation(equal(bound(0), ZERO)))),
        ("p ∧ (∀ n, n = n) → q", implies(parse("p ∧ ∀ n, n = n"), parse("q"))),
        ("0 * (1 + 1) = 0", equal(times(ZERO, plus(ONE, ONE)), ZERO)),
        ("1 + 1 + 1 = 1 + (1 + 1)", equal(plus(plus(ONE, ONE), ONE), plus(ONE, plus(ONE, ONE)))),
        (
            "∀ n, (∀ m, m = n) → n = 0",
            forall(implies(forall(equal(bound(0), bound(1))), equal(bound(0), ZERO))),
        ),
    ],
)
def test_notation_by_hand(text, meant):
    assert parse(text) is meant
    assert parse(show(meant)) is meant
    assert show(meant) == text.replace("n = 0 → ⊥", "¬n = 0")
    assert pickle.loads(pickle.dumps(meant)) is meant


def test_names_of_bound_variables_do_not_matter():
    assert parse("∀ x y, x + y = y + x") is parse("forall n m, (n) + m = (m + n)")
    assert parse("∀ n, ∀ n, n = 0") is parse("∀ n, ∀ m, m = 0")
    assert parse("n + m = k", 3) is equal(plus(free(0), free(1)), free(2))
    assert parse("∀ n, n = m", 2) is forall(equal(bound(0), free(1)))
    assert parse("∀ n, ((n = n))") is parse("∀ n, n = n")
    for level in range(40):
        assert number_level(number_name(level)) == level
    assert [number_level(name) for name in ["", "h", "n0", "m01", "nn", "n999999", "²"]] == [-1] * 7


@given(terms, terms, st.booleans())
def test_what_is_shown_reads_back_as_itself(a, b, outside):
    formula = equal(a, b) if outside else forall(generalize(equal(a, b), free(1)).parts[0])
    assert parse(show(formula), 2) is formula
    assert parse_number(str(a), 2) is a


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n = 0", "column 1; n is no number that is known; bind it with ∀ n"),
        ("p → ∀ n, n + m = n", "column 14; m is no number"),
        ("∀ , p", "column 3;"),
        ("∀ n p", "column 6;"),
        ("∀ n, n =", "column 9;"),
        ("0 = 101", "numbers go up to 100"),
        ("0 = " + "0" * 50 + "9" * 5000, "numbers go up to 100"),
        ("0 = 0 = 0", "column 7;"),
        ("succ 0", "column 6;"),
        ("(" * 300 + "0 = 0", "deeper than 200"),
        ("∀ " + "n " * 300 + ", p", "deeper than 200"),
        ("succ " * 300 + "0 = 0", "deeper than 200"),
    ],
)
def test_what_is_no_formula_says_where(text, why):
    with pytest.raises(UsageError, match=why):
        parse(text)


@given(st.text("pnsuc01 ()∧→¬∀,=+*", max_size=30))
def test_any_text_is_a_formula_or_refused_in_words(text):
    try:
        found = parse(text)
    except UsageError as error:
        assert str(error).startswith("not a formula")
    else:
        assert parse(show(found)) is found


@given(terms, terms)
def test_normal_forms_mean_the_same(a, b):
    for n, m in [(0, 0), (1, 0), (2, 3)]:
        assert value(normal_number(a), n, m) == value(a, n, m)
    assert normal_number(normal_number(a)) is normal_number(a)
    assert normal(equal(a, b)) is equal(normal_number(a), normal_number(b))
    closed = plus(times(a, ZERO), succ(ZERO))
    assert normal_number(closed) is ONE


def test_equations_by_hand():
    n, m = free(0), free(1)
    for left, right in [
        ("n + 0", "n"),
        ("n + succ m", "succ (n + m)"),
        ("n * 0", "0"),
        ("n * succ m", "n * m + n"),
        ("2 * 3", "6"),
        ("n * 2", "0 + n + n"),
    ]:
        assert normal_number(parse_number(left, 2)) is normal_number(parse_number(right, 2))
    for left, right in [(plus(ZERO, n), n), (plus(n, m), plus(m, n)), (times(ZERO, n), ZERO)]:
        assert normal_number(left) is not normal_number(right)  # these want induction


def test_tables_do_not_speak_of_numbers():
    with pytest.raises(UsageError, match="propositional"):
        countermodel(parse("∀ n, n = n"))


N = free(0)
ZERO_PLUS = parse("∀ n, 0 + n = n")
HYPOTHESIS = equal(plus(ZERO, N), N)
STEP = Every(
    Fun(
        HYPOTHESIS,
        Rewrite(forall(equal(succ(plus(ZERO, N)), succ(bound(0)))), Var(0), Same(succ(plus(ZERO, N)))),
    )
)
PROOF = Induction(ZERO_PLUS, Same(ZERO), STEP)
LATE = parse("0 = 0 ∧ ∀ n, n = 0")

RULES = [
    (PROOF, "∀ n, 0 + n = n"),
    (Every(Same(N)), "∀ n, n = n"),
    (Every(Same(N)), "∀ n, n + 0 = n"),
    (Every(Every(Same(free(1)))), "∀ n, ∀ m, m = m"),
    (Every(Every(Same(free(0)))), "∀ n, ∀ m, n = n"),
    (At(Every(Same(N)), ONE), "1 = 1"),
    (Fun(parse("∀ n, n = 0"), At(Var(0), ONE)), "(∀ n, n = 0) → 1 = 0"),
    (Fun(parse("1 = 2"), Injective(Var(0))), "1 = 2 → 0 = 1"),
    (Fun(parse("0 + 1 = 1 + 1"), Injective(Var(0))), "0 + 1 = 1 + 1 → 0 = 1"),
    (Fun(parse("1 = 0"), Never(Var(0))), "¬1 = 0"),
    (Fun(parse("1 + 1 = 1 * 0"), Never(Var(0))), "¬1 + 1 = 1 * 0"),
    (Every(Fun(equal(N, ZERO), Rewrite(forall(equal(bound(0), N)), Var(0), Same(N)))), "∀ n, n = 0 → 0 = n"),
    (Every(Fun(parse("∀ n, n = 0"), At(Var(0), N))), "∀ n, (∀ m, m = 0) → n = 0"),
]

BROKEN = [
    (PROOF, "∀ n, n + 0 = 0", "proves ∀ n, 0 \\+ n = n, not"),
    (Induction(ZERO_PLUS, Same(ONE), STEP), "∀ n, 0 + n = n", "1 = 1 where 0 \\+ 0 = 0 is due"),
    (Induction(parse("0 = 0"), Same(ZERO), STEP), "0 = 0", "0 = 0 stands where some ∀ n, F"),
    (Induction(ZERO_PLUS, Same(ZERO), Every(Fun(HYPOTHESIS, Var(0)))), "∀ n, 0 + n = n", "is due"),
    (Every(Same(free(1))), "∀ n, n = n", "names a number that is not around it"),
    (Same(N), "0 = 0", "names a number that is not around it"),
    (Same(bound(0)), "0 = 0", "names a number that is not around it"),
    # n = 0 for one n is not n = 0 for all: the assumption is outside of the ∀ over its own variable
    (Fun(equal(N, ZERO), Every(Var(0))), "⊤", "not around it"),
    (
        Every(Fun(equal(N, ZERO), Every(Var(0)))),
        "∀ n, n = 0 → ∀ m, m = 0",
        "not ∀ n, n = 0 → \\(∀ m, m = 0\\)",
    ),
    (At(Same(ZERO), ZERO), "0 = 0", "0 = 0 stands where some ∀"),
    (At(Every(Same(N)), N), "0 = 0", "not around it"),
    (At(Every(Same(N)), ONE), "0 = 0", "proves 1 = 1, not 0 = 0"),
    (Rewrite(parse("∀ n, n = 0"), Trivial(), Same(ZERO)), "0 = 0", "some a = b is due"),
    (Rewrite(parse("0 = 0"), Same(ZERO), Same(ZERO)), "0 = 0", "some ∀ n, F is due"),
    (Rewrite(parse("∀ n, n = 0"), Same(ONE), Same(ZERO)), "1 = 0", "0 = 0 where 1 = 0 is due"),
    (Fun(parse("0 = 1"), Injective(Var(0))), "0 = 1 → 0 = 0", "some succ a = succ b is due"),
    (Fun(parse("0 = 1"), Never(Var(0))), "¬0 = 1", "some succ a = 0 is due"),
    (Fun(parse("p"), Never(Var(0))), "¬p", "some a = b is due"),
    (App(Every(Same(N)), Same(ZERO)), "0 = 0", "some a → b is due"),
    (Same(times(plus(ONE, ONE), ZERO)), "1 = 0", "not 1 = 0"),
    (Every(Same(times(N, ZERO))), "0 = 0", "not 0 = 0"),
]


@pytest.mark.parametrize(("term", "proved"), RULES)
def test_each_rule(term, proved):
    check(term, parse(proved))


LOST = [  # variables without their ∀, which in Lean would be caught by another: no term of Lean's says this
    (Rewrite(forall(equal(N, bound(0))), Same(ZERO), Same(ZERO)), "0 = 0", "not around it"),
    (Every(Same(bound(0))), "∀ n, n = n", "names a number that is not around it"),
    (Every(Fun(equal(bound(0), ZERO), Var(0))), "∀ n, n = 0 → n = 0", "not around it"),
]


@pytest.mark.parametrize(("term", "claimed", "wrong"), [*BROKEN, *LOST])
def test_each_way_to_break_one(term, claimed, wrong):
    with pytest.raises(ProofError, match=wrong):
        check(term, parse(claimed))


def test_a_statement_must_be_closed():
    for statement in [equal(times(N, ZERO), ZERO), equal(times(bound(0), ZERO), ZERO)]:
        with pytest.raises(ProofError, match="not around it"):
            check(Same(ZERO), statement)


def test_a_number_that_explodes_is_no_proof_and_no_hang():
    big = parse_number("100")
    for _ in range(5):
        big = times(big, big)
    with pytest.raises(ProofError, match="too large"):
        check(Same(big), equal(big, ONE))
    assert not [text for text, _ in moves(Goal((), equal(big, ONE))) if text == "rfl"]


ADD_ZERO = "have ∀ n, 0 + n = n; intro; induction n; rfl; rw h1; rfl"
ADD_SUCC = "have ∀ n m, succ n + m = succ (n + m); intro; intro; induction m; rfl; rw h2; rfl"
ADD_COMM = f"""{ADD_ZERO}; {ADD_SUCC}; intro; intro; induction m
    specialize h1 with n; rw h1; rfl
    specialize h2 with m; specialize h2 with n; rw h2; rw h3; rfl"""

MUL_COMM = """have ∀ n m, succ n + m = succ (n + m); intro; intro; induction m; rfl; rw h1; rfl
    have ∀ n m k, n + m + k = n + k + m; intro; intro; intro; induction k; rfl
    specialize h1 with n + k; specialize h1 with m; rw h1; rw h2; rfl
    have ∀ n, 0 * n = 0; intro; induction n; rfl; rw h3; rfl
    have ∀ n m, succ n * m = n * m + m; intro; intro; induction m; rfl
    specialize h2 with n * m; specialize h2 with m; specialize h2 with n; rw h4; rw h2; rfl
    intro; intro; induction m
    specialize h3 with n; rw h3; rfl
    specialize h4 with m; specialize h4 with n; rw h4; rw h5; rfl"""

THEOREMS = {
    "∀ n, 0 + n = n": "intro; induction n; rfl; rw h1; rfl",
    "∀ n m, succ m + n = succ (m + n)": "intro; intro; induction n; rfl; rw h1; rfl",
    "∀ m n, m + n = n + m": ADD_COMM,
    "∀ n m k, (n + m) + k = n + (m + k)": "intro; intro; intro; induction k; rfl; rw h1; rfl",
    "∀ n m, n * m = m * n": MUL_COMM,
    "∀ n, 0 * n = 0": "intro; induction n; rfl; rw h1; rfl",
    "∀ n m, succ n = succ m → n = m": "intro; intro; intro; injection h1; exact h1",
    "∀ n, ¬succ n = n": "intro; induction n; intro; injection h1; intro; apply h1; injection h2; exact h2",
    "∀ n, ¬0 = succ n": "intro; intro; injection h1",
    "∀ n m, n = m → m = n": "intro; intro; intro; rw h1; rfl",
    "∀ n m k, n = m → m = k → n = k": "intro; intro; intro; intro; intro; rw h1; exact h2",
    "∀ n, n = 0 ∨ ¬n = 0": "intro; induction n; left; rfl; right; intro; injection h2",
    "2 * 3 = 6 ∧ (p → p)": "constructor; rfl; intro; exact h1",
    "∀ n, n + 1 = succ n": "intro; rfl",
    "∀ n, 1 * n = n": "intro; induction n; rfl; rw h1; rfl",
    # the inner n is another one: what was shown of the outer stays true of it
    "∀ n, n = 0 → (∀ n, n + 0 = n) ∧ n = 0": "intro; intro; constructor; intro; rfl; exact h1",
    "(∀ n, n = 0) → p": "intro; specialize h1 with 1; injection h1",
    # n is no longer spoken of when the second number comes, and takes its name
    "∀ n, ∀ m, m + 0 = m ∨ p": "intro; intro; left; rfl",
    "(∀ n, p) → p": "intro; specialize h1 with 0; exact h1",
    "p → ∀ n, p ∨ n = 1": "intro; intro; left; exact h1",
    "∀ n, (n = 1 → p) → n = 1 → ∀ m, p ∨ m = m": "intro; intro; intro; specialize h1; exact h2; intro; left; exact h1",
    "(∀ n, n = n → p) → p ∨ q": "intro; by_contra; apply h2; left; specialize h1 with 3; apply h1; rfl",
}


@pytest.mark.parametrize("statement", THEOREMS)
def test_theorems_by_hand(statement):
    formula = parse(statement)
    proof = read_script(formula, THEOREMS[statement])
    check(verify(formula, proof), formula)
    assert read_script(formula, "\n".join(proof.lines)) == proof
    assert lean_script(formula, proof).startswith("open Nat in\ntheorem found : ")


def test_what_tactics_make_of_goals():
    def goal(*texts: str) -> Goal:
        *known, target = (parse(text, 3) for text in texts)
        return Goal(tuple(known), target)

    for before, tactic, after in [
        (["∀ n, n = k"], "intro", [["i = k"]]),
        (["n = n + 0"], "rfl", []),
        (["m = 0", "n = m"], "rw h1", [["m = 0", "n = 0"]]),
        (["m = 0", "n = 0"], "rw ← h1", [["m = 0", "n = m"]]),
        (["m = 0", "∀ n, n = m"], "rw h1", [["m = 0", "∀ n, n = 0"]]),
        (["0 + m = m", "0 + succ m = 1"], "rw h1", [["0 + m = m", "succ m = 1"]]),
        (["p", "n = m"], "induction n", [["p", "0 = m"], ["p", "n = m", "succ n = m"]]),
        (["∀ n, n = m", "p"], "specialize h1 with m + 1", [["m + 1 = m", "p"]]),
        (["succ n = m + 1", "p"], "injection h1", [["n = m", "p"]]),
        (["0 = m + 1", "p"], "injection h1", []),
        (["p"], "have 0 = 0", [["0 = 0"], ["0 = 0", "p"]]),
    ]:
        left = run(goal(*before), tactic).goals
        assert [(*one.hypotheses, one.target) for one in left] == [
            tuple(parse(text, 4) for text in one) for one in after
        ]
    for before, tactic in [
        (["n = m"], "rfl"),
        (["n = 0", "n = m"], "induction n"),
        (["p", "m = m"], "induction n"),
        (["p"], "induction n"),
        (["n = n"], "induction m"),
        (["n = n"], "induction"),
        (["m = 0", "n = 0"], "rw h1"),
        (["p", "n = 0"], "rw h1"),
        (["p", "n = 0"], "rw h2"),
        (["∀ n, n = m", "p"], "specialize h1 with i"),
        (["∀ n, n = m", "p"], "specialize h1 with"),
        (["p", "p"], "specialize h1 with 0"),
        (["n = 1", "p"], "injection h1"),
        (["p", "p"], "injection h1"),
        (["p"], "have n = 0"),
    ]:
        with pytest.raises(TacticError, match=f"^'{tactic}"):
            run(goal(*before), tactic)
    known = [text for text, _ in moves(goal("m = 0", "n + m = m"))]
    assert known == ["exfalso", "by_contra", "induction n", "rw h1"]


def test_lean_accepts_every_theorem_and_no_other(lean):
    proved = [
        (parse(text), verify(parse(text), read_script(parse(text), script)))
        for text, script in THEOREMS.items()
    ]
    jobs = [Job(statement=lean_statement(s), body=lean_term(t, s)) for s, t in proved]
    for job, verdict in zip(jobs, lean.check(jobs), strict=True):
        assert verdict.status == "ok", (job, verdict.messages)
    rules = [(parse(s), t) for t, s in RULES] + [(parse(s), t) for t, s, _ in BROKEN]
    jobs = [Job(statement=lean_statement(s), body=lean_term(t, s)) for s, t in rules]
    found = [verdict.status for verdict in lean.check(jobs)]
    assert found == ["ok"] * len(RULES) + ["rejected"] * len(BROKEN)


def test_kernel_and_lean_agree_on_mutants_and_on_equations(lean):
    chance = Random(9)
    pairs = []
    while len(pairs) < 200:  # equations are the same, or not, by reckoning
        one, two = (random_number(chance, 3) for _ in range(2))
        other = chance.choice([two, normal_number(one), plus(one, ZERO), plus(one, times(two, ZERO))])
        pairs.append((Every(Every(Same(one))), generalize(generalize(equal(one, other), free(1)), free(0))))
    proofs = [(verify(parse(s), read_script(parse(s), script)), parse(s)) for s, script in THEOREMS.items()]
    for _ in range(300):
        term, statement = chance.choice(proofs)
        pairs.append(mutant(chance, term, statement))
    verdicts = lean.check([Job(statement=lean_statement(s), body=lean_term(t, s)) for t, s in pairs])
    kept = 0
    for (term, statement), verdict in zip(pairs, verdicts, strict=True):
        try:
            check(term, statement)
        except ProofError as error:
            assert verdict.status == "rejected", (term, statement, error)
        else:
            kept += 1
            assert verdict.status == "ok", (term, statement, verdict.messages)
    assert 50 < kept < 400
