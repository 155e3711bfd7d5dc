"""How completions are made: the engine protocol and the one that shares the trainer's weights."""
