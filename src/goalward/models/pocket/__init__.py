"""A model of about a million parameters that ships with the package; docs/pocket.md tells how it was made."""

from pathlib import Path

PATH = Path(__file__).parent / "weights"
"""The folder with its weights, tokenizer and chat template, in Hugging Face format."""
