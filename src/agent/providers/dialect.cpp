// SPDX-License-Identifier: Apache-2.0
#include "agent/providers/dialect.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/bounded_json.h"
#include "agent/providers/bound.h"
#include "agent/providers/dialects.h"

namespace kernelwright::agent {

ReplyAssembly::Part* ReplyAssembly::find(size_t index) {
  for (Part& part : parts_)
    if (part.index == index) return &part;
  return nullptr;
}

bool ReplyAssembly::holds(size_t index) const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [&](const Part& part) { return part.index == index; });
}

Status ReplyAssembly::grow(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > limits_.content_bytes)
    return over_bound(fmt::format("the reply is larger than {} MiB", limits_.content_bytes >> 20));
  return {};
}

Status ReplyAssembly::add_text(size_t index, std::string_view piece) {
  KW_CHECK_OK(grow(piece.size()));
  Part* part = find(index);
  if (part == nullptr) {
    // Each block costs something, whatever it holds.
    KW_CHECK_OK(grow(64));
    part = &parts_.emplace_back(Part{index, TextBlock{}});
  }
  auto* text = std::get_if<TextBlock>(&part->block);
  if (text == nullptr) return fail(ErrorKind::kInput, "the stream mixes two kinds of a block");
  text->text += piece;
  if (on_event_ && !piece.empty()) on_event_({Event::Kind::kText, std::string(piece)});
  return {};
}

Status ReplyAssembly::begin_call(size_t index, std::string id, std::string name) {
  if (find(index) != nullptr) return fail(ErrorKind::kInput, "the stream begins a block twice");
  if (++calls_ > limits_.tool_calls)
    return over_bound(
        fmt::format("the reply calls more than {} tools at once", limits_.tool_calls));
  KW_CHECK_OK(grow(id.size() + name.size() + 64));
  if (on_event_) on_event_({Event::Kind::kToolCall, name});
  if (id.empty()) id = fmt::format("call_{}", index);
  parts_.push_back({index, ToolCall{std::move(id), std::move(name), {}, {}}});
  return {};
}

Status ReplyAssembly::add_arguments(size_t index, std::string_view piece) {
  KW_CHECK_OK(grow(piece.size()));
  Part* part = find(index);
  auto* call = part == nullptr ? nullptr : std::get_if<ToolCall>(&part->block);
  if (call == nullptr)
    return fail(ErrorKind::kInput, "the stream holds arguments of a call that has not begun");
  call->arguments += piece;
  return {};
}

Status ReplyAssembly::add_opaque(size_t index, const char* protocol, std::string json) {
  KW_CHECK_OK(grow(json.size() + 64));
  parts_.push_back({index, OpaqueBlock{protocol, std::move(json)}});
  return {};
}

Reply ReplyAssembly::take(StopReason stop) {
  Reply reply;
  std::stable_sort(parts_.begin(), parts_.end(),
                   [](const Part& a, const Part& b) { return a.index < b.index; });
  for (Part& part : parts_) {
    if (const auto* text = std::get_if<TextBlock>(&part.block); text && text->text.empty())
      continue;
    if (auto* call = std::get_if<ToolCall>(&part.block)) {
      if (call->arguments.empty()) call->arguments = "{}";
      const auto parsed = parse_bounded_json(call->arguments, limits_.nesting);
      if (!parsed)
        call->malformed = parsed.error().message;
      else if (!parsed->is_object())
        call->malformed = "not a JSON object";
    }
    reply.message.blocks.push_back(std::move(part.block));
  }
  reply.message.role = Role::kAssistant;
  reply.usage = usage;
  reply.counted = counted;
  reply.model = std::move(model);
  // Some servers say "stop" after a tool call.
  if (stop == StopReason::kEnd && calls_ > 0) stop = StopReason::kToolCalls;
  if (stop == StopReason::kToolCalls && calls_ == 0) stop = StopReason::kEnd;
  reply.stop = stop;
  return reply;
}

Result<nlohmann::json> ReplyAssembly::parse_event(std::string_view data) const {
  auto parsed = parse_bounded_json(data, 2 * limits_.nesting);
  if (!parsed)
    return fail(ErrorKind::kInput, "an event of the stream is off: " + parsed.error().message);
  if (!parsed->is_object()) return fail(ErrorKind::kInput, "an event of the stream is no object");
  return parsed;
}

std::string server_message(const nlohmann::json& body) {
  constexpr size_t kLongest = 300;
  std::string text = text_member(inner_member(body, "error"), "message");
  if (text.empty()) text = text_member(body, "error");
  if (text.empty()) text = text_member(body, "message");
  if (text.empty()) text = text_member(body, "detail");
  std::string out;
  for (const char c : text) {
    const bool blank = static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : c;
  }
  if (out.size() > kLongest) {
    size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    out = out.substr(0, end) + "...";
  }
  while (!out.empty() && (out.back() == ' ' || (out.back() == '.' && !out.ends_with("..."))))
    out.pop_back();
  return out;
}

const Dialect& dialect_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAnthropicMessages:
      return anthropic_dialect();
    case Protocol::kOpenAiChat:
      return chat_dialect();
    case Protocol::kOpenAiResponses:
      return responses_dialect();
  }
  return chat_dialect();
}

}  // namespace kernelwright::agent
