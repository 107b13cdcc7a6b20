"""The page docs/benchmarks.md and its plot."""

import math
import os
import platform
import subprocess
from datetime import UTC, datetime
from html import escape
from pathlib import Path

OURS = "riskscorer"
TITLES = {"score": "Scoring: the margin", "explain": "Explaining: SHAP contributions of every feature"}
OTHER = 1e-4  # a difference beyond any rounding
PLOTTED = (("score", 1024), ("explain", 256))
NOTES = {
    "leaves": "Go; reads the trees as LightGBM text, those of models E and F from riskscorer's package leaves",
    "XGBoost": "C API; scores in place, explains a DMatrix made beforehand; 3.3 and later explain by quadrature",
    "LightGBM": "C API (single rows by its fast path); reads the trees as LightGBM text, their covers rounded",
    "Treelite GTIL": "the interpreter, through Python",
    "TL2cgen": "C compiled by gcc -O2, through Python, matrix made beforehand",
    "lleaves": "LLVM, through Python; reads the trees as LightGBM text",
    "ONNX Runtime": "a TreeEnsembleRegressor, through Python",
    "shap": "its C extension, through Python; given plain trees, as it hands XGBoost models back to XGBoost",
    "FastTreeSHAP": "version 2 of the algorithm, one job, through Python; ignores missing values' default directions",
    "treeshap": "Rust, through Python; reads the trees as LightGBM text, as it refuses the JSON of XGBoost 3; "
    "its values differ even where nothing is missing",
}


def write(docs: Path, command: str, models, peers, cases, arguments, load: float, results) -> None:
    """Writes the page and the plot into docs."""
    labels = [peer.label for peer in peers]
    (docs / "benchmarks-engine.svg").write_text(plot(models, labels, results))
    page = HEAD.format(
        when=datetime.now(UTC).strftime("%Y-%m-%d"), command=command, machine=machine(), load=load, core=arguments.core,
        rounds=arguments.rounds, slice=arguments.slice, busy=busy(load),
    )
    for model in models:
        page += f"\n## Model {model.name}: {model.text}\n"
        for work in ("score", "explain"):
            page += f"\n{TITLES[work]}, microseconds a row (and how many times riskscorer's)\n\n"
            page += table(model.name, work, [batch for w, batch in cases if w == work],
                          [peer.label for peer in peers if work in peer.works and (model.convertible or peer.any_model)], results)
    page += "\n## Who ran\n\n| engine | version | how |\n| --- | --- | --- |\n"
    for label in labels:
        note = NOTES.get(label, "Go, the package scoring/forest")
        page += f"| {label} | {cell(results.versions.get(label, 'none'))} | {note} |\n"
    page += "\n" + failures(results)
    (docs / "benchmarks.md").write_text(page)


HEAD = """# Benchmarks

Written by a command, not by hand; run it anew and this page and the plot are replaced:

    {command}

{when}, on {machine}{busy}

riskscorer's engine and its peers hold the same trees and get the same rows (normal, 5% missing, a float32 each), with one
thread on one core (number {core}). They take turns within one run: every figure is the median of {rounds} rounds, each of
which visits every peer for {slice:g} s; a first round warms up. Times are the process's own on the core, without what
others take. Margins are raw sums of leaves, contributions are exact path-dependent SHAP values. The models are trained by
the command with XGBoost and a seed; A has the shape of the demo model. What "through Python" costs is part of a peer's
figure and matters for single rows; inputs are converted beforehand, and not timed. *Difference* is the largest from XGBoost
over 512 rows: of a margin, or of a contribution relative to the row's sum of |contributions|; in bold where that is beyond
rounding, so that the engine computes something else. The models, the peers' versions and the driver are in
[bench/engine](../bench/engine). The stream, with Kafka around the engine, has [a page of its own](benchmarks-stream.md).

![Microseconds a row in batches, by model and engine](benchmarks-engine.svg)
"""


def machine() -> str:
    """Returns processor, cores and operating system."""
    facts = {}
    for line in subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout.splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    flags = facts.get("Flags", "").split()
    known = (("avx2", "AVX2"), ("avx512f", "AVX-512"), ("avx512vbmi", "VBMI"))
    vectors = ", ".join(name for flag, name in known if flag in flags) or "no AVX2"
    family = f"family {facts.get('CPU family', '?')}, model {facts.get('Model', '?')}"
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{facts.get('Model name', platform.processor())} ({family}), {os.cpu_count()} cores, {vectors}, {system}"


def busy(load: float) -> str:
    if load < 0.5:
        return f". The machine was idle (load average {load:.1f})."
    return (f".\n**The machine was busy with other work (load average {load:.1f} at the start)**: take the ratios, and "
            "even those with caution; the microseconds are upper bounds.")


def table(model: str, work: str, batches: list[int], labels: list[str], results) -> str:
    head = ["engine", *(f"{batch:,} row{'s' if batch > 1 else ''} a call" for batch in batches), "difference"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for label in labels:
        row = [label]
        for batch in batches:
            ours, ns = (results.nanoseconds.get((model, who, work, batch)) for who in (OURS, label))
            ratio = f" ({ns / ours:.2f})" if ns and ours and label != OURS else ""
            row.append("none" if ns is None else f"{ns / 1e3:.3f}{ratio}")
        difference = results.differences.get((model, label, work))
        bold = "**" if difference is not None and difference > OTHER else ""
        row.append("" if difference is None else f"{bold}{difference:.1e}{bold}")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def failures(results) -> str:
    if not results.failures:
        return "Every peer was installed and ran.\n"
    text = "What failed or was left out, and why:\n\n"
    for (label, model, work), reason in results.failures.items():
        text += f"- {label}, model {model}{', ' + work if work else ''}: {cell(reason)}\n"
    return text


def cell(text: str) -> str:
    """Returns text that neither Markdown nor a table takes for anything else, and short."""
    text = text.replace(str(Path(__file__).parent), "bench/engine").replace("|", "/").replace("<", "").replace("`", "'")
    return text if len(text) < 200 else text[:197] + "..."


def plot(models, labels: list[str], results) -> str:
    """Returns one panel of bars for each model and work, on a logarithmic scale."""
    width, bar, head = 480, 20, 46
    parts, top = [], 40
    for model in models:
        panels = []
        for work, batch in PLOTTED:
            bars = []
            for label in labels:
                if (ns := results.nanoseconds.get((model.name, label, work, batch))) is not None:
                    other = results.differences[model.name, label, work] > OTHER
                    bars.append((ns / 1e3, label + "*" * other))
            panels.append((f"{model.name}, {work}, {batch:,} rows a call", sorted(bars)))
        for column, (title, bars) in enumerate(panels):
            parts.append(f'<g transform="translate({column * width},{top})">{panel(title, bars, width, bar)}</g>')
        top += head + bar * max(len(bars) for _, bars in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {top}" font-family="sans-serif" font-size="12">'
        f'<rect width="{2 * width}" height="{top}" fill="#fff"/>'
        '<text x="16" y="24" font-size="15" font-weight="bold">Microseconds a row on one core: shorter is better, '
        'logarithmic; * computes other values</text>'
        + "".join(parts) + "</svg>\n"
    )


def panel(title: str, bars: list[tuple[float, str]], width: int, bar: int) -> str:
    parts = [f'<text x="16" y="20" font-weight="bold">{escape(title)}</text>']
    if not bars:
        return parts[0]
    low, high = math.floor(math.log10(bars[0][0])), math.log10(bars[-1][0])
    scale = (width - 200) / max(high - low, 1)
    for i, (us, label) in enumerate(bars):
        y = 30 + i * bar
        colour = "#0a7d54" if label.startswith(OURS) else "#9db2c4"
        length = max(2, (math.log10(us) - low) * scale)
        parts.append(
            f'<text x="112" y="{y + 12}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="118" y="{y}" width="{length:.1f}" height="{bar - 5}" fill="{colour}"/>'
            f'<text x="{122 + length:.1f}" y="{y + 12}">{f"{us:.3g}" if us < 100 else f"{us:,.0f}"}</text>'
        )
    return "".join(parts)
