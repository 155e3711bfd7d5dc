"""Sets of questions, each with its reference."""
