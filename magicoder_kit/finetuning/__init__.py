"""Stage 06: turn examples into a student.

In the order the rows flow: :mod:`pairs` makes instructions and responses, :mod:`collation` turns them into token
batches whose loss falls on the response alone, :mod:`qlora` trains a low-rank adapter on a 4-bit base, and
:mod:`export` merges the adapter into a 16-bit model that any tool loads.
"""
