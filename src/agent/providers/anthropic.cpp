// SPDX-License-Identifier: Apache-2.0
// Anthropic Messages, version 2023-06-01, streamed.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/base64.h"
#include "agent/bounded_json.h"
#include "agent/providers/dialects.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr const char* kProtocol = "anthropic";
constexpr int kMostMarks = 4;  // of cache_control in one request

json image_json(const ImageBlock& image) {
  return {
      {"type", "image"},
      {"source",
       {{"type", "base64"}, {"media_type", image.media_type}, {"data", to_base64(image.bytes)}}}};
}

json result_json(const ToolResult& result) {
  json content = json::array();
  if (!result.text.empty()) content.push_back({{"type", "text"}, {"text", result.text}});
  for (const ImageBlock& image : result.images) content.push_back(image_json(image));
  json out = {{"type", "tool_result"}, {"tool_use_id", result.call_id}};
  if (!content.empty()) out["content"] = std::move(content);
  if (result.error) out["is_error"] = true;
  return out;
}

// null: nothing to send for this block.
json block_json(const Block& block) {
  if (const auto* text = std::get_if<TextBlock>(&block))
    return text->text.empty() ? json() : json{{"type", "text"}, {"text", text->text}};
  if (const auto* image = std::get_if<ImageBlock>(&block)) return image_json(*image);
  if (const auto* result = std::get_if<ToolResult>(&block)) return result_json(*result);
  if (const auto* call = std::get_if<ToolCall>(&block)) {
    // The API takes objects alone; what the model got wrong is in the tool's result.
    json input = call->malformed.empty() ? json::parse(call->arguments, nullptr, false) : json();
    if (!input.is_object()) input = json::object();
    return {{"type", "tool_use"}, {"id", call->id}, {"name", call->name}, {"input", input}};
  }
  const auto& opaque = std::get<OpaqueBlock>(block);
  if (opaque.protocol != kProtocol) return {};
  json parsed = json::parse(opaque.json, nullptr, false);
  return parsed.is_object() ? parsed : json();
}

void mark(json& block) {
  block["cache_control"] = {{"type", "ephemeral"}};
}

json messages_json(const Request& request, int marks_left) {
  // The latest marks count: they hold the longest prefix.
  size_t first_marked = request.messages.size();
  while (first_marked > 0 && marks_left > 0)
    if (request.messages[--first_marked].cache_mark) --marks_left;
  json out = json::array();
  for (size_t i = 0; i < request.messages.size(); ++i) {
    const Message& message = request.messages[i];
    json content = json::array();
    for (const Block& block : message.blocks)
      if (json one = block_json(block); !one.is_null()) content.push_back(std::move(one));
    if (content.empty()) continue;
    if (message.cache_mark && i >= first_marked) {
      const std::string type = content.back()["type"];
      if (type != "thinking" && type != "redacted_thinking") mark(content.back());
    }
    out.push_back({{"role", message.role == Role::kUser ? "user" : "assistant"},
                   {"content", std::move(content)}});
  }
  return out;
}

StopReason stop_reason(const std::string& name) {
  if (name == "tool_use") return StopReason::kToolCalls;
  if (name == "max_tokens" || name == "model_context_window_exceeded")
    return StopReason::kMaxTokens;
  if (name == "refusal") return StopReason::kRefused;
  return StopReason::kEnd;
}

class AnthropicReader : public ReplyReader {
 public:
  AnthropicReader(const ReplyLimits& limits, const EventSink& on_event)
      : assembly_(limits, on_event) {}

  Status event(std::string_view, std::string_view data) override {
    KW_TRY(const json event, assembly_.parse_event(data));
    const std::string type = text_member(event, "type");
    if (type == "message_start") {
      const json& message = inner_member(event, "message");
      assembly_.model = text_member(message, "model");
      read_usage(inner_member(message, "usage"));
    } else if (type == "content_block_start") {
      return block_start(count_member(event, "index"), inner_member(event, "content_block"));
    } else if (type == "content_block_delta") {
      return block_delta(count_member(event, "index"), inner_member(event, "delta"));
    } else if (type == "content_block_stop") {
      return end_thinking();
    } else if (type == "message_delta") {
      const std::string stop = text_member(inner_member(event, "delta"), "stop_reason");
      if (!stop.empty()) stop_ = stop;
      read_usage(inner_member(event, "usage"));
    } else if (type == "message_stop") {
      ended_ = true;
    } else if (type == "error") {
      const std::string kind = text_member(inner_member(event, "error"), "type");
      retriable_ = kind == "overloaded_error" || kind == "api_error" || kind == "rate_limit_error";
      return fail(ErrorKind::kInput, "the server broke off: " + server_message(event));
    }
    return {};
  }

  Status whole(std::string_view) override {
    retriable_ = false;
    return fail(ErrorKind::kInput, "the server does not stream");
  }

  Result<Reply> finish() override {
    if (!ended_ || stop_.empty()) return fail(ErrorKind::kInput, "the reply broke off");
    return assembly_.take(stop_reason(stop_));
  }

 private:
  // Later events carry totals, not increments; an absent field leaves what was said before.
  void read_usage(const json& from) {
    const auto take = [&](const char* name, int64_t& into) {
      if (from.contains(name)) into = count_member(from, name);
    };
    if (from.empty()) return;
    assembly_.counted = true;
    take("input_tokens", assembly_.usage.input);
    take("output_tokens", assembly_.usage.output);
    take("cache_read_input_tokens", assembly_.usage.cache_read);
    take("cache_creation_input_tokens", assembly_.usage.cache_write);
  }

  Status block_start(int64_t at, const json& block) {
    const auto index = static_cast<size_t>(at);
    const std::string type = text_member(block, "type");
    if (type == "text") return assembly_.add_text(index, text_member(block, "text"));
    if (type == "tool_use")
      return assembly_.begin_call(index, text_member(block, "id"), text_member(block, "name"));
    if (type == "thinking" || type == "redacted_thinking") {
      KW_CHECK_OK(end_thinking());
      thinking_index_ = index;
      thinking_ = block;
    }
    return {};
  }

  Status block_delta(int64_t at, const json& delta) {
    const auto index = static_cast<size_t>(at);
    const std::string type = text_member(delta, "type");
    if (type == "text_delta") return assembly_.add_text(index, text_member(delta, "text"));
    if (type == "input_json_delta")
      return assembly_.add_arguments(index, text_member(delta, "partial_json"));
    if (type == "thinking_delta") return think("thinking", text_member(delta, "thinking"));
    if (type == "signature_delta") return think("signature", text_member(delta, "signature"));
    return {};
  }

  Status think(const char* member, const std::string& piece) {
    if (thinking_.is_null()) return fail(ErrorKind::kInput, "a thought that has not begun");
    if (!thinking_.contains(member) || !thinking_[member].is_string()) thinking_[member] = "";
    thinking_[member].get_ref<std::string&>() += piece;
    return {};
  }

  Status end_thinking() {
    if (thinking_.is_null()) return {};
    const std::string text = thinking_.dump(-1, ' ', false, json::error_handler_t::replace);
    thinking_ = json();
    return assembly_.add_opaque(thinking_index_, kProtocol, text);
  }

  ReplyAssembly assembly_;
  std::string stop_;
  bool ended_ = false;
  json thinking_;
  size_t thinking_index_ = 0;
};

class Anthropic : public Dialect {
 public:
  json request_body(const ModelSpec& spec, const Request& request) const override {
    json body = {
        {"model", spec.model}, {"max_tokens", request.max_output_tokens}, {"stream", true}};
    int marks = kMostMarks;
    for (const SystemBlock& block : request.system) {
      if (block.text.empty()) continue;
      json one = {{"type", "text"}, {"text", block.text}};
      if (block.cache_mark && marks > 1) {
        mark(one);
        --marks;
      }
      body["system"].push_back(std::move(one));
    }
    for (const ToolDefinition& tool : request.tools)
      body["tools"].push_back({{"name", tool.name},
                               {"description", tool.description},
                               {"input_schema", json::parse(tool.schema)}});
    body["messages"] = messages_json(request, marks);
    return body;
  }

  std::vector<std::string> headers(const std::string& key) const override {
    std::vector<std::string> out = {"anthropic-version: 2023-06-01"};
    if (!key.empty()) out.push_back("x-api-key: " + key);
    return out;
  }

  std::unique_ptr<ReplyReader> reader(const ReplyLimits& limits,
                                      const EventSink& on_event) const override {
    return std::make_unique<AnthropicReader>(limits, on_event);
  }
};

}  // namespace

const Dialect& anthropic_dialect() {
  static const Anthropic dialect;
  return dialect;
}

}  // namespace kernelwright::agent
