// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "program/json_reader.h"
#include "program/parse.h"

namespace kernelwright::program {
namespace {

using Json = nlohmann::ordered_json;

Json sizes(const std::vector<SizeExpr>& list) {
  Json out = Json::array();
  for (const SizeExpr& expr : list) out.push_back(size_json(expr));
  return out;
}

Json buffer_json(const Buffer& buffer) {
  Json out = {{"role", role_name(buffer.role)}};
  if (buffer.role == BufferRole::kInput || buffer.role == BufferRole::kOutput)
    out["index"] = buffer.index;
  if (buffer.role == BufferRole::kWeight || buffer.role == BufferRole::kState)
    out["name"] = buffer.weight;
  if (buffer.typed) {
    out["dtype"] = graph::dtype_name(buffer.dtype);
    out["shape"] = sizes(buffer.shape);
  }
  if (buffer.role == BufferRole::kTable) {
    Json values = Json::array();
    for (double value : buffer.table) values.push_back(real_json(value));
    out["values"] = values;
  }
  return out;
}

Json view_json(const std::string& buffer, const View& view) {
  Json out = {{"buffer", buffer}, {"offset", size_json(view.offset)}, {"shape", sizes(view.shape)}};
  if (!view.strides.empty()) out["strides"] = sizes(view.strides);
  return out;
}

Json tensor_map_json(const BufferArg& arg) {
  const TensorMap& map = *arg.tensor_map;
  Json out = Json::object();
  if (arg.view)
    out["view"] = view_json(arg.buffer, *arg.view);
  else
    out["buffer"] = arg.buffer;
  if (map.dtype) out["dtype"] = graph::dtype_name(*map.dtype);
  out["shape"] = sizes(map.shape);
  auto list = [&](const char* key, const std::vector<SizeExpr>& value) {
    if (!value.empty()) out[key] = sizes(value);
  };
  auto word = [&](const char* key, const std::string& value) {
    if (!value.empty()) out[key] = value;
  };
  list("strides_bytes", map.strides_bytes);
  list("box", map.box);
  list("element_strides", map.element_strides);
  word("interleave", map.interleave);
  word("swizzle", map.swizzle);
  word("l2_promotion", map.l2_promotion);
  word("fill", map.fill);
  list("im2col_lower", map.im2col_lower);
  list("im2col_upper", map.im2col_upper);
  if (map.channels_per_pixel) out["channels_per_pixel"] = size_json(*map.channels_per_pixel);
  if (map.pixels_per_column) out["pixels_per_column"] = size_json(*map.pixels_per_column);
  return out;
}

const char* access_name(Access access) {
  return access == Access::kRead ? "in" : access == Access::kWrite ? "out" : "inout";
}

struct ArgPrinter {
  Json operator()(const BufferArg& arg) const {
    if (arg.tensor_map || arg.view) {
      Json out = Json::object();
      if (arg.tensor_map)
        out["tensor_map"] = tensor_map_json(arg);
      else
        out["view"] = view_json(arg.buffer, *arg.view);
      if (arg.access != Access::kRead) out["access"] = access_name(arg.access);
      return out;
    }
    if (arg.access == Access::kRead) return arg.buffer;
    return {{access_name(arg.access), arg.buffer}};
  }
  Json operator()(const ImmediateArg& arg) const {
    Json value = std::holds_alternative<SizeExpr>(arg.value)
                     ? size_json(std::get<SizeExpr>(arg.value))
                     : real_json(std::get<double>(arg.value));
    return {{graph::dtype_name(arg.dtype), value}};
  }
  Json operator()(const ScalarInputArg& arg) const {
    return {{"scalar_input", arg.index}, {"dtype", graph::dtype_name(arg.dtype)}};
  }
  Json operator()(const StepCounterArg& arg) const {
    return {{"step", graph::dtype_name(arg.dtype)}};
  }
  Json operator()(const LocalArg& arg) const { return {{"local", size_json(arg.bytes)}}; }
};

Json args_json(const std::vector<Arg>& args) {
  Json out = Json::array();
  for (const Arg& arg : args) out.push_back(std::visit(ArgPrinter(), arg));
  return out;
}

Json steps_json(const std::vector<Step>& steps);

Json place_json(const std::string& buffer, const std::optional<View>& view) {
  if (!view) return buffer;
  return {{"view", view_json(buffer, *view)}};
}

struct StepPrinter {
  Json operator()(const Launch& launch) const {
    Json out = {{"kernel", launch.kernel}};
    if (launch.resident_per_sm)
      out["grid"] = {{"resident_per_sm", *launch.resident_per_sm}};
    else
      out["grid"] = sizes(launch.grid);
    if (!launch.block.empty()) out["block"] = sizes(launch.block);
    if (!launch.cluster.empty()) out["cluster"] = sizes(launch.cluster);
    if (!launch.shared_bytes.text.empty()) out["shared_bytes"] = size_json(launch.shared_bytes);
    if (launch.cooperative) out["cooperative"] = true;
    if (launch.pdl) out["pdl"] = true;
    if (launch.team) out["team"] = true;
    if (!launch.scratch_bytes.text.empty()) out["scratch_bytes"] = size_json(launch.scratch_bytes);
    if (!launch.grain.text.empty()) out["grain"] = size_json(launch.grain);
    out["args"] = args_json(launch.args);
    return out;
  }
  Json operator()(const Fill& fill) const {
    Json body = Json::object();
    if (fill.view)
      body["view"] = view_json(fill.buffer, *fill.view);
    else
      body["buffer"] = fill.buffer;
    body["value"] = real_json(fill.value);
    return {{"fill", body}};
  }
  Json operator()(const Copy& copy) const {
    return {{"copy",
             {{"from", place_json(copy.from, copy.from_view)},
              {"to", place_json(copy.to, copy.to_view)}}}};
  }
  Json operator()(const Repeat& repeat) const {
    Json out = {{"repeat", size_json(repeat.count)}, {"body", steps_json(repeat.body)}};
    if (!repeat.swap.empty()) {
      Json swaps = Json::array();
      for (const auto& [a, b] : repeat.swap) swaps.push_back(Json::array({a, b}));
      out["swap"] = swaps;
    }
    return out;
  }
  Json operator()(const LibraryCall& call) const {
    Json body = {{"routine", call.routine}, {"args", args_json(call.args)}};
    if (!call.options.empty()) {
      Json options = Json::object();
      for (const auto& [key, value] : call.options) options[key] = value;
      body["options"] = options;
    }
    return {{kLibraryStep, body}};
  }
};

Json steps_json(const std::vector<Step>& steps) {
  Json out = Json::array();
  for (const Step& step : steps) out.push_back(std::visit(StepPrinter(), step.action));
  return out;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// One step per line; the rest of a program is short.
std::string lines(const std::vector<Step>& steps) {
  if (steps.empty()) return "[]";
  std::string out = "[";
  const char* separator = "\n    ";
  for (const Json& step : steps_json(steps)) {
    out += separator + dump(step);
    separator = ",\n    ";
  }
  return out + "\n  ]";
}

}  // namespace

std::string print_program(const Program& program) {
  std::string out = fmt::format("{{\n  \"format\": {},\n  \"target\": {},\n", program.format,
                                dump(program.target));
  if (!program.arch.empty()) out += fmt::format("  \"arch\": {},\n", dump(program.arch));
  out += fmt::format("  \"source\": {},\n", dump(program.source));
  if (!program.flags.empty()) out += fmt::format("  \"flags\": {},\n", dump(Json(program.flags)));
  if (!program.params.empty()) {
    Json params = Json::object();
    for (const auto& [name, value] : program.params) params[name] = value;
    out += fmt::format("  \"params\": {},\n", dump(params));
  }
  if (!program.requires_features.empty())
    out += fmt::format("  \"requires\": {},\n", dump(Json(program.requires_features)));
  out += "  \"buffers\": {";
  const char* separator = "\n    ";
  for (const Buffer& buffer : program.buffers) {
    out += fmt::format("{}{}: {}", separator, dump(buffer.name), dump(buffer_json(buffer)));
    separator = ",\n    ";
  }
  out += program.buffers.empty() ? "},\n" : "\n  },\n";
  if (!program.prepare.empty()) out += fmt::format("  \"prepare\": {},\n", lines(program.prepare));
  out += fmt::format("  \"run\": {}\n}}\n", lines(program.run));
  return out;
}

}  // namespace kernelwright::program
