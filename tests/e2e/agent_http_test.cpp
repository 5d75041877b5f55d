// SPDX-License-Identifier: Apache-2.0
// Providers over real HTTP, against the scripted server on loopback.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "agent/books.h"
#include "agent/open.h"
#include "base/file.h"
#include "support/provider_server.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;
using testing::ProviderServer;

constexpr const char* kKey = "kw-test-key-0123456789";

ModelSpec spec_of(const ProviderServer& server, Protocol protocol = Protocol::kOpenAiChat) {
  return *parse_model_spec(std::string(protocol_name(protocol)) + "+" + server.url() + "#any");
}

ProviderSettings quick() {
  ProviderSettings settings;
  settings.keys = *KeyRing::load("");
  settings.backoff_s = 0.01;
  return settings;
}

Request asking(int64_t max_output_tokens = 1000) {
  Request request;
  request.conversation = "c";
  request.max_output_tokens = max_output_tokens;
  request.system = {{"You write kernels.", true}};
  request.tools = {{"submit_program", "Judges a program.", R"({"type":"object","properties":{}})"}};
  request.messages = {Message::user("Begin.")};
  return request;
}

class Http : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("KERNELWRIGHT_API_KEY", kKey, 1); }
  void TearDown() override { ::unsetenv("KERNELWRIGHT_API_KEY"); }

  std::shared_ptr<Books> books(const ModelSpec& spec, double max_cost = 0) {
    auto opened =
        Books::open({transcript(), {}, *PriceTable::parse(spec.text + "=2/10/0.2/2.5"), max_cost});
    EXPECT_TRUE(opened) << opened.error().text();
    return *opened;
  }
  std::unique_ptr<Provider> open(const ModelSpec& spec, std::shared_ptr<Books> with = nullptr) {
    auto provider = open_provider(spec, quick(), std::move(with));
    EXPECT_TRUE(provider) << provider.error().text();
    return std::move(*provider);
  }
  std::filesystem::path transcript() const { return folder_->path() / "transcript.jsonl"; }

  Result<base::TempDir> folder_ = base::TempDir::create("http");
  const CancelToken cancel_;
};

class HttpProtocol : public Http, public ::testing::WithParamInterface<Protocol> {};
INSTANTIATE_TEST_SUITE_P(Protocols, HttpProtocol,
                         ::testing::Values(Protocol::kAnthropicMessages, Protocol::kOpenAiChat,
                                           Protocol::kOpenAiResponses),
                         [](const auto& test) { return protocol_name(test.param); });

// A turn with two calls at once, their results with an image, and an end; counted to the token.
TEST_P(HttpProtocol, ConversesWithToolsAndImages) {
  const ProviderServer server(R"([
    {"text": "I look.", "thinking": "a thought", "tool_calls": [
      {"name": "submit_program", "arguments": {"files": {"k.cpp": "int x;\n"}}},
      {"name": "no_such_tool", "arguments": "{\"half\": "}]},
    {"text": "Done."}])",
                              kKey);
  const ModelSpec spec = spec_of(server, GetParam());
  const auto kept = books(spec);
  const auto provider = open(spec, kept);
  Request request = asking();
  std::string heard;
  auto reply = provider->complete(request, [&](const Event& e) { heard += e.text + "|"; }, cancel_);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_NE(heard.find("I look."), std::string::npos);
  EXPECT_NE(heard.find("submit_program"), std::string::npos);
  const auto calls = reply->message.tool_calls();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(reply->stop, StopReason::kToolCalls);
  EXPECT_EQ(json::parse(calls[0].arguments)["files"]["k.cpp"], "int x;\n");
  EXPECT_EQ(calls[1].malformed, "not JSON");

  request.messages.push_back(reply->message);
  Message results;
  results.blocks = {ToolResult{calls[0].id, "accepted", false, {{"image/png", "not really"}}},
                    ToolResult{calls[1].id, "no such tool", true, {}}, TextBlock{"Go on."}};
  results.cache_mark = true;
  request.messages.push_back(results);
  reply = provider->complete(request, {}, cancel_);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->message.text(), "Done.");
  EXPECT_EQ(reply->stop, StopReason::kEnd);

  const json stats = server.stats();
  const Costs costs = kept->costs();
  EXPECT_EQ(stats["answered"], 2);
  EXPECT_EQ(to_json(costs.usage), stats["usage"]);
  EXPECT_GT(costs.usage.cache_read, 0);
  EXPECT_EQ(costs.spent, costs.usage.input * 2000000 + costs.usage.output * 10000000 +
                             costs.usage.cache_read * 200000 + costs.usage.cache_write * 2500000);
  EXPECT_EQ(costs.reserved, 0);
  const std::string sent = stats["bodies"][1].dump();
  EXPECT_NE(sent.find("bm90IHJlYWxseQ=="), std::string::npos);  // the image
  EXPECT_EQ(sent.find("half"), std::string::npos);              // what was no JSON does not go back
  const bool thinks = GetParam() != Protocol::kOpenAiChat;
  EXPECT_EQ(sent.find("a thought") != std::string::npos, thinks);
  if (GetParam() == Protocol::kAnthropicMessages) {
    EXPECT_NE(stats["bodies"][1]["messages"].dump().find("cache_control"), std::string::npos);
  }
}

TEST_P(HttpProtocol, TriesAgainWhereThatHelps) {
  const ProviderServer server(R"([
    {"status": 429, "headers": {"Retry-After": "0"}, "error": "slow down"},
    {"status": 500, "error": "oops"},
    {"text": "a long enough text to be cut", "cut": true},
    {"text": "and more of it", "malformed": true},
    {"text": "at last"}])");
  const ModelSpec spec = spec_of(server, GetParam());
  const auto kept = books(spec);
  std::vector<std::string> retries;
  const auto reply = open(spec, kept)
                         ->complete(
                             asking(),
                             [&](const Event& e) {
                               if (e.kind == Event::Kind::kRetry) retries.push_back(e.text);
                             },
                             cancel_);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->message.text(), "at last");
  EXPECT_EQ(reply->attempts, 5);
  ASSERT_EQ(retries.size(), 4u);
  EXPECT_NE(retries[0].find("slow down"), std::string::npos);
  // The two that broke off may have been charged; the two that were refused were not.
  const auto content = read_transcript(transcript());
  ASSERT_TRUE(content) << content.error().text();
  ASSERT_EQ(content->exchanges.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(content->exchanges[i].at_maximum, i == 2 || i == 3) << i;
  EXPECT_EQ(to_json(kept->costs().usage), server.stats()["usage"]);
  EXPECT_GT(kept->costs().at_maximum, 0);
}

TEST_P(HttpProtocol, RefusesFiftyMegabytesInOneLine) {
  const ProviderServer server(R"([{"huge": 50000000, "repeat": true}])");
  const auto reply = open(spec_of(server, GetParam()))->complete(asking(), {}, cancel_);
  ASSERT_FALSE(reply);
  EXPECT_NE(reply.error().text().find("larger than"), std::string::npos) << reply.error().text();
  EXPECT_EQ(reply.error().text().find('\n'), std::string::npos);
  EXPECT_EQ(server.stats()["requests"], 1);  // it would do it again, and cost again
}

TEST_P(HttpProtocol, ABrokenOffModelIsAskedAgain) {
  const ProviderServer server(
      R"([{"text": "so far", "server_error": "overloaded_error"}, {"text": "yes", "stop": "max_tokens"}])");
  const auto reply = open(spec_of(server, GetParam()))->complete(asking(), {}, cancel_);
  ASSERT_TRUE(reply) << reply.error().text();
  EXPECT_EQ(reply->stop, StopReason::kMaxTokens);
  EXPECT_EQ(reply->attempts, 2);
}

TEST_F(Http, AnswersThatAreNoStream) {
  const ProviderServer server(
      R"([{"plain": true, "text": "whole", "tool_calls": [{"name": "f", "arguments": {}}]}, {"plain": true, "text": "whole"}])");
  const auto chat = open(spec_of(server))->complete(asking(), {}, cancel_);
  ASSERT_TRUE(chat) << chat.error().text();
  EXPECT_EQ(chat->message.tool_calls().size(), 1u);
  const auto responses =
      open(spec_of(server, Protocol::kOpenAiResponses))->complete(asking(), {}, cancel_);
  ASSERT_TRUE(responses) << responses.error().text();
  EXPECT_EQ(responses->message.text(), "whole");
}

TEST_F(Http, SlowAndSilentServersAreLeft) {
  const ProviderServer server(
      R"([{"text": "slowly", "drip": 0.02}, {"hang": true}, {"hang": true, "repeat": true}])");
  auto settings = quick();
  settings.attempts = 1;
  settings.total_s = 0.3;
  const ModelSpec spec = spec_of(server);
  const auto ask = [&](const CancelToken& cancel) {
    return (*open_provider(spec, settings, nullptr))->complete(asking(), {}, cancel);
  };
  auto reply = ask(cancel_);
  ASSERT_FALSE(reply);
  EXPECT_NE(reply.error().message.find("took longer than"), std::string::npos);
  settings.total_s = 600;
  settings.idle_s = 0.1;
  reply = ask(cancel_);
  ASSERT_FALSE(reply);
  EXPECT_NE(reply.error().message.find("sent nothing for"), std::string::npos);
  // Cancelled from elsewhere, a request ends although the server does not.
  settings.idle_s = 600;
  const CancelToken cancel;
  std::thread elsewhere([&] {
    while (server.stats()["requests"] < 3) std::this_thread::yield();
    cancel.cancel();
  });
  reply = ask(cancel);
  elsewhere.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kInterrupted);
}

TEST_F(Http, KeysAndNamesThatAreRefusedEndAtOnce) {
  const ProviderServer server(R"([{"status": 404, "error": "no model any"},
                                  {"status": 429, "code": "insufficient_quota", "error": "pay"},
                                  {"status": 429, "headers": {"Retry-After": "86400"}},
                                  {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}])",
                              "another-key");
  const ModelSpec spec = spec_of(server);
  const auto kept = books(spec);
  const auto refused = open(spec, kept)->complete(asking(), {}, cancel_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(base::exit_code(refused.error().kind), 2);
  EXPECT_NE(refused.error().text().find("refused the key in KERNELWRIGHT_API_KEY"),
            std::string::npos);
  // The server says back what it was given; it goes no further.
  EXPECT_NE(refused.error().text().find("[key]"), std::string::npos) << refused.error().text();
  const auto written = base::read_file(transcript());
  ASSERT_TRUE(written);
  EXPECT_EQ(written->find(kKey), std::string::npos);

  ::setenv("KERNELWRIGHT_API_KEY", "another-key", 1);
  for (const auto& [words, kind] : {std::pair{"no such model", ErrorKind::kUsage},
                                    {"no credit left", ErrorKind::kEnvironment},
                                    {"asks to wait for 86400 s", ErrorKind::kInput},
                                    {"points elsewhere", ErrorKind::kUsage}}) {
    const auto reply = open(spec)->complete(asking(), {}, cancel_);
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().text().find(words), std::string::npos) << reply.error().text();
    EXPECT_EQ(reply.error().kind, kind);
  }
  EXPECT_EQ(server.stats()["requests"], 4);
  // Nobody listens there.
  const auto unreached =
      open(*parse_model_spec("http://127.0.0.1:1/v1#m"))->complete(asking(), {}, cancel_);
  ASSERT_FALSE(unreached);
  EXPECT_NE(unreached.error().text().find("cannot reach 127.0.0.1:1"), std::string::npos);
}

TEST_F(Http, CertificatesAreVerified) {
  const std::string certificate = (folder_->path() / "certificate.pem").string();
  testing::write_certificate(certificate);
  const ProviderServer server(R"([{"text": "hello", "repeat": true}])", "", certificate);
  const auto refused = open(spec_of(server))->complete(asking(), {}, cancel_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kEnvironment);
  EXPECT_NE(refused.error().text().find("certificate"), std::string::npos)
      << refused.error().text();
  ::setenv("SSL_CERT_FILE", certificate.c_str(), 1);
  const auto trusted = open(spec_of(server))->complete(asking(), {}, cancel_);
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_TRUE(trusted) << trusted.error().text();
  EXPECT_EQ(trusted->message.text(), "hello");
}

TEST_F(Http, ProxiesComeFromTheEnvironment) {
  ::unsetenv("KERNELWRIGHT_API_KEY");
  const ProviderServer server(R"([{"text": "hello", "repeat": true}])");
  for (const char* variable : {"no_proxy", "NO_PROXY"}) ::unsetenv(variable);
  ::setenv("http_proxy", server.url().c_str(), 1);
  const auto proxied =
      open(*parse_model_spec("http://model.invalid/v1#m"))->complete(asking(), {}, cancel_);
  // Loopback needs no proxy, and would be out of its reach.
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  const auto direct = open(spec_of(server))->complete(asking(), {}, cancel_);
  ::unsetenv("http_proxy");
  ASSERT_TRUE(proxied) << proxied.error().text();
  EXPECT_EQ(server.stats()["headers"][0]["Host"], "model.invalid");
  EXPECT_TRUE(direct) << direct.error().text();
}

TEST_F(Http, AModelThatSaysTheKeyIsNotHeard) {
  const ProviderServer server(json::array({{{"text", std::string("it is ") + kKey}}}).dump());
  const ModelSpec spec = spec_of(server);
  Request request = asking();
  request.messages[0] = Message::user(std::string("a file with ") + kKey);
  const auto reply = open(spec)->complete(request, {}, cancel_);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->message.text(), "it is [key]");
  EXPECT_EQ(server.stats()["bodies"].dump().find(kKey), std::string::npos);
}

TEST_F(Http, MaxCostHoldsBeforeAnythingIsSent) {
  const ProviderServer server(
      R"([{"text": "hello", "usage": {"input": 100, "output": 10}, "repeat": true}])");
  const ModelSpec spec = spec_of(server);
  const auto unpriced = Books::open({{}, {}, {}, 1.0});
  EXPECT_FALSE(open_provider(spec, quick(), *unpriced));
  // Room for the maximum of one request; each costs 300 microdollars in truth.
  const auto kept = books(spec, 0.02);
  const auto provider = open(spec, kept);
  int answered = 0;
  Result<Reply> reply = provider->complete(asking(), {}, cancel_);
  for (; reply && answered < 100; ++answered) reply = provider->complete(asking(), {}, cancel_);
  ASSERT_FALSE(reply);
  EXPECT_TRUE(out_of_money(reply.error()));
  EXPECT_GT(answered, 1);
  EXPECT_LE(kept->costs().usd(), 0.02);
  EXPECT_EQ(server.stats()["requests"], answered);
  EXPECT_EQ(kept->costs().spent, answered * int64_t{300'000'000});
}

// Killed at fifty random points: what was recorded is not asked again, what was in flight is
// charged at its maximum, and the sums hold.
TEST_F(Http, KilledAnywhereNothingIsPaidTwice) {
  const ProviderServer server(R"([{"text": "some words that come in several pieces of the stream",
                                   "usage": {"input": 50, "output": 20}, "repeat": true}])");
  const ModelSpec spec = spec_of(server);
  constexpr int kTurns = 60;
  // One process of the run; `lives` events later it is gone.
  const auto run = [&](int lives) {
    const auto opened = Books::open({transcript(), {}, *PriceTable::parse(spec.text + "=2/10"), 0});
    if (!opened) ::_exit(3);
    const auto provider = open_provider(spec, quick(), *opened);
    if (!provider) ::_exit(4);
    Request request = asking(100);
    for (int turn = 0; turn < kTurns; ++turn) {
      const auto reply = (*provider)->complete(
          request,
          [&](const Event&) {
            if (--lives == 0) ::kill(::getpid(), SIGKILL);
          },
          cancel_);
      if (!reply) ::_exit(5);
      if (!reply->replayed && --lives <= 0) ::kill(::getpid(), SIGKILL);
      request.messages.push_back(reply->message);
      request.messages.push_back(Message::user("on"));
    }
    ::_exit(0);
  };
  std::mt19937 random(7);
  int kills = 0, status = 0;
  for (int round = 0; round < 51; ++round) {
    // Replayed replies speak one event each; a new one three or more.
    const int lives = kills < 50 ? static_cast<int>(1 + random() % 8) + kills : 1000000;
    const pid_t child = ::fork();
    if (child == 0) run(lives);
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) ++kills;
  }
  EXPECT_EQ(kills, 50);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);

  const auto content = read_transcript(transcript());
  ASSERT_TRUE(content) << content.error().text();
  std::map<int, int> replies;
  Picodollars expected = 0;
  int in_flight = 0;
  for (const Exchange& exchange : content->exchanges) {
    if (exchange.reply) {
      ++replies[exchange.turn];
      expected += 50 * 2000000 + 20 * 10000000;
    } else {
      ++in_flight;
      EXPECT_TRUE(exchange.at_maximum);
      EXPECT_GE(exchange.cost, exchange.reserved);
      EXPECT_GT(exchange.reserved, 100 * 10000000);
      expected += exchange.reserved;
    }
  }
  EXPECT_EQ(replies.size(), static_cast<size_t>(kTurns));
  for (const auto& [turn, count] : replies) EXPECT_EQ(count, 1) << turn;
  EXPECT_GT(in_flight, 5);
  EXPECT_LE(server.stats()["requests"], content->exchanges.size());
  const auto again = Books::open({transcript(), {}, *PriceTable::parse(spec.text + "=2/10"), 0});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->costs().spent, expected);
}

}  // namespace
}  // namespace kernelwright::agent
