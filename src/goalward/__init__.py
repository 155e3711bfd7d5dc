"""Make language models better by practice: act, get feedback, learn from the feedback."""

from importlib.metadata import version

__version__ = version("goalward")
