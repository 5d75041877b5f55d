// SPDX-License-Identifier: Apache-2.0
// OpenAI Chat Completions, streamed; also what llama.cpp, Ollama, vLLM and OpenRouter speak.
#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>

#include "agent/base64.h"
#include "agent/bounded_json.h"
#include "agent/providers/dialects.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

// Blocks of one reply in order: the text, then the calls as they begin.
constexpr size_t kTextIndex = 0;

json image_part(const ImageBlock& image) {
  return {{"type", "image_url"},
          {"image_url",
           {{"url", fmt::format("data:{};base64,{}", image.media_type, to_base64(image.bytes))}}}};
}

json assistant_json(const Message& message) {
  json out = {{"role", "assistant"}};
  const std::string text = message.text();
  out["content"] = text.empty() ? json() : json(text);
  for (const ToolCall& call : message.tool_calls()) {
    // Servers parse what they get back: what is no JSON object goes back as an empty one.
    const std::string arguments = call.malformed.empty() ? call.arguments : "{}";
    out["tool_calls"].push_back({{"id", call.id},
                                 {"type", "function"},
                                 {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  return out;
}

// Tool results first, each a message of its own; then the user's words and images.
void append_user(const Message& message, json& into) {
  json parts = json::array();
  bool images = false;
  for (const Block& block : message.blocks) {
    if (const auto* result = std::get_if<ToolResult>(&block)) {
      into.push_back(
          {{"role", "tool"}, {"tool_call_id", result->call_id}, {"content", result->text}});
      for (const ImageBlock& image : result->images) parts.push_back(image_part(image));
      images = images || !result->images.empty();
    } else if (const auto* text = std::get_if<TextBlock>(&block)) {
      if (!text->text.empty()) parts.push_back({{"type", "text"}, {"text", text->text}});
    } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
      parts.push_back(image_part(*image));
      images = true;
    }
  }
  if (parts.empty()) return;
  // Plain text where there is only that: small servers know nothing else.
  if (images)
    into.push_back({{"role", "user"}, {"content", std::move(parts)}});
  else
    into.push_back({{"role", "user"}, {"content", message.text()}});
}

class ChatReader : public ReplyReader {
 public:
  ChatReader(const ReplyLimits& limits, const EventSink& on_event) : assembly_(limits, on_event) {}

  Status event(std::string_view, std::string_view data) override {
    if (data == "[DONE]") return {};
    KW_TRY(const json event, assembly_.parse_event(data));
    return chunk(event);
  }

  Status whole(std::string_view body) override {
    KW_TRY(const json answer, assembly_.parse_event(body));
    return chunk(answer);
  }

  Result<Reply> finish() override {
    if (finish_.empty()) return fail(ErrorKind::kInput, "the reply broke off");
    StopReason stop = StopReason::kEnd;
    if (finish_ == "tool_calls" || finish_ == "function_call") stop = StopReason::kToolCalls;
    if (finish_ == "length") stop = StopReason::kMaxTokens;
    if (finish_ == "content_filter") stop = StopReason::kRefused;
    return assembly_.take(stop);
  }

 private:
  Status chunk(const json& from) {
    if (from.contains("error") && !from["error"].is_null()) {
      const int64_t code = count_member(inner_member(from, "error"), "code");
      retriable_ = code == 0 || code == 429 || code >= 500;
      return fail(ErrorKind::kInput, "the server broke off: " + server_message(from));
    }
    if (assembly_.model.empty()) assembly_.model = text_member(from, "model");
    read_usage(inner_member(from, "usage"));
    const json& choices = inner_member(from, "choices");
    if (!choices.is_array() || choices.empty()) return {};
    const json& choice = choices[0];
    const json& delta = inner_member(choice, choice.contains("delta") ? "delta" : "message");
    const std::string text = text_member(delta, "content");
    if (!text.empty()) KW_CHECK_OK(assembly_.add_text(kTextIndex, text));
    const std::string refusal = text_member(delta, "refusal");
    if (!refusal.empty()) KW_CHECK_OK(assembly_.add_text(kTextIndex, refusal));
    const json& calls = inner_member(delta, "tool_calls");
    if (calls.is_array())
      for (const json& call : calls) KW_CHECK_OK(call_delta(call));
    const std::string finish = text_member(choice, "finish_reason");
    if (!finish.empty()) finish_ = finish;
    return {};
  }

  // Some servers number every parallel call 0, or not at all: a new id begins a new call as well.
  Status call_delta(const json& from) {
    const int64_t number = count_member(from, "index");
    const std::string id = text_member(from, "id");
    const json& function = inner_member(from, "function");
    const std::string name = text_member(function, "name");
    const auto open = open_.find(number);
    const bool fresh =
        open == open_.end() || (!id.empty() && !name.empty() && id != open->second.id);
    if (fresh) {
      const size_t at = kTextIndex + 1 + begun_++;
      KW_CHECK_OK(assembly_.begin_call(at, id, name));
      open_[number] = {at, id};
    }
    // Arguments are text by the protocol; some servers send the object itself.
    const auto arguments = function.find("arguments");
    if (arguments == function.end() || arguments->is_null()) return {};
    return assembly_.add_arguments(
        open_[number].at, arguments->is_string()
                              ? arguments->get<std::string>()
                              : arguments->dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void read_usage(const json& from) {
    if (!from.contains("prompt_tokens")) return;
    const int64_t prompt = count_member(from, "prompt_tokens");
    const int64_t cached = std::min(
        prompt, count_member(inner_member(from, "prompt_tokens_details"), "cached_tokens"));
    assembly_.usage = {prompt - cached, count_member(from, "completion_tokens"), cached, 0};
    assembly_.counted = true;
  }

  struct OpenCall {
    size_t at = 0;
    std::string id;
  };

  ReplyAssembly assembly_;
  std::map<int64_t, OpenCall> open_;
  size_t begun_ = 0;
  std::string finish_;
};

class Chat : public Dialect {
 public:
  json request_body(const ModelSpec& spec, const Request& request) const override {
    json messages = json::array();
    std::string system;
    for (const SystemBlock& block : request.system)
      system += (system.empty() || block.text.empty() ? "" : "\n\n") + block.text;
    if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
    for (const Message& message : request.messages) {
      if (message.role == Role::kAssistant)
        messages.push_back(assistant_json(message));
      else
        append_user(message, messages);
    }
    json body = {{"model", spec.model},
                 {"messages", std::move(messages)},
                 {"stream", true},
                 {"stream_options", {{"include_usage", true}}}};
    // OpenAI's own newer models refuse the name that every other server knows.
    const bool own = spec.base_url.starts_with("https://api.openai.com/");
    body[own ? "max_completion_tokens" : "max_tokens"] = request.max_output_tokens;
    for (const ToolDefinition& tool : request.tools)
      body["tools"].push_back({{"type", "function"},
                               {"function",
                                {{"name", tool.name},
                                 {"description", tool.description},
                                 {"parameters", json::parse(tool.schema)}}}});
    return body;
  }

  std::vector<std::string> headers(const std::string& key) const override {
    if (key.empty()) return {};
    return {"Authorization: Bearer " + key};
  }

  std::unique_ptr<ReplyReader> reader(const ReplyLimits& limits,
                                      const EventSink& on_event) const override {
    return std::make_unique<ChatReader>(limits, on_event);
  }
};

}  // namespace

const Dialect& chat_dialect() {
  static const Chat dialect;
  return dialect;
}

}  // namespace kernelwright::agent
