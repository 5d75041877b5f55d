// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::testing {

// A valid program with every role and most kinds of steps and arguments; tests change one thing in
// it.
inline constexpr const char* kBaseProgram = R"json({
  "format": 1, "target": "cpu", "source": "k.cpp",
  "flags": ["-funroll-loops", "-mprefer-vector-width=512"],
  "params": {"TILE": 8},
  "requires": ["avx2"],
  "buffers": {
    "x": {"role": "input", "index": 0, "dtype": "f32", "shape": [8, "TILE"]},
    "w": {"role": "weight", "name": "fc.weight", "dtype": "f32", "shape": [64]},
    "wp": {"role": "packed", "dtype": "f32", "shape": ["TILE * 8"]},
    "h": {"role": "scratch", "dtype": "f32", "shape": [64]},
    "g": {"role": "scratch", "dtype": "f32", "shape": [64]},
    "lock": {"role": "sync", "dtype": "u32", "shape": [4]},
    "count": {"role": "state", "name": "bn.count", "dtype": "i64", "shape": []},
    "t": {"role": "table", "dtype": "i32", "values": [3, -4]},
    "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [64]}
  },
  "prepare": [{"kernel": "pack", "grid": ["ceil_div(64, TILE)"], "args": ["w", {"out": "wp"}]}],
  "run": [
    {"kernel": "first", "grid": [2, 4], "grain": 2, "scratch_bytes": "TILE * 64",
     "args": ["x", "wp", {"out": "h"}, {"i32": "TILE - 1"}, {"f32": 0.5}, "t", {"scalar_input": 1, "dtype": "f64"}]},
    {"kernel": "second", "grid": [1], "team": true, "args": ["h", {"out": "y"}]},
    {"kernel": "third", "grid": [1], "args": [{"inout": "lock"}, {"inout": "count"}]},
    {"repeat": 6, "body": [
      {"kernel": "step", "grid": ["TILE"], "args": ["h", {"out": "g"}, {"step": "i32"},
        {"view": {"buffer": "x", "offset": 1, "shape": [4, 2], "strides": [8, 2]}}]},
      {"fill": {"view": {"buffer": "h", "offset": 8, "shape": [8]}, "value": "-inf"}}],
     "swap": [["h", "g"]]},
    {"copy": {"from": "h", "to": {"view": {"buffer": "y", "shape": [64]}}}}
  ]
})json";

}  // namespace kernelwright::testing
