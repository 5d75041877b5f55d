// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace kernelwright::mcp {

// JSON-RPC 2.0 as the Model Context Protocol uses it: one message per text, no batches.

inline constexpr size_t kMaxMessageBytes = 10u << 20;
inline constexpr size_t kMaxMessageDepth = 56;

enum RpcCode {
  kParseError = -32700,
  kInvalidRequest = -32600,
  kMethodNotFound = -32601,
  kInvalidParams = -32602,
  kInternalError = -32603,
  kResourceNotFound = -32002,
  kHeaderMismatch = -32020,
  kUnsupportedVersion = -32022,
};

struct RpcError {
  int code = kInternalError;
  std::string message;
  nlohmann::json data;  // null: none
};

// A request or, without an id, a notification.
struct Message {
  nlohmann::json id;  // a string or an integer; null: a notification
  std::string method;
  nlohmann::json params = nlohmann::json::object();
  bool notification() const { return id.is_null(); }
};

// What a text turned out to be. An error carries the id when one could be read. A response to us is
// neither: we ask nothing.
struct Parsed {
  std::optional<Message> message;
  std::optional<RpcError> error;
  nlohmann::json id;
};
Parsed parse_message(std::string_view text);

std::string reply_text(const nlohmann::json& id, const nlohmann::json& result);
std::string error_text(const nlohmann::json& id, const RpcError& error);
std::string notification_text(const std::string& method, const nlohmann::json& params);

}  // namespace kernelwright::mcp
