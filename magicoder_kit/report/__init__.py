"""The reproduction report: what a run measured, beside what the paper published.

``build(run)`` gathers one page from the manifests and figures of a run's stages; ``write(run, output)`` renders it
as ``report.md`` and ``report.html``. The HTML holds its figures, so it can be sent by itself. A figure never
stands without its n. The same manifests give the same bytes.

Not covered: significance. Two 95 % intervals are compared by eye and said to overlap or not, no more.
"""

from magicoder_kit.report.measures import STAGES, build
from magicoder_kit.report.page import write

__all__ = ["STAGES", "build", "write"]
