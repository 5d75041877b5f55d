// SPDX-License-Identifier: Apache-2.0
#include "mcp/rpc.h"

#include "agent/schema.h"

namespace kernelwright::mcp {
namespace {

using nlohmann::json;

constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxMethodBytes = 128;

std::string printed(const json& message) {
  return message.dump(-1, ' ', false, json::error_handler_t::replace);
}

Parsed invalid(std::string what, json id = nullptr) {
  return {std::nullopt, RpcError{kInvalidRequest, std::move(what), nullptr}, std::move(id)};
}

bool good_id(const json& id) {
  return id.is_number_integer() ||
         (id.is_string() && id.get_ref<const std::string&>().size() <= kMaxIdBytes);
}

}  // namespace

Parsed parse_message(std::string_view text) {
  auto parsed = agent::parse_json(text, kMaxMessageBytes, kMaxMessageDepth);
  if (!parsed)
    return {std::nullopt, RpcError{kParseError, "parse error: " + parsed.error().message, nullptr},
            nullptr};
  json& value = *parsed;
  if (value.is_array()) return invalid("one message at a time: batches are not part of MCP");
  if (!value.is_object()) return invalid("a message is a JSON object");
  const bool has_id = value.contains("id");
  json id = has_id && good_id(value["id"]) ? value["id"] : json();
  if (value.value("jsonrpc", json()) != "2.0") return invalid("jsonrpc: expected \"2.0\"", id);
  if (!value.contains("method")) {
    // An answer to a request of ours; there is none, so nobody waits for it.
    if (has_id && (value.contains("result") || value.contains("error"))) return {};
    return invalid("method: missing", id);
  }
  if (has_id && id.is_null()) return invalid("id: expected a string or an integer");
  const json& method = value["method"];
  if (!method.is_string() || method.get_ref<const std::string&>().size() > kMaxMethodBytes)
    return invalid("method: expected a short string", id);
  Message message;
  message.id = id;
  message.method = method.get<std::string>();
  if (value.contains("params")) {
    if (!value["params"].is_object())
      return {std::nullopt, RpcError{kInvalidParams, "params: expected an object", nullptr}, id};
    message.params = std::move(value["params"]);
  }
  return {std::move(message), std::nullopt, id};
}

std::string reply_text(const json& id, const json& result) {
  return printed({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string error_text(const json& id, const RpcError& error) {
  json body = {{"code", error.code}, {"message", error.message}};
  if (!error.data.is_null()) body["data"] = error.data;
  return printed({{"jsonrpc", "2.0"}, {"id", id}, {"error", std::move(body)}});
}

std::string notification_text(const std::string& method, const json& params) {
  return printed({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

}  // namespace kernelwright::mcp
