// SPDX-License-Identifier: Apache-2.0
// OpenAI Responses, streamed, nothing stored on the server.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/base64.h"
#include "agent/bounded_json.h"
#include "agent/providers/dialects.h"
#include "base/hash.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr const char* kResponsesProtocol = "responses";

json input_image(const ImageBlock& image) {
  return {
      {"type", "input_image"},
      {"image_url", fmt::format("data:{};base64,{}", image.media_type, to_base64(image.bytes))}};
}

void append_assistant(const Message& message, json& into) {
  for (const Block& block : message.blocks) {
    if (const auto* text = std::get_if<TextBlock>(&block)) {
      into.push_back({{"type", "message"},
                      {"role", "assistant"},
                      {"content", {{{"type", "output_text"}, {"text", text->text}}}}});
    } else if (const auto* call = std::get_if<ToolCall>(&block)) {
      into.push_back({{"type", "function_call"},
                      {"call_id", call->id},
                      {"name", call->name},
                      {"arguments", call->malformed.empty() ? call->arguments : "{}"}});
    } else if (const auto* opaque = std::get_if<OpaqueBlock>(&block)) {
      json item = json::parse(opaque->json, nullptr, false);
      if (opaque->protocol == kResponsesProtocol && item.is_object())
        into.push_back(std::move(item));
    }
  }
}

void append_user_items(const Message& message, json& into) {
  json parts = json::array();
  for (const Block& block : message.blocks) {
    if (const auto* result = std::get_if<ToolResult>(&block)) {
      into.push_back({{"type", "function_call_output"},
                      {"call_id", result->call_id},
                      {"output", result->text}});
      for (const ImageBlock& image : result->images) parts.push_back(input_image(image));
    } else if (const auto* text = std::get_if<TextBlock>(&block)) {
      if (!text->text.empty()) parts.push_back({{"type", "input_text"}, {"text", text->text}});
    } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
      parts.push_back(input_image(*image));
    }
  }
  if (!parts.empty())
    into.push_back({{"type", "message"}, {"role", "user"}, {"content", std::move(parts)}});
}

class ResponsesReader : public ReplyReader {
 public:
  ResponsesReader(const ReplyLimits& limits, const EventSink& on_event)
      : limits_(limits), on_event_(on_event), assembly_(limits, no_events_) {}

  // Text is passed on as it comes; the reply is made of the finished items.
  Status event(std::string_view, std::string_view data) override {
    KW_TRY(const json event, assembly_.parse_event(data));
    const std::string type = text_member(event, "type");
    if (type == "response.output_text.delta") {
      if (on_event_) on_event_({Event::Kind::kText, text_member(event, "delta")});
    } else if (type == "response.output_item.added") {
      const json& item = inner_member(event, "item");
      if (on_event_ && text_member(item, "type") == "function_call")
        on_event_({Event::Kind::kToolCall, text_member(item, "name")});
    } else if (type == "response.output_item.done") {
      return item(static_cast<size_t>(count_member(event, "output_index")),
                  inner_member(event, "item"));
    } else if (type == "response.completed" || type == "response.incomplete") {
      return end(inner_member(event, "response"));
    } else if (type == "response.failed" || type == "error") {
      return broke_off(type == "error" ? event : inner_member(event, "response"));
    }
    return {};
  }

  Status whole(std::string_view body) override {
    KW_TRY(const json answer, assembly_.parse_event(body));
    if (text_member(answer, "status") == "failed" || answer.value("error", json()).is_object())
      return broke_off(answer);
    return end(answer);
  }

  Result<Reply> finish() override {
    if (!ended_) return fail(ErrorKind::kInput, "the reply broke off");
    return assembly_.take(stop_);
  }

 private:
  Status item(size_t index, const json& from) {
    if (assembly_.holds(index)) return {};
    const std::string type = text_member(from, "type");
    if (type == "message") {
      KW_CHECK_OK(assembly_.add_text(index, ""));
      const json& content = inner_member(from, "content");
      if (!content.is_array()) return {};
      for (const json& part : content) {
        const bool refusal = text_member(part, "type") == "refusal";
        if (refusal) stop_ = StopReason::kRefused;
        KW_CHECK_OK(assembly_.add_text(index, text_member(part, refusal ? "refusal" : "text")));
      }
    } else if (type == "function_call") {
      KW_CHECK_OK(
          assembly_.begin_call(index, text_member(from, "call_id"), text_member(from, "name")));
      return assembly_.add_arguments(index, text_member(from, "arguments"));
    } else if (type == "reasoning" && !text_member(from, "encrypted_content").empty()) {
      // Without its encrypted content nothing stored elsewhere could be referred to.
      json kept = from;
      kept.erase("status");
      return assembly_.add_opaque(index, kResponsesProtocol,
                                  kept.dump(-1, ' ', false, json::error_handler_t::replace));
    }
    return {};
  }

  Status end(const json& response) {
    assembly_.model = text_member(response, "model");
    const json& usage = inner_member(response, "usage");
    if (usage.contains("input_tokens")) {
      const int64_t input = count_member(usage, "input_tokens");
      const int64_t cached = std::min(
          input, count_member(inner_member(usage, "input_tokens_details"), "cached_tokens"));
      assembly_.usage = {input - cached, count_member(usage, "output_tokens"), cached, 0};
      assembly_.counted = true;
    }
    const json& output = inner_member(response, "output");
    if (output.is_array())
      for (size_t i = 0; i < output.size(); ++i) KW_CHECK_OK(item(i, output[i]));
    const std::string why = text_member(inner_member(response, "incomplete_details"), "reason");
    if (why == "content_filter")
      stop_ = StopReason::kRefused;
    else if (text_member(response, "status") == "incomplete")
      stop_ = StopReason::kMaxTokens;
    ended_ = true;
    return {};
  }

  Status broke_off(const json& from) {
    std::string code = text_member(inner_member(from, "error"), "code");
    if (code.empty()) code = text_member(from, "code");
    retriable_ = code.empty() || code == "server_error" || code == "rate_limit_exceeded";
    return fail(ErrorKind::kInput, "the server broke off: " + server_message(from));
  }

  const EventSink no_events_;
  const ReplyLimits limits_;
  const EventSink& on_event_;
  ReplyAssembly assembly_;
  StopReason stop_ = StopReason::kEnd;
  bool ended_ = false;
};

class Responses : public Dialect {
 public:
  json request_body(const ModelSpec& spec, const Request& request) const override {
    json body = {{"model", spec.model},
                 {"stream", true},
                 {"store", false},
                 {"max_output_tokens", request.max_output_tokens}};
    std::string system;
    for (const SystemBlock& block : request.system)
      system += (system.empty() || block.text.empty() ? "" : "\n\n") + block.text;
    if (!system.empty()) body["instructions"] = system;
    json input = json::array();
    for (const Message& message : request.messages) {
      if (message.role == Role::kAssistant)
        append_assistant(message, input);
      else
        append_user_items(message, input);
    }
    body["input"] = std::move(input);
    for (const ToolDefinition& tool : request.tools)
      body["tools"].push_back({{"type", "function"},
                               {"name", tool.name},
                               {"description", tool.description},
                               {"parameters", json::parse(tool.schema)},
                               {"strict", false}});
    // OpenAI caches prefixes by itself; requests with one key go to the machine that has them.
    if (spec.base_url.starts_with("https://api.openai.com/"))
      body["prompt_cache_key"] =
          base::IdentityBuilder().add("kernelwright").add(system).hex().substr(0, 32);
    return body;
  }

  std::vector<std::string> headers(const std::string& key) const override {
    if (key.empty()) return {};
    return {"Authorization: Bearer " + key};
  }

  std::unique_ptr<ReplyReader> reader(const ReplyLimits& limits,
                                      const EventSink& on_event) const override {
    return std::make_unique<ResponsesReader>(limits, on_event);
  }
};

}  // namespace

const Dialect& responses_dialect() {
  static const Responses dialect;
  return dialect;
}

}  // namespace kernelwright::agent
