// SPDX-License-Identifier: Apache-2.0
#include "program/parse.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "program/limits.h"
#include "program/malformed.h"
#include "program/parse_steps.h"
#include "program/target_rules.h"

namespace kernelwright::program {
namespace {

BufferRole parse_role(const JsonNode& node) {
  std::string name = node.string(kMaxNameBytes);
  for (BufferRole role :
       {BufferRole::kInput, BufferRole::kWeight, BufferRole::kOutput, BufferRole::kPacked,
        BufferRole::kScratch, BufferRole::kSync, BufferRole::kState, BufferRole::kTable})
    if (name == role_name(role)) return role;
  node.malformed(
      fmt::format("unknown role {} (input, weight, output, packed, scratch, sync, state, table)",
                  excerpt(name)));
}

Buffer parse_buffer(const std::string& name, const JsonNode& node) {
  Buffer buffer;
  buffer.name = name;
  buffer.role = parse_role(node.at("role"));
  bool indexed = buffer.role == BufferRole::kInput || buffer.role == BufferRole::kOutput;
  bool named = buffer.role == BufferRole::kWeight || buffer.role == BufferRole::kState;
  bool table = buffer.role == BufferRole::kTable;
  if (indexed) {
    node.only_keys({"role", "index", "dtype", "shape"});
    buffer.index = static_cast<int>(node.at("index").integer(0, kMaxInputIndex));
  } else if (named) {
    node.only_keys({"role", "name", "dtype", "shape"});
    buffer.weight = node.at("name").string(kMaxNameBytes * 4);
  } else if (table) {
    node.only_keys({"role", "dtype", "shape", "values"});
  } else {
    node.only_keys({"role", "dtype", "shape"});
  }
  if (table) {
    for (const JsonNode& value : node.at("values").items(kMaxTableValues))
      buffer.table.push_back(value.real());
    buffer.dtype = node.at("dtype").dtype();
    auto shape = node.find("shape");
    buffer.shape = shape ? shape->size_list(kMaxRank)
                         : std::vector<SizeExpr>{size(static_cast<int64_t>(buffer.table.size()))};
    buffer.typed = true;
    return buffer;
  }
  buffer.typed = node.has("dtype") || node.has("shape");
  if (!buffer.typed && !indexed && !named)
    node.malformed(fmt::format("a {} buffer needs dtype and shape", role_name(buffer.role)));
  if (buffer.typed) {
    buffer.dtype = node.at("dtype").dtype();
    buffer.shape = node.at("shape").size_list(kMaxRank);
  }
  return buffer;
}

// A plain file name: no separators, no dot files, nothing a shell or a compiler would read as an
// option.
bool is_plain_file_name(const std::string& name) {
  if (name.empty() || name[0] == '.' || name[0] == '-') return false;
  for (char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
          c == '-' || c == '.'))
      return false;
  return true;
}

std::string parse_word(const JsonNode& node, const char* what) {
  std::string text = node.string(kMaxNameBytes);
  for (char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
          c == '-' || c == '.'))
      node.malformed(fmt::format("{} {} holds odd characters", what, excerpt(text)));
  return text;
}

Program parse(std::string_view text) {
  nlohmann::ordered_json document = load_json(text);
  JsonNode root(document, "");
  if (!root.is_object()) root.malformed("program.json holds no object");
  root.only_keys({"format", "target", "arch", "source", "flags", "params", "requires", "buffers",
                  "prepare", "run"});
  Program program;
  JsonNode format = root.at("format");
  program.format = static_cast<int>(format.integer(0, 1 << 30));
  if (program.format != 1)
    format.malformed(fmt::format("format {} is not known, this reads format 1", program.format));
  JsonNode target = root.at("target");
  program.target = target.string(kMaxNameBytes);
  if (!target_rules(program.target))
    target.malformed(fmt::format("unknown target {}", excerpt(program.target)));
  if (auto arch = root.find("arch")) program.arch = parse_word(*arch, "arch");
  JsonNode source = root.at("source");
  program.source = source.string(kMaxNameBytes);
  if (!is_plain_file_name(program.source))
    source.malformed(fmt::format("{} is not a plain file name inside the program's folder",
                                 excerpt(program.source)));
  if (program.source == "program.json")
    source.malformed("the source cannot be program.json itself");
  if (auto flags = root.find("flags"))
    for (const JsonNode& flag : flags->items(kMaxFlags))
      program.flags.push_back(flag.string(kMaxNameBytes));
  if (auto params = root.find("params"))
    for (const auto& [key, value] : params->members(kMaxParams)) {
      if (!is_identifier(key))
        params->malformed(fmt::format("param {} is not an identifier", excerpt(key)));
      program.params[key] = value.integer(-kMaxSize, kMaxSize);
    }
  if (auto features = root.find("requires"))
    for (const JsonNode& feature : features->items(kMaxFlags))
      program.requires_features.push_back(parse_word(feature, "feature"));
  JsonNode buffers = root.at("buffers");
  for (const auto& [name, node] : buffers.members(kMaxBuffers)) {
    if (!is_identifier(name))
      buffers.malformed(fmt::format("buffer {} is not an identifier", excerpt(name)));
    program.buffers.push_back(parse_buffer(name, node));
  }
  size_t budget = kMaxSteps;
  if (auto prepare = root.find("prepare")) program.prepare = parse_steps(*prepare, budget);
  program.run = parse_steps(root.at("run"), budget);
  return program;
}

}  // namespace

Result<Program> parse_program(std::string_view json_text) {
  try {
    return parse(json_text);
  } catch (const Malformed& malformed) {
    return fail(ErrorKind::kInput, malformed.what());
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorKind::kInput, "program.json has an unexpected shape");
  }
}

}  // namespace kernelwright::program
