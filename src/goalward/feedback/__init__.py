"""Judging attempts: graders, and what keeps their failures from becoming rewards."""
