"""The prover: a model of 1.3 million parameters that `recipes/proofs/expert_iteration.toml` trains from nothing.

Its weights are those of seed 0; docs/proofs.md has what they reach.
"""

from pathlib import Path

PATH = Path(__file__).with_name("weights")
"""Its folder, in Hugging Face format."""

STEPS = 64
"""Values that can be said: 0 to 63 tactics left; the last says as many or more, or that there is no proof."""
