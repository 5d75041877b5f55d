// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "program/parse.h"
#include "report/launcher_source.h"

namespace kernelwright::report {
namespace {

program::Candidate candidate(const std::string& json, const std::string& source) {
  auto parsed = program::parse_program(json);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return {std::move(*parsed), source};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(LauncherSource, SaysWhereEveryBufferIs) {
  auto made = launcher_source(candidate(R"({
    "format": 1, "target": "cpu", "source": "k.cpp", "params": {"N": 10},
    "buffers": {
      "x": {"role": "input", "index": 0, "dtype": "f32", "shape": ["N"]},
      "w": {"role": "weight", "name": "a.w", "dtype": "f32", "shape": ["N"]},
      "p": {"role": "packed", "dtype": "f32", "shape": ["N"]},
      "t": {"role": "table", "dtype": "f16", "values": [1, -2]},
      "y": {"role": "output", "index": 0, "dtype": "f32", "shape": ["N"]}},
    "prepare": [{"kernel": "pack", "grid": ["N"], "args": ["w", {"out": "p"}]}],
    "run": [{"kernel": "go", "grid": ["N", 2], "grain": 4,
             "args": ["x", "p", {"out": "y"}, "t", {"i32": "N"}, {"f32": 0.5}]}]})",
                                        "#include <kernelwright/kernel_abi.h>\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->prepares);
  ASSERT_EQ(made->slots.size(), 5u);
  EXPECT_EQ(made->slots[0].role, "input");
  EXPECT_EQ(made->slots[1].name, "a.w");
  EXPECT_EQ(made->slots[2].role, "workspace");
  EXPECT_EQ(made->slots[3].table, std::string("\x00\x3c\x00\xc0", 4));
  EXPECT_EQ(made->slots[4].role, "output");
  EXPECT_EQ(made->workspace_bytes, made->slots[3].offset + 4);
  EXPECT_TRUE(has(made->code, "kw_launch(go, 20, 4, false, 0,"));
  EXPECT_TRUE(has(made->code, "#define N 10"));
  EXPECT_FALSE(has(made->code, "#include <kernelwright"));  // its text stands there instead
  EXPECT_TRUE(has(made->code, "typedef struct kw_args"));
}

TEST(LauncherSource, RepeatsSwapsAndMoves) {
  auto made = launcher_source(candidate(R"({
    "format": 1, "target": "cuda", "arch": "sm_90a", "source": "k.cu",
    "buffers": {
      "x": {"role": "input", "index": 0, "dtype": "f32", "shape": [8, 4]},
      "a": {"role": "scratch", "dtype": "f32", "shape": [8, 4]},
      "b": {"role": "scratch", "dtype": "f32", "shape": [8, 4]},
      "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [8, 4]}},
    "run": [
      {"copy": {"from": "x", "to": "a"}},
      {"fill": {"view": {"buffer": "b", "offset": 1, "shape": [8], "strides": [4]}, "value": 2}},
      {"repeat": 5, "swap": [["a", "b"]], "body": [
        {"kernel": "step", "grid": [1], "block": [32], "cluster": [1], "shared_bytes": 1024,
         "args": ["a", {"inout": "b"}, {"step": "i32"}]}]},
      {"kernel": "last", "grid": {"resident_per_sm": 2}, "block": [64], "pdl": true,
       "args": ["a", {"out": "y"}]}]})",
                                        ""));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(has(made->code, "kw_i1 < 5"));
  EXPECT_TRUE(has(made->code, "std::swap(kw_s[1], kw_s[2]);"));
  EXPECT_TRUE(has(made->code, "(int)kw_i1"));
  EXPECT_TRUE(has(made->code, "kw_move(kw_s[2] + 4, nullptr, 4, 1073741824ull, 1,"));
  EXPECT_TRUE(has(made->code, "dim3(64, 1, 1), dim3(1, 1, 1), 0, 2, false, true"));
  EXPECT_EQ(made->flags.back(), "-gencode=arch=compute_90a,code=sm_90a");
}

TEST(LauncherSource, WhatHasNoSuchFormIsNamed) {
  auto made = launcher_source(candidate(R"({
    "format": 1, "target": "cpu", "source": "k.cpp",
    "buffers": {"y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4]}},
    "run": [{"kernel": "go", "grid": [4], "args": [{"out": "y"}, {"scalar_input": 0}]}]})",
                                        ""));
  ASSERT_FALSE(made);
  EXPECT_TRUE(has(made.error().message, "run[0].args[1]"));
}

TEST(LauncherSource, ElementsAsBytes) {
  EXPECT_EQ(element_bytes(1, graph::DType::kBF16), std::string("\x80\x3f", 2));
  EXPECT_EQ(element_bytes(65504, graph::DType::kF16), std::string("\xff\x7b", 2));
  EXPECT_EQ(element_bytes(-1, graph::DType::kI32), std::string("\xff\xff\xff\xff", 4));
  EXPECT_EQ(element_bytes(1, graph::DType::kBool), std::string("\x01", 1));
}

}  // namespace
}  // namespace kernelwright::report
