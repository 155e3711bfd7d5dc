"""Which texts Lean is shown at all: a term or a block of tactics, never a command. Nothing here runs anything.

This is the first of three lines; the second are the parentheses around a body, the third the axioms of our own
theorem (`lean_source`). It reads a body as Lean does where that matters, and where the two could differ it takes the
view that refuses more. Comments are not judged but taken out, so that Lean never sees what was not looked at.
"""

import re
import unicodedata

COMMANDS = frozenset(
    [
        "theorem",
        "lemma",
        "def",
        "abbrev",
        "example",
        "instance",
        "opaque",
        "axiom",
        "inductive",
        "coinductive",
        "structure",
        "class",
        "variable",
        "universe",
        "section",
        "namespace",
        "end",
        "open",
        "export",
        "import",
        "prelude",
        "public",
        "private",
        "protected",
        "local",
        "scoped",
        "meta",
        "noncomputable",
        "partial",
        "unsafe",
        "nonrec",
        "mutual",
        "where",
        "termination_by",
        "decreasing_by",
        "deriving",
        "attribute",
        "set_option",
        "unseal",
        "seal",
        "include",
        "omit",
        "alias",
        "initialize",
        "builtin_initialize",
        "init_quot",
        "add_decl_doc",
        "macro",
        "macro_rules",
        "syntax",
        "declare_syntax_cat",
        "elab",
        "elab_rules",
        "notation",
        "notation3",
        "infix",
        "infixl",
        "infixr",
        "prefix",
        "postfix",
        "binder_predicate",
        "simproc",
        "simproc_decl",
        "register_simp_attr",
        "register_option",
    ]
)
"""Words that begin a declaration or change how what follows is read."""

CHEATS = frozenset(
    [
        "sorry",
        "admit",
        "stop",
        "sorryAx",
        "native_decide",
        "run_tac",
        "run_cmd",
        "run_elab",
        "run_meta",
        "by_elab",
        "include_str",
        "extern",
        "implemented_by",
    ]
)
"""Words that stand for a proof that is none, or run code while Lean reads."""

_LONGEST = 200_000  # characters
_PAIRS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⟪": "⟫", "⦃": "⦄"}
_CLOSING = frozenset(_PAIRS.values())
# A name with its dots; only its first part can be a keyword. Just ASCII: any other letter parts two words here.
_PIECE = re.compile(r"[A-Za-z_][A-Za-z0-9_'!?]*(?:\.[A-Za-z_][A-Za-z0-9_'!?]*)*|.", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/-|-/")
_NESTED = re.compile(r"/-|-/")
_LETTERS = (
    *((0xC0, 0x17F), (0x370, 0x3FF), (0x1D00, 0x1DBF), (0x1F00, 0x1FFF), (0x2070, 0x209F), (0x2100, 0x214F)),
    *((0x2C7C, 0x2C7D), (0x1D400, 0x1D7FF)),
)
"""Where the letters are that Lean and Mathlib write with, besides ASCII: Latin, Greek, raised, lowered, mathematical."""


class RefusedError(Exception):
    """The text is not shown to Lean; the message says why."""


def clean(text: str) -> str:
    """The text as Lean may see it: without its comments, each line in its place. Raises RefusedError."""
    if len(text) > _LONGEST:
        raise RefusedError(f"more than {_LONGEST} characters")
    text = _without_comments(text.replace("\r\n", "\n"))
    if not text.strip():
        raise RefusedError("nothing is there")
    expected: list[str] = []
    before = ""
    for match in _PIECE.finditer(text):
        piece = match[0]
        after = text[match.end() : match.end() + 1]
        if len(piece) > 1 or piece.isalpha():
            _look_at_word(piece, after)
        elif piece in _PAIRS:
            expected.append(_PAIRS[piece])
        elif piece in _CLOSING and (not expected or expected.pop() != piece):
            raise RefusedError(f"{piece!r} closes what is not open")
        _look_at_sign(piece, before, after)
        before = piece[-1]
    if expected:
        raise RefusedError(f"{expected[-1]!r} is missing")
    return text


def _look_at_word(piece: str, after: str) -> None:
    word = piece.partition(".")[0]
    if word in COMMANDS or word in CHEATS:
        raise RefusedError(f"{word!r} has no place in a term or a tactic")
    if word == "eval" and after == "%":
        raise RefusedError("'eval%' has no place in a term or a tactic")


def _look_at_sign(piece: str, before: str, after: str) -> None:
    """One sign, with the one before it and the one after it."""
    if piece in ('"', "`", "«", "»"):
        raise RefusedError(f"{piece!r}: no texts, quotations or quoted names")
    if piece == "'" and (not before.isalnum() or before in "λΠΣ"):  # else it is the end of a name
        raise RefusedError("no characters in quotes")
    if piece == "@" and after == "[":
        raise RefusedError("'@[': no attributes")
    if piece == "#" and after.isalpha():
        raise RefusedError(f"'#{after}...': no commands")
    if len(piece) == 1 and not piece.isascii():
        _look_at_letter(piece)
    elif len(piece) == 1 and not piece.isprintable() and piece != "\n":
        raise RefusedError(f"the character {piece!a}")


def _look_at_letter(letter: str) -> None:
    kind = unicodedata.category(letter)
    known = any(first <= ord(letter) <= last for first, last in _LETTERS)
    if kind[0] in "CZ" or (kind[0] == "L" and kind != "Lm" and not known):
        raise RefusedError(f"the character {letter!a}, which may look like another")


def _without_comments(text: str) -> str:
    """Blanks for what is in comments; they may hold each other, and every one must end."""
    kept: list[str] = []
    place = 0
    while match := _COMMENT.search(text, place):
        kept.append(text[place : match.start()])
        end = _end_of_comment(text, match)
        kept.append(re.sub(r"[^\n]", " ", text[match.start() : end]))
        place = end
    return "".join([*kept, text[place:]])


def _end_of_comment(text: str, match: "re.Match[str]") -> int:
    if match[0].startswith("--"):
        return match.end()
    depth, end = (1, match.end()) if match[0] == "/-" else (0, 0)
    while depth > 0:
        found = _NESTED.search(text, end)
        if found is None:
            raise RefusedError("a comment that does not end")
        depth += 1 if found[0] == "/-" else -1
        end = found.end()
    if match[0] == "-/":
        raise RefusedError("'-/' ends no comment")
    return end
