"""A table of kinds of models and batches, each with its numbers from an oracle and its promises."""
