"""The prover: architecture and tokenizer of a small model that `recipes/proofs/expert_iteration.toml` trains from nothing."""

from pathlib import Path

PATH = Path(__file__).with_name("weights")
"""Its folder, in Hugging Face format."""
