"""The prover: a small model that finds proofs, made by `recipes/proofs/expert_iteration.toml` from nothing."""

from pathlib import Path

PATH = Path(__file__).with_name("weights")
"""Its folder, in Hugging Face format."""
