import re

import pytest

from goalward.formal.lean_tokens import CHEATS, COMMANDS, RefusedError, clean


@pytest.mark.parametrize("word", sorted(COMMANDS | CHEATS))
def test_a_command_is_refused_wherever_it_stands(word: str):
    for text in (
        word,
        f"fun h => {word}",
        f"h;{word}",
        f"(0{word})",
        f"λ{word}",
        f"h\n{word} x",
        f"{word}.1",
        f"⟨{word}⟩",
    ):
        with pytest.raises(RefusedError, match=f"'{word}' has no place"):
            clean(text)


@pytest.mark.parametrize("word", sorted(COMMANDS | CHEATS))
def test_a_name_that_only_holds_one_is_not(word: str):
    for text in (f"h_{word}", f"{word}_h", f"h.{word}", f"Foo.{word}.bar", f"{word}1", f"{word}'"):
        assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "fun p q h => ⟨h.2, h.1⟩",
        "by\n  intro x hx\n  simp only [Finset.mem_filter, mul_comm] at hx ⊢\n  exact ⟨hx.1, by linarith [sq_nonneg (x - 1)]⟩",
        "by nlinarith [sq_nonneg (a - b), mul_pos h₀ h₁]",
        "by\n  obtain ⟨k, rfl⟩ | h := foo\n  · omega\n  · norm_num at h ⊢",
        "fun (f : ℕ → ℝ) ε hε => ⟨1, fun n _ => (abs_nonneg _).trans' hε.le⟩",
        "by rcases h with (h | h) <;> simp [h, Nat.succ_le_iff, ← two_mul, x%2]",
        "calc a = b := by ring\n  _ ≤ c := h",
        "∑ i ∈ Finset.range n, (i : ℚ)⁻¹ = ∏ j, f j ∘ g",
        "fun x' y'' => hα' x' ▸ rfl",
        "@Nat.rec (fun _ => True) trivial (fun _ _ => trivial) n",
        "{x : ℤ // 0 < x} × 𝓝 a × ‖v‖ × ⌊r⌋ × sᶜ × Rᵒᵖ × Polynomial.eval 2 f",
        "#[1, 2, 3].size",
        "#(Finset.range 3)",
        "match h with\n| Or.inl a => Or.inr a\n| Or.inr b => Or.inl b",
    ],
)
def test_what_people_and_models_write_is_not_refused(text: str):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing"),
        (" \n\n ", "nothing"),
        ("-- sorry", "nothing"),
        ("(h", "')' is missing"),
        ("h)", "')' closes"),
        ("(h]", "']' closes"),
        ("⟨h)⟩", "closes"),
        ("h /- h", "does not end"),
        ("h /- /- -/", "does not end"),
        ("h -/", "ends no comment"),
        ("a /--/ b -/ c", "ends no comment"),
        ("h -- /-\n-/", "ends no comment"),
        ('f "x"', "no texts"),
        ("f 'x'", "in quotes"),
        ("λ'x'", "in quotes"),
        ("`h", "quotations"),
        ("«axiom»", "quotations"),
        ("@[simp] h", "no attributes"),
        ("#check h", "no commands"),
        ("#h", "no commands"),
        ("eval% h", "eval%"),
        ("h\th", r"character '\t'"),
        ("h\rh", r"character '\r'"),
        ("h\x00", "character"),
        ("h\x85h", "character"),
        ("h\u2028h", "may look"),
        ("h\u2029h", "may look"),
        ("h\u00a0h", "may look"),
        ("h\u200bh", "may look"),
        ("h\u202eh", "may look"),
        ("\ufeffh", "may look"),
        ("ѕorry", "may look"),
        ("ｓorry", "may look"),
        ("h" * 200_001, "200000 characters"),
    ],
)
def test_what_else_is_refused(text: str, why: str):
    with pytest.raises(RefusedError, match=re.escape(why)):
        clean(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("h -- )sorry", "h"),
        ("a /- sorry ( -/ b", f"a{' ' * 15}b"),
        ("a /- 1\n2 /- 3 -/\n4 -/ b", "a     \n         \n     b"),
        ("a --/- x\nb", "a       \nb"),
        ("a /- -- -/ b", "a          b"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_comments_are_taken_out_and_lines_stay(text: str, left: str):
    assert clean(text).rstrip(" ") == left


def test_a_comment_parts_two_words():
    assert clean("ax/- -/iom").split() == ["ax", "iom"]
