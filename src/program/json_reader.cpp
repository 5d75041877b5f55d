// SPDX-License-Identifier: Apache-2.0
#include "program/json_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "program/limits.h"
#include "program/malformed.h"

namespace kernelwright::program {
namespace {

using Json = nlohmann::ordered_json;

std::string child(const std::string& place, const std::string& key) {
  std::string shown = is_identifier(key) ? key : excerpt(key);
  return place.empty() ? shown : place + "." + shown;
}

// Watches the parser's events for what nlohmann lets pass: repeated keys and bottomless nesting.
class EventGuard {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& value) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        begin_value();
        if (frames_.size() >= kMaxJsonDepth)
          throw Malformed(place(), fmt::format("nested more than {} deep", kMaxJsonDepth));
        frames_.push_back(Frame{event == Event::array_start, {}, {}, -1});
        break;
      case Event::object_end:
      case Event::array_end:
        frames_.pop_back();
        break;
      case Event::key: {
        Frame& frame = frames_.back();
        frame.key = value.get<std::string>();
        if (!frame.seen.insert(frame.key).second)
          throw Malformed(parent_place(), fmt::format("duplicate key {}", excerpt(frame.key)));
        if (frame.seen.size() > kMaxObjectKeys) throw Malformed(parent_place(), "too many keys");
        break;
      }
      case Event::value:
        begin_value();
        break;
    }
    return true;
  }

 private:
  struct Frame {
    bool array;
    std::set<std::string> seen;
    std::string key;
    int64_t index;
  };
  void begin_value() {
    if (!frames_.empty() && frames_.back().array) ++frames_.back().index;
  }
  std::string path(size_t count) const {
    std::string out;
    for (size_t i = 0; i < count; ++i)
      out = frames_[i].array ? fmt::format("{}[{}]", out, frames_[i].index)
                             : child(out, frames_[i].key);
    return out;
  }
  std::string place() const { return path(frames_.size()); }
  std::string parent_place() const { return path(frames_.size() - 1); }

  std::vector<Frame> frames_;
};

// Digits as std::to_string prints them, so that "64" and 64 are one expression.
bool is_plain_integer(const std::string& text) {
  if (text.empty() || text.size() > 16) return false;
  size_t from = text[0] == '-' ? 1 : 0;
  if (from == text.size() || (text[from] == '0' && text.size() > 1)) return false;
  for (size_t i = from; i < text.size(); ++i)
    if (text[i] < '0' || text[i] > '9') return false;
  return true;
}

}  // namespace

std::string excerpt(std::string_view text) {
  constexpr size_t kShown = 40;
  std::string out = "'";
  for (char c : text.substr(0, kShown)) {
    auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return out + (text.size() > kShown ? "...'" : "'");
}

bool is_identifier(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (!letter(text[0])) return false;
  for (char c : text)
    if (!letter(c) && !(c >= '0' && c <= '9')) return false;
  return true;
}

void JsonNode::malformed(const std::string& what) const {
  throw Malformed(place_, what);
}

bool JsonNode::is_object() const {
  return value_->is_object();
}
bool JsonNode::is_array() const {
  return value_->is_array();
}
bool JsonNode::is_string() const {
  return value_->is_string();
}

void JsonNode::only_keys(std::initializer_list<std::string_view> keys) const {
  if (!is_object()) malformed(fmt::format("expected an object, got {}", value_->type_name()));
  for (const auto& [key, value] : value_->items()) {
    bool known = false;
    for (std::string_view candidate : keys) known = known || candidate == key;
    if (!known)
      malformed(fmt::format("unknown key {}; known are: {}", excerpt(key), fmt::join(keys, ", ")));
  }
}

bool JsonNode::has(std::string_view key) const {
  return value_->is_object() && value_->find(std::string(key)) != value_->end();
}

std::optional<JsonNode> JsonNode::find(const std::string& key) const {
  if (!is_object()) malformed(fmt::format("expected an object, got {}", value_->type_name()));
  auto it = value_->find(key);
  if (it == value_->end()) return std::nullopt;
  return JsonNode(*it, child(place_, key));
}

JsonNode JsonNode::at(const std::string& key) const {
  auto node = find(key);
  if (!node) malformed(fmt::format("missing key '{}'", key));
  return *node;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members(size_t limit) const {
  if (!is_object()) malformed(fmt::format("expected an object, got {}", value_->type_name()));
  if (value_->size() > limit) malformed(fmt::format("more than {} entries", limit));
  std::vector<std::pair<std::string, JsonNode>> out;
  for (const auto& [key, value] : value_->items())
    out.emplace_back(key, JsonNode(value, child(place_, key)));
  return out;
}

std::vector<JsonNode> JsonNode::items(size_t limit) const {
  if (!is_array()) malformed(fmt::format("expected a list, got {}", value_->type_name()));
  if (value_->size() > limit) malformed(fmt::format("more than {} entries", limit));
  std::vector<JsonNode> out;
  for (size_t i = 0; i < value_->size(); ++i)
    out.emplace_back((*value_)[i], fmt::format("{}[{}]", place_, i));
  return out;
}

std::string JsonNode::string(size_t limit) const {
  if (!is_string()) malformed(fmt::format("expected a string, got {}", value_->type_name()));
  const auto& text = value_->get_ref<const std::string&>();
  if (text.size() > limit) malformed(fmt::format("longer than {} characters", limit));
  return text;
}

std::string JsonNode::identifier(const char* what) const {
  std::string text = string(kMaxNameBytes);
  if (!is_identifier(text))
    malformed(fmt::format("{} {} is not an identifier", what, excerpt(text)));
  return text;
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean())
    malformed(fmt::format("expected true or false, got {}", value_->type_name()));
  return value_->get<bool>();
}

int64_t JsonNode::integer(int64_t low, int64_t high) const {
  if (!value_->is_number_integer())
    malformed(fmt::format("expected an integer, got {}", excerpt(value_->dump())));
  bool huge = value_->is_number_unsigned() &&
              value_->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (huge || value_->get<int64_t>() < low || value_->get<int64_t>() > high)
    malformed(fmt::format("{} is outside {}..{}", value_->dump(), low, high));
  return value_->get<int64_t>();
}

double JsonNode::real() const {
  if (value_->is_number()) return value_->get<double>();
  if (is_string()) {
    const auto& text = value_->get_ref<const std::string&>();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  malformed("expected a number, \"inf\", \"-inf\" or \"nan\"");
}

SizeExpr JsonNode::size_expr() const {
  if (is_string()) {
    std::string text = string(kMaxExprBytes);
    for (char c : text)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
        malformed(fmt::format("size expression {} holds odd characters", excerpt(text)));
    if (text.empty()) malformed("empty size expression");
    return SizeExpr{text};
  }
  if (!value_->is_number()) malformed(fmt::format("expected a size, got {}", value_->type_name()));
  return size(integer(-kMaxSize, kMaxSize));
}

std::vector<SizeExpr> JsonNode::size_list(size_t limit) const {
  if (!is_array())
    malformed(fmt::format("expected a list of sizes such as [64] or [\"N\"], got {}",
                          value_->type_name()));
  std::vector<SizeExpr> out;
  for (const JsonNode& item : items(limit)) out.push_back(item.size_expr());
  return out;
}

graph::DType JsonNode::dtype() const {
  std::string name = string(kMaxNameBytes);
  auto type = graph::dtype_from_name(name);
  if (!type)
    malformed(fmt::format("unknown dtype {} (f64 f32 f16 bf16 i64 i32 i16 i8 u8 u32 bool)",
                          excerpt(name)));
  return *type;
}

Json load_json(std::string_view text) {
  if (text.size() > kMaxTextBytes)
    throw Malformed("", fmt::format("program.json is longer than {} bytes", kMaxTextBytes));
  try {
    return Json::parse(text, EventGuard());
  } catch (const Json::parse_error& error) {
    // The parser's own message quotes the input: keep the position only.
    throw Malformed("", fmt::format("program.json is not valid JSON (byte {})", error.byte));
  } catch (const Json::exception&) {
    throw Malformed("", "program.json holds a number that no machine type can hold");
  }
}

Json real_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json size_json(const SizeExpr& expr) {
  if (is_plain_integer(expr.text)) return Json(std::stoll(expr.text));
  return Json(expr.text);
}

}  // namespace kernelwright::program
