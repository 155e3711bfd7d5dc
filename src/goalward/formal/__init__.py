"""Statements, proofs, and who judges them. No torch here."""
