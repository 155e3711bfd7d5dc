"""Hugging Face models: loading, chat templates, the lean decoder, log-probabilities."""
