// SPDX-License-Identifier: Apache-2.0
#include "program/parse_steps.h"

#include <fmt/core.h>

#include "program/limits.h"
#include "program/malformed.h"

namespace kernelwright::program {
namespace {

View parse_view(const JsonNode& node, std::string& buffer) {
  node.only_keys({"buffer", "offset", "shape", "strides"});
  buffer = node.at("buffer").identifier("buffer");
  View view;
  auto offset = node.find("offset");
  view.offset = offset ? offset->size_expr() : size(0);
  view.shape = node.at("shape").size_list(kMaxRank);
  if (auto strides = node.find("strides")) {
    view.strides = strides->size_list(kMaxRank);
    if (view.strides.size() != view.shape.size())
      strides->malformed("as many strides as extents are needed");
  }
  return view;
}

TensorMap parse_tensor_map(const JsonNode& node, BufferArg& arg) {
  node.only_keys({"buffer", "view", "dtype", "shape", "strides_bytes", "box", "element_strides",
                  "interleave", "swizzle", "l2_promotion", "fill", "im2col_lower", "im2col_upper",
                  "channels_per_pixel", "pixels_per_column"});
  if (node.has("buffer") == node.has("view"))
    node.malformed("exactly one of 'buffer' and 'view' is needed");
  if (auto view = node.find("view"))
    arg.view = parse_view(*view, arg.buffer);
  else
    arg.buffer = node.at("buffer").identifier("buffer");
  TensorMap map;
  auto sizes = [&](const char* key, std::vector<SizeExpr>& to) {
    if (auto list = node.find(key)) to = list->size_list(kMaxRank);
  };
  map.shape = node.at("shape").size_list(kMaxRank);
  sizes("strides_bytes", map.strides_bytes);
  sizes("box", map.box);
  sizes("element_strides", map.element_strides);
  sizes("im2col_lower", map.im2col_lower);
  sizes("im2col_upper", map.im2col_upper);
  auto word = [&](const char* key, std::string& to) {
    if (auto text = node.find(key)) to = text->string(kMaxNameBytes);
  };
  word("interleave", map.interleave);
  word("swizzle", map.swizzle);
  word("l2_promotion", map.l2_promotion);
  word("fill", map.fill);
  if (auto value = node.find("channels_per_pixel")) map.channels_per_pixel = value->size_expr();
  if (auto value = node.find("pixels_per_column")) map.pixels_per_column = value->size_expr();
  if (auto value = node.find("dtype")) map.dtype = value->dtype();
  return map;
}

Access parse_access(const JsonNode& node) {
  std::string word = node.string(kMaxNameBytes);
  if (word == "in") return Access::kRead;
  if (word == "out") return Access::kWrite;
  if (word == "inout") return Access::kReadWrite;
  node.malformed(fmt::format("unknown access {} (in, out, inout)", excerpt(word)));
}

graph::DType parse_scalar_dtype(const JsonNode& node) {
  graph::DType dtype = node.dtype();
  using graph::DType;
  if (dtype != DType::kI32 && dtype != DType::kI64 && dtype != DType::kF32 && dtype != DType::kF64)
    node.malformed("a scalar is i32, i64, f32 or f64");
  return dtype;
}

Arg parse_arg(const JsonNode& node) {
  if (node.is_string()) return BufferArg{node.identifier("buffer"), Access::kRead, {}, {}};
  if (!node.is_object())
    node.malformed(
        "an argument is a buffer name or an object; a number is {\"i32\": 4} or {\"f32\": 0.5}");
  if (auto name = node.find("out")) {
    node.only_keys({"out"});
    return BufferArg{name->identifier("buffer"), Access::kWrite, {}, {}};
  }
  if (auto name = node.find("inout")) {
    node.only_keys({"inout"});
    return BufferArg{name->identifier("buffer"), Access::kReadWrite, {}, {}};
  }
  if (node.has("view") || node.has("tensor_map")) {
    node.only_keys({node.has("view") ? "view" : "tensor_map", "access"});
    BufferArg arg;
    if (auto view = node.find("view")) arg.view = parse_view(*view, arg.buffer);
    if (auto map = node.find("tensor_map")) arg.tensor_map = parse_tensor_map(*map, arg);
    if (auto access = node.find("access")) arg.access = parse_access(*access);
    return arg;
  }
  for (const char* key : {"i32", "i64"})
    if (auto value = node.find(key)) {
      node.only_keys({key});
      return ImmediateArg{*graph::dtype_from_name(key), value->size_expr()};
    }
  for (const char* key : {"f32", "f64"})
    if (auto value = node.find(key)) {
      node.only_keys({key});
      return ImmediateArg{*graph::dtype_from_name(key), value->real()};
    }
  if (auto index = node.find("scalar_input")) {
    node.only_keys({"scalar_input", "dtype"});
    ScalarInputArg arg;
    arg.index = static_cast<int>(index->integer(0, kMaxScalarIndex));
    if (auto dtype = node.find("dtype")) arg.dtype = parse_scalar_dtype(*dtype);
    return arg;
  }
  if (auto type = node.find("step")) {
    node.only_keys({"step"});
    StepCounterArg arg{parse_scalar_dtype(*type)};
    if (graph::is_float(arg.dtype)) type->malformed("a step counter is i32 or i64");
    return arg;
  }
  if (auto bytes = node.find("local")) {
    node.only_keys({"local"});
    return LocalArg{bytes->size_expr()};
  }
  node.malformed(
      "unknown kind of argument (out, inout, view, tensor_map, i32, i64, f32, f64, scalar_input, "
      "step, local)");
}

std::vector<Arg> parse_args(const JsonNode& node) {
  std::vector<Arg> out;
  for (const JsonNode& item : node.items(kMaxArgs)) out.push_back(parse_arg(item));
  return out;
}

Launch parse_launch(const JsonNode& node) {
  node.only_keys({"kernel", "grid", "block", "cluster", "shared_bytes", "cooperative", "pdl",
                  "team", "scratch_bytes", "grain", "args"});
  Launch launch;
  launch.kernel = node.at("kernel").identifier("kernel");
  JsonNode grid = node.at("grid");
  if (grid.is_object()) {
    grid.only_keys({"resident_per_sm"});
    launch.resident_per_sm = static_cast<int>(grid.at("resident_per_sm").integer(1, 64));
  } else {
    launch.grid = grid.size_list(3);
    if (launch.grid.empty()) grid.malformed("a grid has 1 to 3 extents");
  }
  if (auto block = node.find("block")) launch.block = block->size_list(3);
  if (auto cluster = node.find("cluster")) launch.cluster = cluster->size_list(3);
  if (auto bytes = node.find("shared_bytes")) launch.shared_bytes = bytes->size_expr();
  if (auto flag = node.find("cooperative")) launch.cooperative = flag->boolean();
  if (auto flag = node.find("pdl")) launch.pdl = flag->boolean();
  if (auto flag = node.find("team")) launch.team = flag->boolean();
  if (auto bytes = node.find("scratch_bytes")) launch.scratch_bytes = bytes->size_expr();
  if (auto grain = node.find("grain")) launch.grain = grain->size_expr();
  if (auto args = node.find("args")) launch.args = parse_args(*args);
  return launch;
}

// A buffer by name or a view of one.
std::string parse_place(const JsonNode& node, std::optional<View>& view) {
  if (node.is_string()) return node.identifier("buffer");
  node.only_keys({"view"});
  std::string buffer;
  view = parse_view(node.at("view"), buffer);
  return buffer;
}

Fill parse_fill(const JsonNode& node) {
  node.only_keys({"buffer", "view", "value"});
  if (node.has("buffer") == node.has("view"))
    node.malformed("exactly one of 'buffer' and 'view' is needed");
  Fill fill;
  if (auto view = node.find("view"))
    fill.view = parse_view(*view, fill.buffer);
  else
    fill.buffer = node.at("buffer").identifier("buffer");
  fill.value = node.at("value").real();
  return fill;
}

Copy parse_copy(const JsonNode& node) {
  node.only_keys({"from", "to"});
  Copy copy;
  copy.from = parse_place(node.at("from"), copy.from_view);
  copy.to = parse_place(node.at("to"), copy.to_view);
  return copy;
}

Repeat parse_repeat(const JsonNode& node, size_t& budget, int depth) {
  node.only_keys({"repeat", "body", "swap"});
  if (depth >= kMaxRepeatDepth)
    node.malformed(fmt::format("repeats nest at most {} deep", kMaxRepeatDepth));
  Repeat repeat;
  repeat.count = node.at("repeat").size_expr();
  JsonNode body = node.at("body");
  repeat.body = parse_steps(body, budget, depth + 1);
  if (repeat.body.empty()) body.malformed("a repeat needs a body");
  if (auto swaps = node.find("swap"))
    for (const JsonNode& item : swaps->items(kMaxSwaps)) {
      auto pair = item.items(2);
      if (pair.size() != 2) item.malformed("a swap names two buffers");
      repeat.swap.emplace_back(pair[0].identifier("buffer"), pair[1].identifier("buffer"));
    }
  return repeat;
}

LibraryCall parse_library(const JsonNode& node) {
  node.only_keys({"routine", "args", "options"});
  LibraryCall call;
  call.routine = node.at("routine").identifier("routine");
  if (auto args = node.find("args")) call.args = parse_args(*args);
  if (auto options = node.find("options"))
    for (const auto& [key, value] : options->members(64)) {
      if (!is_identifier(key))
        options->malformed(fmt::format("option {} is not an identifier", excerpt(key)));
      call.options[key] = value.string(kMaxNameBytes);
    }
  return call;
}

}  // namespace

std::vector<Step> parse_steps(const JsonNode& node, size_t& budget, int repeat_depth) {
  std::vector<Step> steps;
  for (const JsonNode& item : node.items(kMaxSteps)) {
    if (budget == 0) item.malformed(fmt::format("more than {} steps", kMaxSteps));
    --budget;
    if (!item.is_object()) item.malformed("a step is an object");
    if (item.has("kernel")) {
      steps.push_back(Step{parse_launch(item)});
    } else if (item.has("repeat")) {
      steps.push_back(Step{parse_repeat(item, budget, repeat_depth)});
    } else if (auto fill = item.find("fill")) {
      item.only_keys({"fill"});
      steps.push_back(Step{parse_fill(*fill)});
    } else if (auto copy = item.find("copy")) {
      item.only_keys({"copy"});
      steps.push_back(Step{parse_copy(*copy)});
    } else if (auto call = item.find(kLibraryStep)) {
      item.only_keys({kLibraryStep});
      steps.push_back(Step{parse_library(*call)});
    } else {
      item.malformed("unknown kind of step (kernel, fill, copy, repeat, library)");
    }
  }
  return steps;
}

}  // namespace kernelwright::program
