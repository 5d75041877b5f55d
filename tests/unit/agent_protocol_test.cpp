// SPDX-License-Identifier: Apache-2.0
// Parsers of what a model's server says: the splitter of events, and each protocol's reader.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "agent/base64.h"
#include "agent/bounded_json.h"
#include "agent/model_spec.h"
#include "agent/providers/dialect.h"
#include "agent/providers/http.h"
#include "agent/providers/sse.h"
#include "support/reply_samples.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;
using testing::reply_sample;
using Events = std::vector<std::pair<std::string, std::string>>;

Events split(const std::vector<std::string>& pieces) {
  Events events;
  SseSplitter splitter(1 << 20);
  for (const std::string& piece : pieces)
    EXPECT_TRUE(splitter.feed(piece, [&](std::string_view name, std::string_view data) -> Status {
      events.emplace_back(name, data);
      return {};
    }));
  return events;
}

TEST(SseSplitter, KnowsLineEndsCommentsAndSeveralDataLines) {
  const Events expected = {{"a", "one"}, {"", "two\nthree"}, {"", ""}};
  EXPECT_EQ(
      split({"event: a\ndata: one\n\n: comment\ndata:two\ndata: three\n\ndata\n\ndata: half"}),
      expected);
  EXPECT_EQ(split({"event: a\r\ndata: one\r\n\r\ndata:two\r\ndata: three\r\n\r\ndata\r\n\r\n"}),
            expected);
  EXPECT_EQ(split({"\xEF\xBB\xBF"
                   "event: a\rdata: one\r\rdata:two\rdata: three\r\rdata\r\r"}),
            expected);
}

RC_GTEST_PROP(SseSplitter, PiecesDoNotMatter, ()) {
  const auto lines = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("data: x", "event: e", "", ": c", "data:", "id: 4", "x"));
  const auto ends = *rc::gen::element<std::string>("\n", "\r\n", "\r");
  std::string stream;
  for (const std::string& line : lines) stream += line + ends;
  std::vector<std::string> pieces;
  for (size_t at = 0; at < stream.size();) {
    const auto n = *rc::gen::inRange<size_t>(1, 8);
    pieces.push_back(stream.substr(at, n));
    at += n;
  }
  RC_ASSERT(split(pieces) == split({stream}));
}

TEST(SseSplitter, BoundsAnEvent) {
  SseSplitter splitter(1 << 20);
  const auto ignore = [](std::string_view, std::string_view) -> Status { return {}; };
  Status status;
  const std::string piece(1 << 16, 'x');
  for (int i = 0; i < 20 && status; ++i) status = splitter.feed(piece, ignore);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("larger than 1 MiB"), std::string::npos);
}

Result<Reply> read(Protocol protocol, const std::vector<std::string>& events,
                   const ReplyLimits& limits = {}) {
  const EventSink none;
  const auto reader = dialect_of(protocol).reader(limits, none);
  for (const std::string& event : events) KW_CHECK_OK(reader->event("", event));
  return reader->finish();
}

class Reader : public ::testing::TestWithParam<Protocol> {};
INSTANTIATE_TEST_SUITE_P(Protocols, Reader,
                         ::testing::Values(Protocol::kAnthropicMessages, Protocol::kOpenAiChat,
                                           Protocol::kOpenAiResponses),
                         [](const auto& test) { return protocol_name(test.param); });

TEST_P(Reader, ReadsWordsCallsAndCounts) {
  const auto reply = read(GetParam(), reply_sample(GetParam()));
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->message.text(), "Hello");
  const auto calls = reply->message.tool_calls();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].id, "a");
  EXPECT_EQ(calls[0].arguments, R"({"x":1})");
  EXPECT_EQ(calls[1].name, "g");
  EXPECT_EQ(calls[1].arguments, "{}");
  EXPECT_EQ(reply->stop, StopReason::kToolCalls);
  EXPECT_EQ(reply->model, "m");
  EXPECT_TRUE(reply->counted);
  const bool anthropic = GetParam() == Protocol::kAnthropicMessages;
  EXPECT_EQ(reply->usage, (Usage{10, 7, 4, anthropic ? 5 : 0}));
}

TEST_P(Reader, WhatWantsToComeBackGoesBackUnchanged) {
  const auto reply = read(GetParam(), reply_sample(GetParam()));
  ASSERT_TRUE(reply);
  Request request;
  request.messages = {Message::user("hi"), reply->message};
  ModelSpec spec;
  spec.protocol = GetParam();
  const std::string body = dialect_of(GetParam()).request_body(spec, request).dump();
  if (GetParam() == Protocol::kAnthropicMessages) {
    EXPECT_NE(body.find(R"({"signature":"s","thinking":"hm","type":"thinking"})"),
              std::string::npos);
  }
  if (GetParam() == Protocol::kOpenAiResponses) {
    EXPECT_NE(body.find(R"("encrypted_content":"e")"), std::string::npos);
  }
  // To another protocol's server it means nothing.
  const std::string chat = dialect_of(Protocol::kOpenAiChat).request_body(spec, request).dump();
  EXPECT_EQ(chat.find("encrypted"), std::string::npos);
  EXPECT_EQ(chat.find("thinking"), std::string::npos);
}

TEST_P(Reader, EveryCutIsAnError) {
  auto events = reply_sample(GetParam());
  // Chat's last two lines carry only the count and a word of goodbye.
  const size_t needed = GetParam() == Protocol::kOpenAiChat ? events.size() - 2 : events.size();
  for (size_t n = 0; n < needed; ++n)
    EXPECT_FALSE(read(GetParam(), {events.begin(), events.begin() + static_cast<long>(n)})) << n;
}

TEST_P(Reader, KeepsItsBounds) {
  ReplyLimits limits;
  limits.tool_calls = 1;
  EXPECT_FALSE(read(GetParam(), reply_sample(GetParam()), limits));
  limits = {};
  limits.content_bytes = 100;
  EXPECT_FALSE(read(GetParam(), reply_sample(GetParam()), limits));
  // What a model nests too deep is a call that it may mend.
  limits = {};
  limits.nesting = 8;
  auto events = reply_sample(GetParam());
  std::string deep = std::string(9, '[') + std::string(9, ']');
  for (std::string& event : events)
    if (const size_t at = event.find(":1}"); at != std::string::npos)
      event.replace(at, 3, ":" + deep + "}");
  const auto reply = read(GetParam(), events, limits);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->message.tool_calls()[0].malformed, "JSON is nested deeper than 8");
}

// Broken bytes never do more than end in an error, and what is accepted keeps the bounds.
TEST_P(Reader, SurvivesNoise) {
  std::mt19937 random(20261122);
  const auto pick = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  const std::string alphabet =
      "{}[]\":,\\0e-\n\x80\xff"
      "atn";
  int accepted = 0;
  for (int round = 0; round < 1000; ++round) {
    auto events = reply_sample(GetParam());
    for (size_t change = 1 + pick(4); change > 0; --change) {
      std::string& event = events[pick(events.size())];
      switch (pick(5)) {
        case 0:
          event[pick(event.size())] = alphabet[pick(alphabet.size())];
          break;
        case 1:
          event.insert(pick(event.size()), 1, alphabet[pick(alphabet.size())]);
          break;
        case 2:
          event.erase(pick(event.size()), 1 + pick(12));
          break;
        case 3:
          std::swap(event, events[pick(events.size())]);
          break;
        default:
          event = events[pick(events.size())];
          break;
      }
      if (event.empty()) event = "x";
    }
    const auto reply = read(GetParam(), events);
    if (!reply) continue;
    ++accepted;
    EXPECT_LE(reply->message.blocks.size(), 20u);
    for (const ToolCall& call : reply->message.tool_calls())
      EXPECT_TRUE(!call.malformed.empty() || json::parse(call.arguments).is_object());
    EXPECT_GE(reply->usage.input, 0);
  }
  EXPECT_GT(accepted, 0);
}

TEST(ServerMessage, IsOneBoundedLine) {
  EXPECT_EQ(server_message(json::parse(R"({"error":{"message":"no\n such  model."}})")),
            "no such model");
  EXPECT_EQ(server_message(json::parse(R"({"error":"plain"})")), "plain");
  const json long_one = {{"error", {{"message", std::string(5000, 'x')}}}};
  EXPECT_EQ(server_message(long_one).size(), 303u);
  EXPECT_EQ(server_message(json::parse("[1]")), "");
}

TEST(BoundedJson, CountsBracketsOutsideOfStrings) {
  EXPECT_TRUE(parse_bounded_json(R"({"a":"[[[[\"[[["})", 1));
  EXPECT_FALSE(parse_bounded_json("[[1]]", 1));
  EXPECT_FALSE(parse_bounded_json(std::string(1 << 20, '['), 32));
  EXPECT_FALSE(parse_bounded_json("{", 32));
  EXPECT_EQ(count_member(json{{"n", -3}}, "n"), 0);
  EXPECT_EQ(count_member(json{{"n", 1e300}}, "n"), 0);
}

TEST(ModelSpec, ReadsEveryForm) {
  const auto expect = [](const char* text, Protocol protocol, const char* endpoint,
                         const char* model, const char* variable) {
    const auto spec = parse_model_spec(text);
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_EQ(spec->protocol, protocol);
    EXPECT_EQ(spec->endpoint(), endpoint);
    EXPECT_EQ(spec->model, model);
    EXPECT_EQ(spec->key_variable, variable);
    EXPECT_EQ(spec->text, text);
  };
  expect("anthropic:a-b", Protocol::kAnthropicMessages, "https://api.anthropic.com/v1/messages",
         "a-b", "ANTHROPIC_API_KEY");
  expect("openai:o:1", Protocol::kOpenAiResponses, "https://api.openai.com/v1/responses", "o:1",
         "OPENAI_API_KEY");
  expect("http://127.0.0.1:8080/v1#any", Protocol::kOpenAiChat,
         "http://127.0.0.1:8080/v1/chat/completions", "any", "KERNELWRIGHT_API_KEY");
  expect("https://gate.example/api/#org/name#2", Protocol::kOpenAiChat,
         "https://gate.example/api/chat/completions", "org/name#2", "KERNELWRIGHT_API_KEY");
  expect("anthropic+http://127.0.0.1:9#m", Protocol::kAnthropicMessages,
         "http://127.0.0.1:9/v1/messages", "m", "KERNELWRIGHT_API_KEY");
  expect("responses+https://h/v1#m", Protocol::kOpenAiResponses, "https://h/v1/responses", "m",
         "KERNELWRIGHT_API_KEY");
  for (const char* text : {"", "gpt", "openai:", "http://h/v1", "http://h/v1#", "http://#m",
                           "http://u:p@h/v1#m", "ftp://h#m", "http://h/v1?k=1#m", "openai:a b"})
    EXPECT_FALSE(parse_model_spec(text)) << text;
}

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(parse_retry_after("7", 0), 7);
  EXPECT_EQ(parse_retry_after("0.5", 0), 0.5);
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 20), 40);
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 100), 0);
  EXPECT_EQ(parse_retry_after("-1", 0), -1);
  EXPECT_EQ(parse_retry_after("soon", 0), -1);
  EXPECT_EQ(parse_retry_after("nan", 0), -1);
}

RC_GTEST_PROP(Base64, GoesThereAndBack, ()) {
  const auto bytes = *rc::gen::arbitrary<std::string>();
  const auto back = from_base64(to_base64(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

TEST(Base64, RefusesWhatItDoesNotWrite) {
  for (const char* text : {"a", "ab=c", "ab==cd==", "a b=", "Zh==", "===="})
    EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace kernelwright::agent
