// SPDX-License-Identifier: Apache-2.0
#include "agent/conversation.h"

#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>

#include "agent/base64.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<StopReason, const char*>, 4> kStopNames = {{
    {StopReason::kEnd, "end"},
    {StopReason::kToolCalls, "tool_calls"},
    {StopReason::kMaxTokens, "max_tokens"},
    {StopReason::kRefused, "refused"},
}};

json image_json(const ImageBlock& image) {
  return {{"type", "image"}, {"media_type", image.media_type}, {"data", to_base64(image.bytes)}};
}

struct BlockWriter {
  json operator()(const TextBlock& block) const { return {{"type", "text"}, {"text", block.text}}; }
  json operator()(const ImageBlock& block) const { return image_json(block); }
  json operator()(const ToolCall& call) const {
    json out = {
        {"type", "tool_call"}, {"id", call.id}, {"name", call.name}, {"arguments", call.arguments}};
    if (!call.malformed.empty()) out["malformed"] = call.malformed;
    return out;
  }
  json operator()(const ToolResult& result) const {
    json out = {{"type", "tool_result"},
                {"call_id", result.call_id},
                {"text", result.text},
                {"error", result.error}};
    for (const ImageBlock& image : result.images) out["images"].push_back(image_json(image));
    return out;
  }
  json operator()(const OpaqueBlock& block) const {
    return {{"type", "opaque"}, {"protocol", block.protocol}, {"json", block.json}};
  }
};

// The readers throw json exceptions on a missing or mistyped key; `guarded` turns them into errors.
ImageBlock read_image(const json& from) {
  auto bytes = from_base64(from.at("data").get<std::string>());
  if (!bytes) throw std::invalid_argument("an image that is not base64");
  return {from.at("media_type"), std::move(*bytes)};
}

Block read_block(const json& from) {
  const std::string type = from.at("type");
  if (type == "text") return TextBlock{from.at("text")};
  if (type == "image") return read_image(from);
  if (type == "opaque") return OpaqueBlock{from.at("protocol"), from.at("json")};
  if (type == "tool_call")
    return ToolCall{from.at("id"), from.at("name"), from.at("arguments"),
                    from.value("malformed", std::string())};
  if (type == "tool_result") {
    ToolResult result{from.at("call_id"), from.at("text"), from.at("error"), {}};
    if (const auto images = from.find("images"); images != from.end())
      for (const json& image : *images) result.images.push_back(read_image(image));
    return result;
  }
  throw std::invalid_argument("unknown block '" + type + "'");
}

Message read_message(const json& from) {
  Message message;
  const std::string role = from.at("role");
  if (role != "user" && role != "assistant") throw std::invalid_argument("role '" + role + "'");
  message.role = role == "user" ? Role::kUser : Role::kAssistant;
  for (const json& block : from.at("blocks")) message.blocks.push_back(read_block(block));
  message.cache_mark = from.value("cache_mark", false);
  return message;
}

Usage read_usage(const json& from) {
  return {from.at("input"), from.at("output"), from.at("cache_read"), from.at("cache_write")};
}

Reply read_reply(const json& from) {
  Reply reply;
  reply.message = read_message(from.at("message"));
  reply.usage = read_usage(from.at("usage"));
  reply.counted = from.at("counted");
  const std::string stop = from.at("stop");
  bool known = false;
  for (const auto& [reason, name] : kStopNames)
    if (stop == name) {
      reply.stop = reason;
      known = true;
    }
  if (!known) throw std::invalid_argument("stop reason '" + stop + "'");
  reply.model = from.at("model");
  reply.attempts = from.at("attempts");
  reply.seconds = from.at("seconds");
  return reply;
}

template <class Read>
auto guarded(const char* what, const json& from, Read read) -> Result<decltype(read(from))> {
  try {
    return read(from);
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInput, fmt::format("a {} of a transcript is off: {}", what, e.what()));
  }
}

}  // namespace

Message Message::user(std::string text) {
  Message message;
  message.blocks.emplace_back(TextBlock{std::move(text)});
  return message;
}

std::string Message::text() const {
  std::string out;
  for (const Block& block : blocks)
    if (const auto* text = std::get_if<TextBlock>(&block)) out += text->text;
  return out;
}

std::vector<ToolCall> Message::tool_calls() const {
  std::vector<ToolCall> out;
  for (const Block& block : blocks)
    if (const auto* call = std::get_if<ToolCall>(&block)) out.push_back(*call);
  return out;
}

Usage& Usage::operator+=(const Usage& other) {
  input += other.input;
  output += other.output;
  cache_read += other.cache_read;
  cache_write += other.cache_write;
  return *this;
}

const char* stop_reason_name(StopReason reason) {
  for (const auto& [value, name] : kStopNames)
    if (value == reason) return name;
  return "end";
}

json to_json(const Message& message) {
  json out = {{"role", message.role == Role::kUser ? "user" : "assistant"},
              {"blocks", json::array()}};
  for (const Block& block : message.blocks)
    out["blocks"].push_back(std::visit(BlockWriter{}, block));
  if (message.cache_mark) out["cache_mark"] = true;
  return out;
}

json to_json(const Usage& usage) {
  return {{"input", usage.input},
          {"output", usage.output},
          {"cache_read", usage.cache_read},
          {"cache_write", usage.cache_write}};
}

json to_json(const Reply& reply) {
  return {{"message", to_json(reply.message)},
          {"usage", to_json(reply.usage)},
          {"counted", reply.counted},
          {"stop", stop_reason_name(reply.stop)},
          {"model", reply.model},
          {"attempts", reply.attempts},
          {"seconds", reply.seconds}};
}

Result<Message> message_from_json(const json& from) {
  return guarded("message", from, read_message);
}
Result<Usage> usage_from_json(const json& from) {
  return guarded("count of tokens", from, read_usage);
}
Result<Reply> reply_from_json(const json& from) {
  return guarded("reply", from, read_reply);
}

}  // namespace kernelwright::agent
