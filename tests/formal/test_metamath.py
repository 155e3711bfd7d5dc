"""set.mm's propositional theorems: the reader, and the list that is shipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goalward.errors import UsageError
from goalward.formal.formula import atoms, canonical, is_tautology, parse
from goalward.formal.metamath import as_list, assertions, formula, shipped, theorems

TINY = r"""$( set.mm - Version of 1-Jan-2000 $)
$c ( ) -> -. /\ \/_ <-> |- wff = class T. $.
$v ph ps ch x $.
wph $f wff ph $.  wps $f wff ps $.  wch $f wff ch $.
wi $a wff ( ph -> ps ) $.
ax-1 $a |- ( ph -> ( ps -> ph ) ) $.   $( an axiom, not a theorem $)
${
  mp.1 $e |- ph $.
  ${ mp.2 $e |- ( ph -> ps ) $. inner $p |- ps $= ( x ) ABC $. $}
  outer $p |- ( ps -> ph ) $= ? $.
$}
id $p |- ( ps -> ps ) $= ( wi ) AB $( a comment $p |- ch $= $. $) C $.
again $p |- ( ch -> ch ) $= ? $.
three $p |- ( ( ps /\ ph /\ ch ) -> ps ) $= ? $.
xor $p |- ( ( ph \/_ ps ) -> -. ( ph <-> ps ) ) $= ? $.
eq $p |- x = x $= ? $.
syntax $p wff ( ph -> ph ) $= ? $.
true $p |- ( -. T. -> ph ) $= ? $.
"""


def tiny(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.mm"
    path.write_text(text)
    return path


def test_the_reader_takes_closed_propositional_theorems_once(tmp_path: Path):
    found = theorems(tiny(tmp_path))
    assert [(one.label, str(one.statement)) for one in found] == [
        ("id", "p → p"),
        ("three", "p ∧ q ∧ r → p"),
        ("true", "¬⊤ → p"),
    ]


def test_hypotheses_hold_where_their_block_does(tmp_path: Path):
    found = {one.label: one.hypotheses for one in assertions(tiny(tmp_path))}
    assert found["inner"] == (("ph",), ("(", "ph", "->", "ps", ")"))
    assert found["outer"] == (("ph",),)
    assert found["id"] == ()
    assert "syntax" not in found and "ax-1" not in found


def test_what_is_propositional(tmp_path: Path):
    found = {one.label for one in assertions(tiny(tmp_path)) if one.propositional}
    assert found == {"inner", "outer", "id", "again", "three", "true"}


@pytest.mark.parametrize(
    "symbols", ["", "( ph", "( ph -> ps ) ps", "ph ps", "( ph -> ps -> ch )", "( ph /\\ ps \\/ ch )", ")"]
)
def test_what_is_no_formula(symbols: str):
    assert formula(symbols.split()) is None


def test_four_places_are_not_read():
    four, three = "( ph /\\ ps /\\ ch /\\ th )", "( ph \\/ ps \\/ ch )"
    assert formula(four.split()) is None
    assert formula(three.split()) is parse("ph ∨ (ps ∨ ch)")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("theorem p : True", "no Metamath database"),
        ("id $p |- ( ph -> ph ) $= AB", r"ends within 'id': there is no \$\."),
        ("id $p |- ( ph -> ph )", r"there is no \$="),
        ("$[ other.mm $] id $p |- ph $= ? $.", r"\$\[ after"),
        ("$} id $p |- ph $= ? $.", r"\$} after"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path: Path, text: str, what: str):
    with pytest.raises(UsageError, match=what):
        list(assertions(tiny(tmp_path, text)))


def test_no_such_file(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        theorems(tmp_path / "set.mm")


def test_the_list_that_is_shipped():
    found = shipped()
    statements = [one.statement for one in found]
    assert len(found) == len(set(statements)) == len({one.label for one in found}) == 687
    assert all(canonical(one) is one for one in statements)
    assert sum(len(atoms(one)) <= 8 for one in statements) == 678
    assert all(
        is_tautology(one) for one in statements
    )  # also the nine of 9 to 12 variables: 4,096 rows at most
    assert {"biass", "pm5.74", "or4", "jcab"} <= {one.label for one in found}


def test_the_command_writes_a_list_that_reads_as_it_was(tmp_path: Path):
    command = [sys.executable, "-m", "goalward.formal.metamath"]
    done = subprocess.run([*command, tiny(tmp_path)], check=True, capture_output=True)
    assert done.stdout.decode() == as_list(tiny(tmp_path))
    assert "set.mm - Version of 1-Jan-2000" in done.stdout.decode()
    lines = [line.split("\t") for line in done.stdout.decode().splitlines() if line[0] != "#"]
    assert [(label, parse(text)) for label, text in lines] == theorems(tiny(tmp_path))
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert failed.returncode == 1 and "usage: " in failed.stderr and "Traceback" not in failed.stderr


PLACES = [os.environ.get("SET_MM", ""), "/usr/share/metamath/databases/set.mm", "set.mm"]


def test_the_shipped_list_is_what_set_mm_gives():
    real = next((Path(place) for place in PLACES if place and Path(place).is_file()), None)
    if real is None:
        pytest.skip("no set.mm here: install Debian's metamath-databases, or name one with SET_MM=PATH")
    if "Version of 28-Dec-2020" not in real.read_text(encoding="ascii", errors="replace")[:100]:
        pytest.skip(f"{real} is not the version of 28-Dec-2020 that the list was made from")
    every = [one for one in assertions(real) if one.propositional]
    assert len(every) == 2161
    assert sum(not one.hypotheses for one in every) == 879
    assert theorems(real) == list(shipped())
