"""Where groups of attempts come from: own samples, or recorded demonstrations."""
