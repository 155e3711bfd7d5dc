"""Proofs are judged by the kernel: right or wrong, and nothing that is written can talk it round."""

from goalward.formal.kernel import ProofError
from goalward.formal.proof import read_script, read_statement, verify
from goalward.formal.tactics import TacticError
from goalward.types import Feedback, Rollout, Task


def proof(task: Task, rollout: Rollout) -> Feedback:
    """1 where the text is a script of tactics that proves the question's statement, else 0 with the reason.

    Raises UsageError where the question is no statement.
    """
    statement = read_statement(task.question)
    try:
        verify(statement, read_script(statement, rollout.text))
    except (TacticError, ProofError) as error:
        return Feedback(score=0.0, note=str(error))
    return Feedback(score=1.0)
