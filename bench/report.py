"""The table and the JSON that a run leaves."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Row


def machine(versions: Sequence[str]) -> dict[str, object]:
    """What the figures were measured on."""
    load = os.getloadavg()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(load[0], 2),
        "versions": list(versions),
    }


def as_text(rows: Sequence[Row], about: dict[str, object], *, trusted: bool) -> str:
    """A Markdown table: medians and p95 of every case, then the targets."""
    lines = [
        (
            f"{about['date']}; kernel {about['kernel']}, {about['cpus']} CPUs, Python {about['python']}, "
            f"load before {about['load_before']}"
        ),
        "versions: " + "; ".join(str(v) for v in about["versions"]),  # type: ignore[attr-defined]
        "",
        "| row | case | median ms | p95 ms |",
        "|---|---|---|---|",
    ]
    for row in rows:
        for name, series in row.series.items():
            lines.append(f"| {row.name} {row.title} | {name} | {series.median:.1f} | {series.p95:.1f} |")
        lines += [f"| {row.name} {row.title} | {note} | | |" for note in row.notes]
    lines += ["", "| row | target | measured | bound | |", "|---|---|---|---|---|"]
    for row in rows:
        for verdict in row.verdicts:
            word = ("met" if verdict.met else "MISSED") if trusted else "no verdict: the machine was busy"
            lines.append(
                f"| {row.name} | {verdict.text} | {verdict.value:.2f}{verdict.unit} | "
                f"{verdict.bound:g}{verdict.unit} | {word} |"
            )
    return "\n".join(lines)


def write_json(path: Path, rows: Sequence[Row], about: dict[str, object]) -> None:
    """Every single time, for whoever wants to compute something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": about,
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "series": {name: series.milliseconds for name, series in row.series.items()},
                "verdicts": [
                    {"text": v.text, "value": v.value, "bound": v.bound, "unit": v.unit, "met": v.met}
                    for v in row.verdicts
                ],
                "notes": row.notes,
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
