"""Bodies that prove nothing and want to be taken for proofs. Each claims FALSE or NOT_VALID, which have no proof."""

from goalward.formal.lean import Job

FALSE = "False"
NOT_VALID = "∀ (p q : Prop), Or p q → And p q"
SWAP = "∀ (p q : Prop), And p q → And q p"

COMMANDS = {
    "axiom": "foo\naxiom foo : False",
    "axiom that is used": "True.intro)\naxiom foo : False\ntheorem bar : False := (foo",
    "axiom with the parenthesis closed": "foo)\naxiom foo : False\ndef x : True := (True.intro",
    "axiom first": "\naxiom foo : False\nfoo",
    "theorem": "foo)\ntheorem foo : False := (foo",
    "theorem that refers to itself": "True.intro)\ntheorem foo : False := (foo",
    "def": "True.intro)\ndef foo : False := (foo",
    "unsafe def": "True.intro)\nunsafe def foo (p : Prop) : p := (foo p",
    "unsafe def that is used": "foo False)\nunsafe def foo (p : Prop) : p := (foo p",
    "unsafe": "unsafe (lcUnreachable)",
    "partial def": "True.intro)\npartial def foo (p : Prop) : p := (foo p",
    "opaque": "foo)\nopaque foo : False := (foo",
    "instance": "True.intro)\ninstance foo : False := (foo",
    "abbrev": "foo)\nabbrev foo : False := (foo",
    "example": "True.intro)\nexample : False := (True.intro",
    "noncomputable": "foo)\nnoncomputable def foo : False := (foo",
    "inductive": "True.intro)\ninductive False : Prop where\n  | intro : False\ntheorem x : True := (True.intro",
    "structure": "True.intro)\nstructure S : Type where\n  (x : False",
    "mutual": "True.intro)\nmutual\ntheorem a : False := b\ntheorem b : False := a\nend\ndef x : True := (True.intro",
    "namespace": "True.intro)\nnamespace X\ninductive False : Prop where\n  | intro : False\ntheorem x : True := (True.intro",
    "namespace that stays open": "False.intro)\nnamespace X\ndef False : Prop := True\ntheorem x : False := (True.intro",
    "section": "True.intro)\nsection\nvariable (h : False)\ntheorem x : True := (True.intro",
    "variable": "True.intro)\nvariable (h : False)\ninclude h\ntheorem x : True := (True.intro",
    "end": "True.intro)\nend\ntheorem x : True := (True.intro",
    "open": "open Nat in True.intro",
    "open as a command": "True.intro)\nopen Nat\ntheorem x : True := (True.intro",
    "export": "True.intro)\nexport Nat (zero)\ntheorem x : True := (True.intro",
    "universe": "True.intro)\nuniverse w\ntheorem x : True := (True.intro",
    "set_option in": "set_option maxRecDepth 100 in True.intro",
    "set_option": "True.intro)\nset_option debug.skipKernelTC true\ntheorem x : True := (True.intro",
    "set_option on errors": "True.intro)\nset_option maxErrors 1\ntheorem x : True := (True.intro",
    "attribute": "True.intro)\nattribute [irreducible] Nat.add\ntheorem x : True := (True.intro",
    "attribute of a declaration": "True.intro)\n@[reducible] def x : True := (True.intro",
    "implemented_by": "True.intro)\n@[implemented_by foo] def x : False := (x",
    "extern": 'True.intro)\n@[extern "foo"] opaque x : False := (x',
    "macro": 'macro "foo" : term => `(True.intro)',
    "macro_rules": "True.intro)\nmacro_rules\n  | `(False) => `(True)\ntheorem x : True := (True.intro",
    "notation": 'True.intro)\nnotation "False" => True\ntheorem x : True := (True.intro',
    "local notation": 'True.intro)\nlocal notation "False" => True\ntheorem x : True := (True.intro',
    "infixl": 'True.intro)\ninfixl:65 " + " => Nat.add\ntheorem x : True := (True.intro',
    "syntax": 'True.intro)\nsyntax "foo" : term\ntheorem x : True := (True.intro',
    "elab": 'True.intro)\nelab "foo" : term => True\ntheorem x : True := (True.intro',
    "elab_rules": "True.intro)\nelab_rules : term\n  | `(foo) => True\ntheorem x : True := (True.intro",
    "declare_syntax_cat": "True.intro)\ndeclare_syntax_cat foo\ntheorem x : True := (True.intro",
    "initialize": "True.intro)\ninitialize foo : Nat ← Nat.zero\ntheorem x : True := (True.intro",
    "import": "True.intro)\nimport Init\ntheorem x : True := (True.intro",
    "prelude": "True.intro)\nprelude\ntheorem x : True := (True.intro",
    "#eval": "True.intro)\n#eval Nat.zero\ntheorem x : True := (True.intro",
    "#print axioms": "True.intro)\n#print axioms True.intro\ntheorem x : True := (True.intro",
    "#exit": "True.intro)\n#exit\ntheorem x : True := (True.intro",
    "#reduce": "True.intro)\n#reduce Nat.zero\ntheorem x : True := (True.intro",
    "init_quot": "True.intro)\ninit_quot\ntheorem x : True := (Quot.sound",
    "deriving": "True.intro)\nderiving instance Foo for Nat\ntheorem x : True := (True.intro",
    "private": "True.intro)\nprivate theorem foo : False := (foo",
    "protected": "True.intro)\nprotected theorem foo : False := (foo",
    "run_cmd": "True.intro)\nrun_cmd foo\ntheorem x : True := (True.intro",
}
"""What a term cannot hold: declarations, and what changes how Lean reads."""

TERMS = {
    "sorry": "sorry",
    "sorry inside": "fun p q h => And.intro sorry sorry",
    "sorry after a number": "0sorry",
    "sorry after λ": "(λsorry)",
    "sorryAx": "sorryAx False",
    "sorryAx with its flag": "sorryAx False true",
    "admit": "by admit",
    "sorry by tactic": "by sorry",
    "native_decide": "by native_decide",
    "decide": "by decide",
    "run_tac": "by run_tac (pure ())",
    "by_elab": "by_elab (pure (Lean.mkConst `True.intro))",
    "include_str": 'include_str "/etc/passwd"',
    "unsafe term": "unsafe True.intro",
    "lcProof": "lcProof",
    "lcErased": "(fun (x : lcErased) => x)",
    "stop": "by\n  stop\n  exact foo",
    "let rec": "let rec foo : False := foo; foo",
    "let rec of a function": "let rec foo (p : Prop) : p := foo p; foo False",
    "where": "foo\nwhere\n  foo : False := foo",
    "termination_by": "foo\ntermination_by 0",
    "decreasing_by": "foo\ndecreasing_by sorry",
    "hole": "_",
    "named hole": "?foo",
    "type ascription": "(True.intro : False)",
    "show": "show False from True.intro",
    "have that is not shown": "have h : False := h; h",
    "quoted name": "«sorry»",
    "quotation": "`(sorry)",
    "name that looks like another": "ѕorry",
    "full width": "ｓｏｒｒｙ",
    "zero width": "True\u200b.intro",
    "right to left": "True.intro \u202e False",
    "no-break space": "True.intro\u00a0",
    "line separator": "True.intro\u2028axiom foo : False",
    "bell": "True.intro\x07",
    "nul": "True.intro\x00",
    "string": '"False"',
    "character": "'F'",
    "nothing": "",
    "only a comment": "-- True.intro",
    "wrong proof": "fun p q h => h",
    "proof of something else": "fun (p : Prop) (h : p) => h",
}
"""What stands where a term does and proves nothing."""

SHAPES = {
    "parenthesis closed early": "True.intro) (",
    "parenthesis that does not close": "(True.intro",
    "parenthesis too many": "True.intro)",
    "brackets crossed": "(⟨True.intro)⟩",
    "comment that does not end": "True.intro /- and so on",
    "comment that swallows what follows": "True.intro) /-",
    "comment that only ends": "True.intro -/",
    "comment in a comment": "True.intro /- /- -/",
    "definition sign": "True.intro) := (True.intro",
    "another statement": "True.intro : True",
    "statement changed by a bar": "| True.intro",
    "command after a semicolon": "True.intro; axiom foo : False",
    "command in column 0 after a comment": "True.intro -- ok\naxiom foo : False",
    "end of a doc comment": "True.intro) /-- doc -/ theorem x : True := (True.intro",
    "carriage return": "True.intro\raxiom foo : False",
    "a period ends nothing": "True.intro.",
}
"""What plays with where a body ends."""

BODIES = {**COMMANDS, **TERMS, **SHAPES}


def jobs() -> dict[str, Job]:
    """Each hostile body at each of the two statements."""
    return {
        f"{name} ({label})": Job(statement=statement, body=body)
        for name, body in BODIES.items()
        for label, statement in (("false", FALSE), ("not valid", NOT_VALID))
    }
