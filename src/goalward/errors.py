"""Errors that a person caused or can mend. Their message is one or two plain lines: what, where, what to do."""


class GoalwardError(Exception):
    """Something went wrong that is not a bug of ours; the command line prints it plainly and exits with 1."""


class UsageError(GoalwardError):
    """What was asked for makes no sense; the command line exits with 2, before anything was loaded."""
