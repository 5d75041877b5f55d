// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "program/layout.h"
#include "program/parse.h"
#include "program/validate.h"
#include "support/base_program.h"

namespace kernelwright::program {
namespace {

using ::kernelwright::testing::kBaseProgram;
using ::testing::HasSubstr;

Program parsed(const std::string& text) {
  auto program = parse_program(text);
  if (!program) ADD_FAILURE() << program.error().text();
  return program.value_or(Program{});
}

int64_t value(const std::string& text, std::map<std::string, int64_t> params = {}) {
  auto result = evaluate(SizeExpr{text}, params);
  if (!result) ADD_FAILURE() << result.error().text();
  return result.value_or(-1);
}

TEST(SizeExpr, Values) {
  EXPECT_EQ(value("7"), 7);
  EXPECT_EQ(value(" 2 + 3 * 4 "), 14);
  EXPECT_EQ(value("(2 + 3) * 4"), 20);
  EXPECT_EQ(value("10 - 3 - 2"), 5);
  EXPECT_EQ(value("100 / 7 % 4"), 2);
  EXPECT_EQ(value("-3 * -A", {{"A", 5}}), 15);
  EXPECT_EQ(value("ceil_div(N, T) + min(N, T) - max(N, T)", {{"N", 100}, {"T", 32}}), 4 - 68);
  EXPECT_EQ(value("ceil_div(0 - 7, 2)"), -3);
  EXPECT_EQ(value("281474976710656"), int64_t{1} << 48);
}

TEST(SizeExpr, Failures) {
  for (const char* text :
       {"", "1 +", "x", "1/0", "1%0", "ceil_div(1, 0)", "min(1)", "281474976710657",
        "9999999999999999999999", "1048576 * 1048576 * 1048576", "1 & 2", "0x10", "1.5"})
    EXPECT_FALSE(evaluate(SizeExpr{text}, {})) << text;
  EXPECT_FALSE(evaluate(SizeExpr{std::string(200, '(')}, {}));
  EXPECT_FALSE(evaluate(SizeExpr{std::string(200, '-') + "1"}, {}));
  EXPECT_FALSE(evaluate(SizeExpr{std::string(300, '1')}, {}));
}

TEST(Program, ReadsEveryPart) {
  Program program = parsed(kBaseProgram);
  EXPECT_EQ(program.params.at("TILE"), 8);
  ASSERT_EQ(program.buffers.size(), 9u);
  EXPECT_EQ(program.buffers[0].name, "x");
  EXPECT_EQ(program.find("lock")->role, BufferRole::kSync);
  EXPECT_EQ(program.find("t")->table, (std::vector<double>{3, -4}));
  EXPECT_EQ(program.find("nope"), nullptr);
  const auto& launch = std::get<Launch>(program.run[0].action);
  EXPECT_EQ(launch.grain.text, "2");
  EXPECT_EQ(std::get<ScalarInputArg>(launch.args[6]).index, 1);
  EXPECT_TRUE(std::get<Launch>(program.run[1].action).team);
  const auto& repeat = std::get<Repeat>(program.run[3].action);
  EXPECT_EQ(repeat.swap.size(), 1u);
  const auto& view = std::get<BufferArg>(std::get<Launch>(repeat.body[0].action).args[3]);
  EXPECT_EQ(view.view->strides[0].text, "8");
  EXPECT_EQ(std::get<Fill>(repeat.body[1].action).value, -std::numeric_limits<double>::infinity());
}

TEST(Program, PrintedTextReadsBackAndIsCanonical) {
  Program program = parsed(kBaseProgram);
  std::string text = print_program(program);
  EXPECT_EQ(parsed(text), program);
  EXPECT_EQ(print_program(parsed(text)), text);
}

TEST(Program, StepsAreNamedByTheirPlace) {
  const auto program = parse_program(kBaseProgram);
  ASSERT_TRUE(program);
  EXPECT_EQ(
      step_names(program->run, "run"),
      (std::vector<std::string>{"run[0] first", "run[1] second", "run[2] third",
                                "run[3].body[0] step", "run[3].body[1] fill", "run[4] copy"}));
}

TEST(Program, GpuFieldsReadBack) {
  Program program = parsed(
      R"({"format": 1, "target": "cuda", "arch": "sm_90a", "source": "k.cu", "flags": ["--maxrregcount=168"],
    "requires": ["cluster", "tma"],
    "buffers": {"x": {"role": "input", "index": 0, "dtype": "f16", "shape": [64, 64]}, "y": {"role": "output", "index": 0}},
    "run": [{"kernel": "conv", "grid": {"resident_per_sm": 1}, "block": [384], "cluster": [2], "cooperative": true, "pdl": true,
      "shared_bytes": 196608, "args": [{"tensor_map": {"view": {"buffer": "x", "shape": [32, 64]}, "dtype": "f16", "shape": [64, 32],
        "strides_bytes": [128], "box": [64, 8], "element_strides": [1, 1], "interleave": "none", "swizzle": "128B",
        "l2_promotion": "256B", "fill": "zero"}},
        {"tensor_map": {"buffer": "x", "shape": [64, 8, 4, 2], "im2col_lower": [-1, -1], "im2col_upper": [1, 1],
         "channels_per_pixel": 64, "pixels_per_column": 128}}, {"out": "y"}]}]})");
  auto status = validate(program);
  EXPECT_TRUE(status) << status.error().text();
  EXPECT_EQ(parsed(print_program(program)), program);
  EXPECT_EQ(std::get<Launch>(program.run[0].action).resident_per_sm, 1);
}

TEST(Program, TensorMapsAreChecked) {
  auto error = [](const std::string& map) {
    auto status = validate(parsed(
        R"({"format": 1, "target": "cuda", "source": "k.cu", "buffers": {
      "x": {"role": "input", "index": 0, "dtype": "f16", "shape": [32, 64]}, "y": {"role": "output", "index": 0}},
      "run": [{"kernel": "k", "grid": [1], "block": [32], "args": [{"tensor_map": {)" +
        map + R"(}}, {"out": "y"}]}]})"));
    return status ? "" : status.error().message;
  };
  const std::string at = "run[0].args[0].tensor_map";
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 32], "box": [64, 8])"), "");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 32])"), at + ".box: 0 entries, 2 are needed");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 33], "box": [64, 8])"),
            at + ": tensor map reaches bytes 0..4223 of buffer 'x', which has 4096");
  EXPECT_EQ(
      error(
          R"("view": {"buffer": "x", "offset": 64, "shape": [31, 64]}, "shape": [64, 32], "box": [64, 8])"),
      at + ": tensor map reaches bytes 128..4223 of buffer 'x', which has 4096");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [60, 32], "box": [60, 8])"),
            at + ".strides_bytes[0]: 120 is no multiple of 16");
  EXPECT_EQ(
      error(R"("buffer": "x", "shape": [64, 32], "strides_bytes": [128, 4096], "box": [64, 8])"),
      at + ".strides_bytes: 2 entries, 1 are needed");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 32], "box": [64, 300])"),
            at + ".box[1]: 300 is outside 1..256");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 32], "box": [64, 8], "swizzle": "256B")"),
            at + ".swizzle: unknown '256B'");
  EXPECT_EQ(error(R"("buffer": "x", "shape": [64, 32], "channels_per_pixel": 64)"),
            at + ".shape: an im2col map has 3 to 5 dimensions");
  EXPECT_EQ(
      error(R"("buffer": "x", "shape": [64, 4, 8], "channels_per_pixel": 64, "im2col_lower": [0])"),
      at + ".im2col_upper: 0 entries, 1 are needed");
  EXPECT_EQ(
      error(
          R"("buffer": "x", "shape": [64, 4, 8], "channels_per_pixel": 64, "im2col_lower": [0], "im2col_upper": [0])"),
      at + ": an im2col map needs channels_per_pixel and pixels_per_column");
}

TEST(Program, FlagsHaveRules) {
  EXPECT_TRUE(flag_allowed("cpu", "-O2"));
  EXPECT_TRUE(flag_allowed("cpu", "-mprefer-vector-width=256"));
  EXPECT_TRUE(flag_allowed("cuda", "--maxrregcount=128"));
  for (const char* flag :
       {"-Ofast", "-O2 -ffast-math", "-mprefer-vector-width=", "-mprefer-vector-width=0256",
        "-mprefer-vector-width=256x", "-Wl,-z,execstack", "@file", ""})
    EXPECT_FALSE(flag_allowed("cpu", flag)) << flag;
  EXPECT_FALSE(flag_allowed("abacus", "-O2"));
}

Interface base_interface() {
  using graph::DType;
  return {{{"", {DType::kF32, {8, 8}, {}}}},
          {{"fc.weight", {DType::kF32, {64}, {}}}},
          {{"", {DType::kF32, {64}, {}}}},
          {{"bn.count", {DType::kI64, {}, {}}}}};
}

std::string against(const Interface& interface) {
  auto status = validate_against(parsed(kBaseProgram), interface);
  return status ? "" : status.error().message;
}

TEST(Program, FitsItsRegion) {
  EXPECT_EQ(against(base_interface()), "");
  Interface other = base_interface();
  other.inputs.clear();
  EXPECT_EQ(against(other), "buffers.x.index: the region has no inputs");
  other = base_interface();
  other.inputs[0].type.shape = {8, 9};
  EXPECT_EQ(against(other), "buffers.x: f32[8,8], but the region's is f32[8,9]");
  other = base_interface();
  other.weights[0].type.dtype = graph::DType::kF16;
  EXPECT_EQ(against(other), "buffers.w: f32[64], but the region's is f16[64]");
  other = base_interface();
  other.weights[0].name = "fc.bias";
  EXPECT_EQ(against(other),
            "buffers.w.name: the region has no weight 'fc.weight'; it has 'fc.bias'");
  other = base_interface();
  other.outputs.push_back(other.outputs[0]);
  EXPECT_EQ(against(other), "buffers: output 1 has no buffer");
  other = base_interface();
  other.states.push_back({"bn.mean", {}});
  EXPECT_EQ(against(other), "buffers: state 'bn.mean' has no buffer");
}

TEST(Layout, ScratchSharesBytesWhenLifetimesAllow) {
  Program program = parsed(R"({"format": 1, "target": "cpu", "source": "k.cpp",
    "buffers": {"x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0},
      "w": {"role": "weight", "name": "w"}, "wp": {"role": "packed", "dtype": "f32", "shape": [10]},
      "lock": {"role": "sync", "dtype": "u32", "shape": [1]},
      "a": {"role": "scratch", "dtype": "f32", "shape": [1000]}, "b": {"role": "scratch", "dtype": "f32", "shape": [1000]},
      "c": {"role": "scratch", "dtype": "f32", "shape": [500]}, "unused": {"role": "scratch", "dtype": "f32", "shape": [9999]}},
    "prepare": [{"kernel": "p", "grid": [1], "args": ["w", {"out": "wp"}]}],
    "run": [{"kernel": "k", "grid": [1], "args": ["x", {"out": "a"}]}, {"kernel": "k", "grid": [1], "args": ["a", {"out": "b"}]},
            {"kernel": "k", "grid": [1], "args": ["b", {"out": "c"}]}, {"kernel": "k", "grid": [1], "args": ["c", "wp", {"out": "y"}]}]})");
  ASSERT_TRUE(validate(program));
  auto layout = lay_out(program, 64);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->packed_bytes, 64);
  EXPECT_EQ(layout->sync_bytes, 64);
  EXPECT_EQ(layout->offset.at("wp"), 0);
  EXPECT_EQ(layout->offset.at("lock"), 64);
  EXPECT_EQ(layout->offset.at("a"), layout->offset.at("c"));
  EXPECT_NE(layout->offset.at("a"), layout->offset.at("b"));
  EXPECT_EQ(layout->scratch_bytes, 2 * 4032);
  for (const auto& [name, offset] : layout->offset) EXPECT_EQ(offset % 64, 0) << name;
}

// Two branches of two steps each, written level by level: on the CPU `c` takes the bytes that `a`
// leaves; on a GPU that would make one branch wait for the other.
TEST(Layout, BranchesOfAGpuPlanShareNoBytes) {
  auto text = [](const std::string& target, const std::string& keys, const std::string& more) {
    auto step = [&](const std::string& args) {
      return R"({"kernel": "k", "grid": [1], )" + keys + R"("args": [)" + args + "]}";
    };
    return R"({"format": 1, "target": ")" + target + R"(", "source": "k.cpp",
    "buffers": {"x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0}, "z": {"role": "output", "index": 1},
      "a": {"role": "scratch", "dtype": "f32", "shape": [1000]}, "b": {"role": "scratch", "dtype": "f32", "shape": [1000]},
      "c": {"role": "scratch", "dtype": "f32", "shape": [1000]}, "d": {"role": "scratch", "dtype": "f32", "shape": [1000]},
      "e": {"role": "scratch", "dtype": "f32", "shape": [1000]}},
    "run": [)" +
           step(R"("x", {"out": "a"})") + ", " + step(R"("a", {"out": "b"})") + ", " +
           step(R"("x", {"out": "c"})") + ", " + step(R"("c", {"out": "d"})") + ", " +
           step(R"("b", {"out": "e"})") + ", " + step(R"("e", {"out": "y"})" + more) + ", " +
           step(R"("d", {"out": "z"})") + "]}";
  };
  auto offsets = [](const std::string& json) {
    auto layout = lay_out(parsed(json), 256);
    EXPECT_TRUE(layout);
    return layout->offset;
  };
  auto cpu = offsets(text("cpu", "", ""));
  EXPECT_EQ(cpu.at("a"), cpu.at("c"));
  auto gpu = offsets(text("cuda", R"("block": [1], )", ""));
  EXPECT_EQ(gpu.at("a"), gpu.at("e")) << "within a branch bytes are shared";
  for (const char* one : {"a", "b", "e"})
    for (const char* other : {"c", "d"}) EXPECT_NE(gpu.at(one), gpu.at(other)) << one << other;
  auto chain = offsets(text("cuda", R"("block": [1], "pdl": true, )", ""));
  EXPECT_EQ(chain.at("a"), chain.at("c")) << "dependent launches are a chain";
}

TEST(Layout, SwappedAndRepeatedScratchIsKeptApart) {
  auto layout = lay_out(parsed(kBaseProgram), 256);
  ASSERT_TRUE(layout);
  EXPECT_NE(layout->offset.at("h"), layout->offset.at("g"));
  EXPECT_EQ(layout->offset.at("h") % 256, 0);
}

TEST(Candidate, WrittenFilesReadBack) {
  auto folder = base::TempDir::create("candidate");
  ASSERT_TRUE(folder);
  Candidate candidate{parsed(kBaseProgram), "// kernels\n"};
  ASSERT_TRUE(write_candidate(candidate, folder->path() / "c"));
  auto read = read_candidate(folder->path() / "c");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->program, candidate.program);
  EXPECT_EQ(read->source, candidate.source);
  EXPECT_EQ(candidate_id(*read), candidate_id(candidate));
  read->source += " ";
  EXPECT_NE(candidate_id(*read), candidate_id(candidate));
}

TEST(Candidate, LinksAndMissingFilesAreRefused) {
  namespace fs = std::filesystem;
  auto folder = base::TempDir::create("candidate");
  ASSERT_TRUE(folder);
  Candidate candidate{parsed(kBaseProgram), "x"};
  ASSERT_TRUE(write_candidate(candidate, folder->path()));
  fs::rename(folder->path() / "k.cpp", folder->path() / "real.cpp");
  auto missing = read_candidate(folder->path());
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no such file"));
  fs::create_symlink("real.cpp", folder->path() / "k.cpp");
  auto linked = read_candidate(folder->path());
  ASSERT_FALSE(linked);
  EXPECT_THAT(linked.error().message, HasSubstr("a link"));
  EXPECT_EQ(read_candidate(folder->path() / "nowhere").error().kind, ErrorKind::kInput);
}

// Whatever a program's text is, the answer is a program or an Error, and a program that reads can
// be checked, laid out and printed. Returns whether it read.
bool survives(const std::string& text) {
  auto program = parse_program(text);
  if (!program) {
    EXPECT_EQ(program.error().kind, ErrorKind::kInput);
    EXPECT_LT(program.error().message.size(), 400u);
    return false;
  }
  (void)validate(*program);
  (void)lay_out(*program, 64);
  auto again = parse_program(print_program(*program));
  EXPECT_TRUE(again && print_program(*again) == print_program(*program)) << text;
  return true;
}

TEST(ProgramFuzz, MutatedValuesNeverCrash) {
  using nlohmann::ordered_json;
  std::mt19937 random(11);
  auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  const ordered_json base = ordered_json::parse(kBaseProgram);
  std::vector<std::string> places;
  const ordered_json leaves = base.flatten();
  for (const auto& [place, leaf] : leaves.items()) places.push_back(place);
  const char* values[] = {"0",
                          "-1",
                          "1",
                          "8",
                          "281474976710656",
                          "18446744073709551615",
                          "1.5",
                          "\"h\"",
                          "\"g\"",
                          "\"x\"",
                          "\"y\"",
                          "\"TILE\"",
                          "\"TILE * TILE * TILE\"",
                          "\"1/0\"",
                          "\"scratch\"",
                          "\"i64\"",
                          "\"f16\"",
                          "\"cuda\"",
                          "null",
                          "true",
                          "[]",
                          "{}",
                          "[1, 2, 3]",
                          "{\"out\": \"h\"}",
                          "{\"inout\": \"y\"}",
                          "{\"step\": \"i64\"}"};
  int read = 0;
  for (int round = 0; round < 600; ++round) {
    ordered_json document = base;
    for (size_t edits = 1 + pick(2); edits-- > 0;) {
      ordered_json::json_pointer place(places[pick(places.size())]);
      if (document.contains(place))
        document[place] = ordered_json::parse(values[pick(std::size(values))]);
    }
    read += survives(document.dump()) ? 1 : 0;
  }
  EXPECT_GT(read, 50) << "the mutations are too coarse to mean anything";
}

rc::Gen<std::string> names() {
  return rc::gen::element<std::string>("a", "b0", "long_name", "X", "_u");
}
rc::Gen<SizeExpr> sizes() {
  return rc::gen::oneOf(
      rc::gen::map(rc::gen::inRange<int64_t>(-5, int64_t{1} << 40),
                   [](int64_t v) { return size(v); }),
      rc::gen::map(rc::gen::element<std::string>("N", "ceil_div(N, 4)", "2 * N - 1", "007", "-0"),
                   [](std::string text) { return SizeExpr{std::move(text)}; }));
}
rc::Gen<std::vector<SizeExpr>> size_lists(size_t from, size_t to) {
  return rc::gen::mapcat(rc::gen::inRange<size_t>(from, to + 1), [](size_t n) {
    return rc::gen::container<std::vector<SizeExpr>>(n, sizes());
  });
}
rc::Gen<double> reals() {
  return rc::gen::element(0.0, -0.0, 1.0, 0.1, -2.5e-30, 1e30,
                          std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity());
}
View some_view() {
  View view{*sizes(), *size_lists(1, 3), {}};
  if (*rc::gen::arbitrary<bool>())
    view.strides = *rc::gen::container<std::vector<SizeExpr>>(view.shape.size(), sizes());
  return view;
}
Arg some_arg() {
  using graph::DType;
  switch (*rc::gen::inRange(0, 7)) {
    case 0:
      return BufferArg{
          *names(), *rc::gen::element(Access::kRead, Access::kWrite, Access::kReadWrite), {}, {}};
    case 1:
      return BufferArg{*names(),
                       *rc::gen::element(Access::kRead, Access::kWrite, Access::kReadWrite),
                       some_view(),
                       {}};
    case 2:
      return ImmediateArg{*rc::gen::element(DType::kI32, DType::kI64), *sizes()};
    case 3:
      return ImmediateArg{*rc::gen::element(DType::kF32, DType::kF64), *reals()};
    case 4:
      return ScalarInputArg{*rc::gen::inRange(0, 9),
                            *rc::gen::element(DType::kI32, DType::kF32, DType::kF64)};
    case 5:
      return StepCounterArg{*rc::gen::element(DType::kI32, DType::kI64)};
    default:
      return LocalArg{*sizes()};
  }
}
std::vector<Arg> some_args() {
  std::vector<Arg> args;
  for (int i = *rc::gen::inRange(0, 5); i-- > 0;) args.push_back(some_arg());
  return args;
}
std::vector<Step> some_steps(int depth);
Step some_step(int depth) {
  switch (*rc::gen::inRange(0, depth < 3 ? 5 : 4)) {
    case 0: {
      Launch launch;
      launch.kernel = *names();
      if (*rc::gen::arbitrary<bool>())
        launch.grid = *size_lists(1, 3);
      else
        launch.resident_per_sm = *rc::gen::inRange(1, 5);
      launch.block = *size_lists(0, 3);
      launch.cluster = *size_lists(0, 2);
      if (*rc::gen::arbitrary<bool>()) launch.shared_bytes = *sizes();
      if (*rc::gen::arbitrary<bool>()) launch.scratch_bytes = *sizes();
      if (*rc::gen::arbitrary<bool>()) launch.grain = *sizes();
      launch.cooperative = *rc::gen::arbitrary<bool>();
      launch.pdl = *rc::gen::arbitrary<bool>();
      launch.team = *rc::gen::arbitrary<bool>();
      launch.args = some_args();
      return {launch};
    }
    case 1: {
      Fill fill{*names(), *reals(), {}};
      if (*rc::gen::arbitrary<bool>()) fill.view = some_view();
      return {fill};
    }
    case 2: {
      Copy copy{*names(), *names(), {}, {}};
      if (*rc::gen::arbitrary<bool>()) copy.from_view = some_view();
      if (*rc::gen::arbitrary<bool>()) copy.to_view = some_view();
      return {copy};
    }
    case 3: {
      LibraryCall call{*names(), some_args(), {}};
      if (*rc::gen::arbitrary<bool>())
        call.options["epilogue"] = *rc::gen::element<std::string>("relu", "a \"b\"");
      return {call};
    }
    default: {
      Repeat repeat{*sizes(), some_steps(depth + 1), {}};
      if (repeat.body.empty()) repeat.body.push_back(Step{Fill{"a", 0, {}}});
      if (*rc::gen::arbitrary<bool>()) repeat.swap.emplace_back(*names(), *names());
      return {repeat};
    }
  }
}
std::vector<Step> some_steps(int depth) {
  std::vector<Step> steps;
  for (int i = *rc::gen::inRange(0, 3); i-- > 0;) steps.push_back(some_step(depth));
  return steps;
}
Program some_program() {
  Program program;
  program.target = *rc::gen::element<std::string>("cpu", "cuda");
  program.arch = *rc::gen::element<std::string>("", "sm_90a");
  program.source = "kernels.cpp";
  if (*rc::gen::arbitrary<bool>()) program.flags = {"-O2", "odd \"flag\""};
  if (*rc::gen::arbitrary<bool>())
    program.params = {{"N", *rc::gen::inRange<int64_t>(-9, int64_t{1} << 47)}};
  if (*rc::gen::arbitrary<bool>()) program.requires_features = {"avx2"};
  for (const char* name : {"z", "a", "m"}) {
    Buffer buffer;
    buffer.name = name;
    buffer.role = *rc::gen::element(BufferRole::kInput, BufferRole::kWeight, BufferRole::kOutput,
                                    BufferRole::kPacked, BufferRole::kScratch, BufferRole::kSync,
                                    BufferRole::kState, BufferRole::kTable);
    bool indexed = buffer.role == BufferRole::kInput || buffer.role == BufferRole::kOutput;
    bool named = buffer.role == BufferRole::kWeight || buffer.role == BufferRole::kState;
    if (indexed) buffer.index = *rc::gen::inRange(0, 9);
    if (named) buffer.weight = *rc::gen::element<std::string>("fc.weight", "odd \"name\"/\xc3\xa9");
    buffer.typed = (!indexed && !named) || *rc::gen::arbitrary<bool>();
    if (buffer.typed) {
      buffer.dtype = *rc::gen::element(graph::DType::kF32, graph::DType::kBF16, graph::DType::kU32);
      buffer.shape = *size_lists(0, 4);
    }
    if (buffer.role == BufferRole::kTable) buffer.table = {*reals(), *reals()};
    program.buffers.push_back(buffer);
  }
  program.prepare = some_steps(0);
  program.run = some_steps(0);
  return program;
}

TEST(ProgramProperty, ParseUndoesPrint) {
  EXPECT_TRUE(rc::check("parse(print(p)) == p", [] {
    Program program = some_program();
    std::string text = print_program(program);
    auto again = parse_program(text);
    if (!again) RC_FAIL(again.error().text() + "\n" + text);
    RC_ASSERT(*again == program);
    RC_ASSERT(print_program(*again) == text);
  }));
}

}  // namespace
}  // namespace kernelwright::program
