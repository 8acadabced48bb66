"""Stage 07: does the student solve problems it has not seen?

In the order the rows flow: :mod:`benchmarks` loads the problems, :mod:`completion` lets a model answer them,
:mod:`sandbox` executes each answer with its checks in a fresh locked-in interpreter (:mod:`harness` is what
runs inside), and :mod:`scoring` turns the verdicts into pass@k with an interval.
"""
