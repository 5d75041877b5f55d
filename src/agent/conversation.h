// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kernelwright::agent {

struct TextBlock {
  std::string text;
};

struct ImageBlock {
  std::string media_type;  // "image/png"
  std::string bytes;       // the file's content, not base64
};

// A model asks for a tool. Everything in it is the model's word: data to be checked.
struct ToolCall {
  std::string id;         // given back in the ToolResult
  std::string name;       // may name no tool that exists
  std::string arguments;  // JSON text; an object of bounded nesting unless `malformed` is set
  std::string malformed;  // why `arguments` is no such object; empty: it is
};

struct ToolResult {
  std::string call_id;
  std::string text;
  bool error = false;
  std::vector<ImageBlock> images;
};

// What a provider wants back unchanged in later requests (signed thinking, encrypted reasoning). It
// is sent only over the protocol that it came from.
struct OpaqueBlock {
  std::string protocol;  // protocol_name()
  std::string json;
};

using Block = std::variant<TextBlock, ImageBlock, ToolCall, ToolResult, OpaqueBlock>;

enum class Role { kUser, kAssistant };

struct Message {
  Role role = Role::kUser;
  std::vector<Block> blocks;
  bool cache_mark = false;  // everything up to the end of this message is worth caching

  static Message user(std::string text);
  std::string text() const;  // of all text blocks, joined
  std::vector<ToolCall> tool_calls() const;
};

// As the provider counted them; the four do not overlap. `output` includes reasoning.
struct Usage {
  int64_t input = 0;  // neither read from nor written to a cache
  int64_t output = 0;
  int64_t cache_read = 0;
  int64_t cache_write = 0;

  Usage& operator+=(const Usage& other);
  bool operator==(const Usage&) const = default;
};

enum class StopReason {
  kEnd,
  kToolCalls,  // the message holds at least one
  kMaxTokens,  // cut off: the last block may be half of one; a half tool call is `malformed`
  kRefused,    // the provider's safety system
};
const char* stop_reason_name(StopReason reason);

struct Reply {
  Message message;  // of the assistant; to be appended to the conversation as it is
  Usage usage;
  bool counted = true;  // false: the server did not say how many tokens it counted
  StopReason stop = StopReason::kEnd;
  std::string model;  // as the server names it
  int attempts = 1;   // requests sent until one was answered
  double seconds = 0;
  bool replayed = false;  // from a transcript: nothing was sent, nothing paid
};

// The form in transcripts. from_json: kInput with the place of the fault.
nlohmann::json to_json(const Message& message);
nlohmann::json to_json(const Usage& usage);
nlohmann::json to_json(const Reply& reply);
Result<Message> message_from_json(const nlohmann::json& json);
Result<Usage> usage_from_json(const nlohmann::json& json);
Result<Reply> reply_from_json(const nlohmann::json& json);

}  // namespace kernelwright::agent
