"""From feedback to weights: credit, objectives, the algorithms that join them, and the learner."""
