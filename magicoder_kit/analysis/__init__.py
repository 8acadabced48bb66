"""What a data set looks like: languages, categories, likeness to HumanEval, lengths, and their figures.

Every function takes data sets as a mapping ``{name: rows}``, so that one's own run, the released sets and any
other instruction set stand side by side, and returns a tidy pandas frame whose first column is ``data set``. The
figures take those frames, never the rows.
"""
