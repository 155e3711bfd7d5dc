"""Files and what is read from messages, by hand: no Lean is asked."""

from goalward.formal.lean_source import Finding, Job, Message, judge, shift, write

ALLOWED = frozenset({"propext"})
JOBS = [Job(statement="A", body="a\nb"), Job(statement="B", body="c"), Job(statement="A", body="d")]


def told(line: int, text: str, severity: str = "information", column: int = 0) -> Message:
    return Message(severity, line, column, text)


def none(name: str) -> str:
    return f"'{name}' does not depend on any axioms"


def answers(source, offset: int = 0) -> list[Message]:
    """What Lean says where all is well."""
    asked = [source.anchor, *((span[3], name) for span, name in zip(source.spans, source.names, strict=True))]
    return [told(line + offset, none(name)) for line, name in asked]


def test_the_file():
    source = write(JOBS)
    lines = ["", *source.text.split("\n")]
    first, second, third = source.names
    number = first.split("_")[1]
    assert (
        source.text
        == f"""theorem anchor_{number} : True := True.intro
#print axioms anchor_{number}
def claim_{number}_0 : Prop := (
A
)
def claim_{number}_1 : Prop := (
B
)
theorem _root_.candidate_{number}_0 : (
A
) := (
a
b
)
theorem _root_.{first} : _root_.claim_{number}_0 := @_root_.candidate_{number}_0
#print axioms _root_.{first}
theorem _root_.candidate_{number}_1 : (
B
) := (
c
)
theorem _root_.{second} : _root_.claim_{number}_1 := @_root_.candidate_{number}_1
#print axioms _root_.{second}
theorem _root_.candidate_{number}_2 : (
A
) := (
d
)
theorem _root_.{third} : _root_.claim_{number}_0 := @_root_.candidate_{number}_2
#print axioms _root_.{third}
"""
    )
    assert source.anchor == (2, f"anchor_{number}")
    assert source.definitions == ((3, 5), (6, 8), (3, 5))
    assert source.spans == ((9, 12, 14, 16), (17, 20, 21, 23), (24, 27, 28, 30))
    assert lines[12] == "a" and lines[20] == "c"


def test_all_is_well():
    source = write(JOBS)
    for offset in (0, 44, -1):
        messages = answers(source, offset)
        assert shift(source, messages) == offset
        assert judge(source, messages, ALLOWED) == dict.fromkeys(range(3), Finding(status="ok"))


def test_axioms_are_read_over_several_lines():
    source = write(JOBS[:1])
    text = f"'{source.names[0]}' depends on axioms: [propext,\n Quot.sound,\n   Classical.choice]"
    messages = [*answers(source)[:1], told(source.spans[0][3], text)]
    everything = frozenset({"propext", "Quot.sound", "Classical.choice"})
    good = Finding(status="ok", axioms=("propext", "Quot.sound", "Classical.choice"))
    assert judge(source, messages, everything) == {0: good}
    bad = Finding(status="rejected", messages=("it rests on Quot.sound, Classical.choice",))
    assert judge(source, messages, ALLOWED) == {0: bad}


def test_without_an_answer_nothing_is_known():
    source = write(JOBS)
    messages = answers(source)
    assert set(judge(source, messages[:-1], ALLOWED)) == {0, 1}
    assert judge(source, messages[1:], ALLOWED) == {}  # not even where the lines are
    assert judge(source, [], ALLOWED) == {}


def test_an_error_outweighs_an_answer():
    source = write(JOBS)
    first, begins, ends, last = source.spans[0]
    for line, place in ((first, ""), (begins, "1:6: "), (begins + 1, "2:6: "), (ends, "3:6: "), (last, "")):
        found = judge(source, [*answers(source), told(line, "no", "error", column=5)], ALLOWED)
        assert found[0] == Finding(status="rejected", messages=(f"{place}no",))
        assert found[1].status == found[2].status == "ok"


def test_an_error_in_a_statement_counts_for_all_that_claim_it():
    source = write(JOBS)
    found = judge(source, [*answers(source), told(4, "no", "error")], ALLOWED)
    assert [found[job].status for job in range(3)] == ["rejected", "ok", "rejected"]


def test_warnings_and_other_words_are_no_errors_and_no_answers():
    source = write(JOBS)
    line = source.spans[0][3]
    noise = [told(line, "declaration uses 'sorry'", "warning"), told(line - 1, "error: sorryAx")]
    assert judge(source, [*answers(source), *noise], ALLOWED)[0].status == "ok"


def test_counterfeits_do_not_count():
    source = write(JOBS)
    name, (first, begins, _, last) = source.names[0], source.spans[0]
    others = [message for message in answers(source) if message.line != last]
    for forged in (
        told(begins, none(name)),  # at another line
        told(first, none(name)),
        told(last, none(name), "warning"),  # of another kind
        told(last, none(name), column=3),  # at another column
        told(last, none(f"{name}x")),  # of another name
        told(last, none(source.names[1])),
        told(last, f"{none(name)} or so"),
        told(last, f"it is true that {none(name)}"),
        told(last, f"'{name}' depends on axioms: []"),
    ):
        known = judge(source, [*others, forged], ALLOWED)
        assert known.get(0) is None or known[0].status != "ok", forged
    # Two answers at one place are one too many, whatever they say.
    assert 0 not in judge(source, [*answers(source), told(last, none(name))], ALLOWED)


def test_out_of_breath_is_not_wrong():
    source = write(JOBS)
    slow = told(
        source.spans[1][1], "(deterministic) timeout: maximum number of heartbeats (2) reached", "error"
    )
    assert judge(source, [*answers(source), slow], ALLOWED)[1].status == "timeout"


def test_names_cannot_be_guessed():
    assert len({write(JOBS).names for _ in range(50)}) == 50
