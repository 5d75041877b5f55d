# SPDX-License-Identifier: Apache-2.0
"""A run's folder made by hand, full of what a report must not take for markup or break its layout on."""

import json

SCRIPT = "<script>window.pwned=1</script>"
IMAGE = '"><img src=x onerror=window.pwned=1>'
QUOTE = "' onmouseover='window.pwned=1' x='"
CLOSING = "</title></style></pre></main></body><!-- <![CDATA["
LONG = "w" * 400
HOSTILE = (SCRIPT, IMAGE, QUOTE, CLOSING, LONG, "&lt;b&gt;", "\u202eback", "{} %s \\u0000")
REGION = 'r0"><img src=x onerror=window.pwned=1>'

SOURCE = (
    '#include <kernelwright/kernel_abi.h>\n// </pre><script>window.pwned=1</script>\n#define A(x) \\\n  "<img>"\n'
    'extern "C" void scale(const kw_args* a, int64_t begin, int64_t end) {\n'
    "  for (int64_t i = begin; i < end; ++i) ((float*)a->buffers[1])[i] = 2.5e-1f * __builtin_fabsf(1'000.f); // é\n"
    f'  const char* text = "{LONG}</span>"; /* {"<b>" * 50} */\n}}\n'
)
PROGRAM = {
    "format": 1,
    "target": "cpu",
    "source": "k.cpp",
    "buffers": {
        "x0": {"role": "input", "index": 0, "dtype": "f32", "shape": [8]},
        "y0": {"role": "output", "index": 0, "dtype": "f32", "shape": [8]},
    },
    "prepare": [],
    "run": [{"kernel": "scale", "grid": [8], "args": ["x0", {"out": "y0"}]}],
}


def timing(reference, speedup, ms=2.0):
    return {"ms": ms, "reference": reference, "reference_ms": ms * speedup, "speedup": speedup, "rounds": 40} | {
        "speedup_low": speedup * 0.97,
        "speedup_high": speedup * 1.04,
    }


def verdict(program, parent, kind, idea, reason="", **more):
    told = {"verdict": kind, "tier": more.pop("tier", "search"), "reason": reason}
    if kind in ("accepted", "slower"):
        told["timing"] = timing(more.pop("reference", parent), 1.2 if kind == "accepted" else 0.8)
    line = {"program": program, "parent": parent, "region": REGION, "proposer": "llm" + SCRIPT, "idea": idea}
    return json.dumps({**line, "predicted_s": 0.001, "created": SCRIPT, "verdict": told, **more})


def verdicts():
    lines = [verdict("p0", "", "accepted", "naive", schedule={"op0.mr": 8, "rule/" + SCRIPT + "/" + IMAGE: 1})]
    for i in range(1, 15):
        lines.append(verdict(f"p{i}", f"p{i - 1}", "accepted", f"step {i} {LONG}", schedule={"op0.mr": i}))
        lines.append(verdict(f"s{i}", f"p{i - 1}", "slower", SCRIPT))
    for i, text in enumerate(HOSTILE):
        lines.append(verdict(f"w{i}{text}", "p3", "wrong", text, reason=text))
        lines.append(verdict(f"x{i}", f"w{i}{text}", "build_failed", text, reason=text))
    lines.append(verdict("p14", "p13", "accepted", "", tier="promotion", reference="eager" + IMAGE))
    return [*lines, "not json", "[]", '{"verdict":{"verdict":3}}']


def conversations():
    calls = [{"tool": t, "said": "wrong: " + t, "program": t, "at_s": i, "seconds": 0.5} for i, t in enumerate(HOSTILE)]
    one = {"id": "r0/1" + IMAGE, "role": "synthesizer", "region": REGION, "idea": LONG, "model": SCRIPT}
    one |= {"start_s": 0, "end_s": 9, "replies": 3, "usage": {"input": 1500}, "cost_usd": 0.5, "ended": SCRIPT}
    return [json.dumps({**one, "said": text, "calls": calls}) for text in HOSTILE]


def result():
    curve = [{"elapsed_s": i, "ms": 4 / i, "program": f"p{i}", "idea": t} for i, t in enumerate(HOSTILE, start=1)]
    promotion = {"verdict": "accepted", "draws": 8, "timing": timing("eager", 2)}
    promotion["baselines"] = [timing(name, 2) for name in ("eager", "compile", IMAGE)]
    promotion["steps"] = [{"step": f"run[{i}] {text}", "ms": 0.2 * i} for i, text in enumerate(HOSTILE)]
    promotion["conditions"] = {"core_mhz": 1980, "memory_mhz": 2619, "throttled": SCRIPT, "busy": IMAGE}
    region = {"id": REGION, "whole": False, "nodes": ["relu"], "accepted": True, "program_id": "p14"} | {
        "eager_ms": 4,
        "speed_of_light_ms": 1.5,
        "bound": SCRIPT,
        "promotion": promotion,
        "kernels": list(HOSTILE),
        "work": {"contraction_flops": 9e7, "other_flops": 1e7, "bytes": 2e7},
        "ceilings": {"bytes_per_s": 2e10, "flops_per_s": 1e11},
        "rewrites": [{"rule": text, "where": text} for text in HOSTILE],
        "search": {"tried": 30, "elapsed_s": 9, "stop_reason": SCRIPT, "curve": curve, "verdicts": {}}
        | {"predicted_measured_s": [[0.001, 0.002], [0.002, 0.003], [0.004, 0.003]], "rank_correlation": 0.5},
    }
    kept = {**region, "id": "r1", "accepted": False, "promotion": {"verdict": "slower", "reason": IMAGE + LONG}}
    levels = [{"name": text, "bytes": 32768, "copy_bytes_per_s": 10 ** (10 + i / 4)} for i, text in enumerate(HOSTILE)]
    rates = [{"unit": text, "dtype": "f32", "flops_per_s": 10 ** (10 + i / 5)} for i, text in enumerate(HOSTILE)]
    return {
        "format": 1,
        "workload": "net" + CLOSING + SCRIPT,
        "target": "cpu" + IMAGE,
        "device": SCRIPT + LONG,
        "policy": QUOTE,
        "status": "improved",
        "reason": SCRIPT,
        "threads": 2,
        "cpu_features": LONG,
        "coverage": 0.5,
        "library_share": 0.1,
        "tried": 30,
        "elapsed_s": 60,
        "search_s": 9,
        "others_share": 0.2,
        "disturbed": True,
        "interrupted": True,
        "artifact": "runs/" + IMAGE,
        "command": "optimize " + SCRIPT,
        "started": IMAGE,
        "versions": {text: text for text in HOSTILE},
        "verdicts": {SCRIPT: 1, "wrong": 3},
        "eager": [{"what": text, "reason": text} for text in HOSTILE],
        "baseline": {"eager_ms": 4, "compile_ms": 3, "best_ms": 3, "best_name": IMAGE, "notes": list(HOSTILE)},
        "best": {"ms": 2, "speedup": 1.5, "speedup_low": 1.4, "speedup_high": 1.6, "prepare_ms": 3},
        "speedups": [{**timing(name, 1.5), "baseline": name} for name in ("eager", "compile", IMAGE)],
        "error": {"candidate": {"rho_rms": 1.5, "rho_max": 6, "relative": 1e-7}, "eager": None},
        "speed_of_light": {"ms": 1.5, "fraction": 0.75, "bound": IMAGE},
        "final": {
            "fresh": {"original_ms": 5, "dropin_ms": 2.5, "speedup": 2, "fault_share": 0.2},
            "memory": {"ms": 1.8, "share": 0.9},
        },
        "machine": {"levels": levels, "rates": rates, "launch_s": 1e-6, "measured_at": SCRIPT},
        "regions": [region, kept],
    }


def make(folder):
    """Writes result.json, verdicts.jsonl, conversations.jsonl and a program."""
    program = folder / "programs" / REGION
    program.mkdir(parents=True)
    (program / "program.json").write_text(json.dumps(PROGRAM))
    (program / "k.cpp").write_text(SOURCE)
    (folder / "result.json").write_text(json.dumps(result()))
    (folder / "verdicts.jsonl").write_text("\n".join(verdicts()))
    (folder / "conversations.jsonl").write_text("\n".join(conversations()))
    return folder
