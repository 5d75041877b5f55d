// SPDX-License-Identifier: Apache-2.0
// Readers of what models' servers, MCP clients and transcripts say.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent/base64.h"
#include "agent/model_spec.h"
#include "agent/prices.h"
#include "agent/providers/dialect.h"
#include "agent/providers/sse.h"
#include "agent/schema.h"
#include "agent/transcript.h"
#include "fuzz/targets.h"
#include "mcp/rpc.h"
#include "support/reply_samples.h"

namespace kernelwright::fuzz {
namespace {

using agent::Protocol;
using Events = std::vector<std::pair<std::string, std::string>>;

bool split(std::string_view bytes, size_t piece, Events& events) {
  agent::SseSplitter splitter(1 << 16);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const auto status = splitter.feed(bytes.substr(at, piece),
                                      [&](std::string_view name, std::string_view data) -> Status {
                                        events.emplace_back(name, data);
                                        return {};
                                      });
    if (!status) return false;
  }
  return true;
}

void read_stream(std::string_view bytes) {
  Events whole, parts;
  const bool fits = split(bytes, bytes.size() + 1, whole);
  require(split(bytes, 3, parts) == fits && (!fits || whole == parts),
          "how a stream is cut into pieces makes no difference");
}

std::vector<std::string> streams() {
  return {"event: a\ndata: one\n\n: comment\ndata:two\r\ndata: three\r\n\r\ndata\n\ndata: half",
          "\xef\xbb\xbf"
          "data: x\r\rretry: 3\nid: 7\ndata: y\n\n"};
}

// A reply of a protocol as events, one per line, or (without a line end) as a whole.
void read_reply(Protocol protocol, std::string_view text) {
  const agent::EventSink none;
  agent::ReplyLimits limits;
  limits.content_bytes = 4096;
  limits.tool_calls = 8;
  const auto reader = agent::dialect_of(protocol).reader(limits, none);
  Status status;
  if (text.find('\n') == std::string_view::npos) {
    status = reader->whole(text);
  } else {
    for (size_t at = 0; status && at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      status = reader->event("", text.substr(at, end - at));
      at = end + 1;
    }
  }
  if (!status) return require(status.error().message.size() < 1000, "a message is bounded");
  const auto reply = reader->finish();
  if (!reply) return require(reply.error().message.size() < 1000, "a message is bounded");
  const auto calls = reply->message.tool_calls();
  require(calls.size() <= 8, "tool calls are bounded");
  size_t bytes = 0;
  for (const auto& call : calls) {
    bytes += call.arguments.size();
    require(!call.malformed.empty() || nlohmann::json::parse(call.arguments).is_object(),
            "arguments are an object, or said to be malformed");
  }
  require(bytes <= 4096 + 2 * 8, "content is bounded");
  require(reply->usage.input >= 0 && reply->usage.output >= 0, "tokens are counts");
}

std::vector<std::string> replies(Protocol protocol) {
  std::string events;
  for (const std::string& event : testing::reply_sample(protocol)) events += event + "\n";
  return {events, testing::whole_reply_sample(protocol)};
}

template <Protocol protocol>
Target reply_target(const char* name) {
  return {name, [](std::string_view text) { read_reply(protocol, text); },
          [] { return replies(protocol); }};
}

void read_rpc(std::string_view text) {
  const auto parsed = mcp::parse_message(text);
  require(!parsed.message || !parsed.error, "a message or an error");
  if (parsed.error) static_cast<void>(mcp::error_text(parsed.id, *parsed.error));
  if (parsed.message)
    static_cast<void>(mcp::reply_text(parsed.message->id, parsed.message->params));
}

std::vector<std::string> messages() {
  return {
      R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_program","arguments":{"id":"a"},"_meta":{"progressToken":"p"}}})",
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}})",
      R"({"jsonrpc":"2.0","id":"s","result":{"roots":[]}})"};
}

void read_arguments(std::string_view text) {
  static const auto schema = nlohmann::json::parse(
      R"({"type":"object","required":["n"],"additionalProperties":false,"properties":{
        "n":{"type":"integer","minimum":1,"maximum":9},"s":{"type":"string","maxLength":5,"enum":["a","b"]},
        "l":{"type":"array","maxItems":3,"items":{"type":"object","maxProperties":2}}}})");
  const auto value = agent::parse_json(text, 4096, 16);
  if (!value) return require(value.error().message.size() < 600, "a message is bounded");
  const auto status = agent::check_schema(schema, *value);
  if (!status) require(status.error().message.size() < 2000, "a message is bounded");
}

std::vector<std::string> arguments() {
  return {R"({"n":3,"s":"a","l":[{"x":[1.5e3,null]},{}]})"};
}

void read_names(std::string_view text) {
  if (const auto spec = agent::parse_model_spec(text))
    require(spec->endpoint().find("://") != std::string::npos, "an endpoint is a URL");
  static_cast<void>(agent::PriceTable::parse(text));
  if (const auto bytes = agent::from_base64(text))
    require(agent::to_base64(*bytes) == text, "base64 is what to_base64 writes");
}

std::vector<std::string> names() {
  return {"anthropic:a-model", "responses+http://127.0.0.1:8080/v1#m", "https://host#m",
          "anthropic:a=3/15/0.30/3.75,openai:b=0.5/1", "aGVsbG8gd29ybGQ="};
}

void read_transcript(std::string_view text) {
  const int fd = memfd_create("transcript", MFD_CLOEXEC);
  require(fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
          "memory for a file");
  const auto content = agent::read_transcript(fmt::format("/proc/self/fd/{}", fd));
  close(fd);
  if (!content) return require(content.error().message.size() < 1000, "a message is bounded");
  for (const auto& exchange : content->exchanges)
    require(exchange.reserved >= 0 && exchange.cost >= 0, "money is not negative");
}

std::vector<std::string> transcripts() {
  using nlohmann::json;
  agent::Reply reply;
  reply.message = agent::Message::user("hello");
  reply.usage = {10, 5, 0, 0};
  const json lines[] = {
      {{"type", "begin"}, {"version", 1}},
      {{"type", "request"},
       {"id", 1},
       {"time", "t"},
       {"reserved", 500},
       {"model", "m"},
       {"conversation", "c"},
       {"turn", 0},
       {"system", {"s"}},
       {"messages", {agent::to_json(agent::Message::user("hi"))}}},
      {{"type", "failed"},
       {"id", 1},
       {"time", "t"},
       {"cost", 0},
       {"at_maximum", false},
       {"error", "status 500"}},
      {{"type", "request"}, {"id", 2}, {"time", "t"}, {"reserved", 500}, {"attempt_of", 1}},
      {{"type", "note"}, {"time", "t"}, {"kind", "k"}, {"what", {{"a", 1}}}},
      {{"type", "reply"},
       {"id", 2},
       {"time", "t"},
       {"cost", 3},
       {"at_maximum", false},
       {"reply", agent::to_json(reply)}}};
  std::string text;
  for (const json& line : lines) text += line.dump() + "\n";
  return {text};
}

}  // namespace

std::vector<Target> protocol_targets() {
  return {{"stream", read_stream, streams},
          reply_target<Protocol::kAnthropicMessages>("reply_anthropic"),
          reply_target<Protocol::kOpenAiChat>("reply_chat"),
          reply_target<Protocol::kOpenAiResponses>("reply_responses"),
          {"rpc", read_rpc, messages},
          {"arguments", read_arguments, arguments},
          {"names", read_names, names},
          {"transcript", read_transcript, transcripts}};
}

}  // namespace kernelwright::fuzz
