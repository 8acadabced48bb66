#!/usr/bin/env python3
"""Summarise service logs: volume per level, noisiest sources, slow requests."""

import argparse
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

LINE = re.compile(
    r"^(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\S*\s+"
    r"(?P<level>DEBUG|INFO|WARN|ERROR)\s+"
    r"\[(?P<source>[^\]]+)\]\s+(?P<message>.*)$"
)
DURATION = re.compile(r"\btook=(\d+(?:\.\d+)?)(ms|s)\b")
LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"]
SPAN_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_span(text):
    match = re.fullmatch(r"(\d+)([mhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected something like 90m, 6h or 2d, not {text!r}")
    return timedelta(**{SPAN_UNITS[match.group(2)]: int(match.group(1))})


def open_log(name):
    if name == "-":
        return sys.stdin
    path = Path(name)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def read_records(stream):
    """Yield one dict per log record, folding stack traces into their record."""
    record = None
    for line in stream:
        match = LINE.match(line)
        if match:
            if record is not None:
                yield record
            record = match.groupdict()
            record["stamp"] = datetime.fromisoformat(record["stamp"])
            record["extra_lines"] = 0
        elif record is not None:
            record["extra_lines"] += 1
    if record is not None:
        yield record


def percentile(ordered, fraction):
    if not ordered:
        return None
    position = fraction * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def digest(records, min_level, since):
    levels, sources = Counter(), Counter()
    durations = defaultdict(list)
    threshold = LEVELS.index(min_level)
    first = last = None
    for record in records:
        if since is not None and record["stamp"] < since:
            continue
        if LEVELS.index(record["level"]) < threshold:
            continue
        stamp = record["stamp"]
        first = stamp if first is None else min(first, stamp)
        last = stamp if last is None else max(last, stamp)
        levels[record["level"]] += 1
        sources[record["source"]] += 1
        timing = DURATION.search(record["message"])
        if timing:
            scale = 1000.0 if timing.group(2) == "s" else 1.0
            durations[record["source"]].append(float(timing.group(1)) * scale)
    slow = {name: percentile(sorted(values), 0.95) for name, values in durations.items()}
    return {"first": first, "last": last, "levels": levels, "sources": sources, "p95_ms": slow}


def render(summary, top):
    if summary["first"] is None:
        return "no matching records"
    lines = [f"{summary['first']:%Y-%m-%d %H:%M} .. {summary['last']:%Y-%m-%d %H:%M}"]
    for level in reversed(LEVELS):
        if summary["levels"][level]:
            lines.append(f"  {level:<6}{summary['levels'][level]:>8,}")
    lines.append("noisiest sources")
    for name, count in summary["sources"].most_common(top):
        p95 = summary["p95_ms"].get(name)
        timing = "" if p95 is None else f"   p95 {p95:.0f} ms"
        lines.append(f"  {count:>8,}  {name}{timing}")
    return "\n".join(lines)


def build_parser():
    parser = argparse.ArgumentParser(prog="logdigest", description=__doc__)
    parser.add_argument("files", nargs="*", default=["-"], help="log files, '-' for stdin")
    parser.add_argument("-l", "--min-level", choices=LEVELS, default="INFO")
    parser.add_argument("-s", "--since", type=parse_span, metavar="SPAN", help="e.g. 90m, 6h, 2d")
    parser.add_argument("-n", "--top", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    since = datetime.now() - args.since if args.since else None
    records = []
    for name in args.files:
        try:
            with open_log(name) as stream:
                records.extend(read_records(stream))
        except (OSError, EOFError) as error:
            print(f"logdigest: {name}: {error}", file=sys.stderr)
            return 2
    summary = digest(records, args.min_level, since)
    if args.json:
        print(json.dumps(summary, default=str, indent=2))
    else:
        print(render(summary, args.top))
    return 1 if summary["levels"]["ERROR"] else 0


if __name__ == "__main__":
    sys.exit(main())
