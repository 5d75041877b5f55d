// SPDX-License-Identifier: Apache-2.0
// Keys, prices, ledger and transcript: what a run may say, spend and remember.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/books.h"
#include "agent/keys.h"
#include "agent/ledger.h"
#include "agent/open.h"
#include "agent/prices.h"
#include "agent/transcript.h"
#include "base/file.h"
#include "base/subprocess.h"

namespace kernelwright::agent {
namespace {

constexpr const char* kModel = "http://127.0.0.1:1/v1#m";

Request asking(const std::string& conversation, int turns = 0) {
  Request request;
  request.conversation = conversation;
  request.max_output_tokens = 100;
  request.messages.push_back(Message::user("go"));
  for (int i = 0; i < turns; ++i) {
    Message said = Message::user("said " + std::to_string(i));
    said.role = Role::kAssistant;
    request.messages.push_back(said);
    request.messages.push_back(Message::user("on"));
  }
  return request;
}

Reply saying(const std::string& text, Usage usage = {10, 5, 0, 0}) {
  Reply reply;
  reply.message = Message::user(text);
  reply.message.role = Role::kAssistant;
  reply.usage = usage;
  return reply;
}

PriceTable prices() {
  return *PriceTable::parse(std::string(kModel) + "=1/10");
}

std::shared_ptr<Books> open_books(const std::filesystem::path& transcript, double max_cost = 0,
                                  const std::filesystem::path& replay = {}) {
  auto books = Books::open({transcript, replay, prices(), max_cost});
  EXPECT_TRUE(books) << books.error().text();
  return *books;
}

TEST(AgentPrices, ReadsUsdPerMillionTokens) {
  const auto table = PriceTable::parse("openai:x=1.25/10/0.125, anthropic:y = 3/15/0.3/3.75");
  ASSERT_TRUE(table) << table.error().text();
  EXPECT_EQ(table->find("openai:x")->of({4, 3, 2, 1}), 4 * 1250000 + 30000000 + 250000 + 1250000);
  EXPECT_EQ(table->find("anthropic:y")->cache_write, 3750000);
  EXPECT_EQ(table->find("anthropic:y")->at_most(10, 1), 10 * 3750000 + 15000000);
  EXPECT_FALSE(table->find("z"));
  for (const char* text : {"x", "x=1", "x=1/2/3/4/5", "x=-1/2", "x=1/nan", "=1/2", "x=1/2,x=1/2"})
    EXPECT_FALSE(PriceTable::parse(text)) << text;
}

TEST(AgentLedger, NeverPassesItsBound) {
  Ledger ledger(prices(), 0.002);  // 2000 input tokens, or 200 output tokens
  const CancelToken cancel;
  EXPECT_FALSE(ledger.admit("other"));
  const auto first = ledger.reserve(kModel, 500, 100, cancel);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, 1500'000'000);
  // A cheap end of the first makes room for the second, which waits for it.
  std::thread ends([&, reserved = *first] { ledger.settle(kModel, reserved, {100, 10, 0, 0}); });
  const auto second = ledger.reserve(kModel, 500, 100, cancel);
  ends.join();
  ASSERT_TRUE(second) << second.error().text();
  ledger.forfeit(kModel, *second);
  const auto third = ledger.reserve(kModel, 500, 100, cancel);
  ASSERT_FALSE(third);
  EXPECT_TRUE(out_of_money(third.error()));
  EXPECT_EQ(base::exit_code(third.error().kind), 2);
  const Costs costs = ledger.costs();
  EXPECT_EQ(costs.spent, 200'000'000 + 1500'000'000);
  EXPECT_EQ(costs.at_maximum, 1500'000'000);
  EXPECT_EQ(costs.reserved, 0);
  EXPECT_EQ(costs.usage, (Usage{100, 10, 0, 0}));
}

TEST(AgentLedger, ACancelledWaitEnds) {
  Ledger ledger(prices(), 0.002);
  const CancelToken cancel;
  ASSERT_TRUE(ledger.reserve(kModel, 1500, 0, cancel));
  cancel.cancel();
  const auto second = ledger.reserve(kModel, 1500, 0, cancel);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kInterrupted);
}

TEST(AgentTranscript, AReplyIsReadBackAsItWas) {
  Reply reply = saying("text");
  reply.message.blocks.emplace_back(ImageBlock{"image/png", std::string("\0\xff", 2)});
  reply.message.blocks.emplace_back(ToolCall{"1", "f", "{\"a\":", "not JSON"});
  reply.message.blocks.emplace_back(ToolResult{"1", "no", true, {{"image/png", "xy"}}});
  reply.message.blocks.emplace_back(OpaqueBlock{"anthropic", "{}"});
  reply.message.cache_mark = true;
  reply.stop = StopReason::kMaxTokens;
  const auto back = reply_from_json(to_json(reply));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(to_json(*back), to_json(reply));
  auto off = to_json(reply);
  off["message"]["blocks"][0]["type"] = "no";
  EXPECT_FALSE(reply_from_json(off));
}

TEST(AgentBooks, WhatIsRecordedIsNeitherSentNorPaidAgain) {
  const auto folder = base::TempDir::create("books");
  const auto path = folder->path() / "transcript.jsonl";
  const CancelToken cancel;
  {
    const auto books = open_books(path);
    EXPECT_FALSE(*books->recorded(kModel, asking("a")));
    const auto one = books->begin(kModel, asking("a"), 1000, 0, cancel);
    ASSERT_TRUE(one);
    ASSERT_TRUE(books->answered(*one, saying("first")));
    // The same process may ask the same turn again and gets a new reply.
    EXPECT_FALSE(*books->recorded(kModel, asking("a")));
    const auto two = books->begin(kModel, asking("a", 1), 1000, 0, cancel);
    ASSERT_TRUE(books->failed(*two, {ErrorKind::kInput, "status 500", {}}, false));
    const auto three = books->begin(kModel, asking("a", 1), 1000, two->id, cancel);
    ASSERT_TRUE(books->note("verdict", {{"verdict", "wrong"}}));
    (void)three;  // in flight when the process ends
  }
  // A kill tears the last line at worst.
  std::ofstream(path, std::ios::app) << R"({"type":"reply","id":3,"reply":{"mess)";
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  for (int round = 0; round < 2; ++round) {
    const auto books = open_books(path);
    const Costs costs = books->costs();
    EXPECT_EQ(costs.at_maximum, 1000 * 1000000 + 100 * 10000000);
    EXPECT_EQ(costs.spent, costs.at_maximum + 10 * 1000000 + 5 * 10000000);
    EXPECT_EQ(costs.usage, (Usage{10, 5, 0, 0}));
    const auto known = books->recorded(kModel, asking("a"));
    ASSERT_TRUE(known && *known);
    EXPECT_EQ((*known)->message.text(), "first");
    EXPECT_TRUE((*known)->replayed);
    EXPECT_FALSE(*books->recorded(kModel, asking("a")));
    EXPECT_FALSE(*books->recorded(kModel, asking("a", 1)));
    EXPECT_FALSE(*books->recorded("other", asking("a")));
  }
  const auto content = read_transcript(path);
  ASSERT_TRUE(content) << content.error().text();
  ASSERT_EQ(content->exchanges.size(), 3u);
  EXPECT_EQ(content->exchanges[1].error, "status 500");
  EXPECT_EQ(content->exchanges[1].new_messages.size(), 2u);
  EXPECT_EQ(content->exchanges[2].attempt_of, 2);
  EXPECT_TRUE(content->exchanges[2].at_maximum);
  ASSERT_EQ(content->notes.size(), 1u);
  EXPECT_EQ(content->notes[0].after, 3);
}

TEST(AgentBooks, ReplaysWithoutKeyOrNetwork) {
  const auto folder = base::TempDir::create("books");
  const auto first = folder->path() / "first.jsonl", second = folder->path() / "second.jsonl";
  const CancelToken cancel;
  {
    const auto books = open_books(first);
    const auto one = books->begin(kModel, asking("a"), 10, 0, cancel);
    ASSERT_TRUE(books->answered(*one, saying("first")));
  }
  auto needs_key = parse_model_spec(kModel);
  needs_key->key_required = true;
  for (const auto& from : {first, second}) {
    const auto to = from == first ? second : std::filesystem::path();
    const auto books = open_books(to, 0, from);
    EXPECT_EQ(books->replayed_models(), std::vector<std::string>{kModel});
    const auto provider = open_provider(*needs_key, {}, books);
    ASSERT_TRUE(provider) << provider.error().text();
    std::string heard;
    const auto reply = (*provider)->complete(
        asking("a"), [&](const Event& event) { heard += event.text; }, cancel);
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_EQ(heard, "first");
    const auto none = (*provider)->complete(asking("a", 1), {}, cancel);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::kInput);
    EXPECT_EQ(books->costs().spent, 0);
  }
}

TEST(AgentBooks, OneWriterAndNoStrangeLines) {
  const auto folder = base::TempDir::create("books");
  const auto path = folder->path() / "transcript.jsonl";
  {
    const auto books = open_books(path);
    EXPECT_FALSE(Books::open({path, {}, {}, 0}));
  }
  std::ofstream(path, std::ios::app) << "{\"type\":\"reply\",\"id\":9}\n";
  const auto off = Books::open({path, {}, {}, 0});
  ASSERT_FALSE(off);
  EXPECT_NE(off.error().message.find("line 2"), std::string::npos);
}

class AgentKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : kKeyVariables) ::unsetenv(variable);
  }
  void TearDown() override { SetUp(); }
  std::string file(const std::string& text, mode_t mode) {
    const auto path = folder_->path() / "keys";
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path.string();
  }
  Result<base::TempDir> folder_ = base::TempDir::create("keys");
};

TEST_F(AgentKeys, ComeFromTheEnvironmentOrAPrivateFile) {
  const std::string path =
      file("# mine\nOPENAI_API_KEY = sk-from-file\nANTHROPIC_API_KEY=a-file\n", 0600);
  ::setenv("ANTHROPIC_API_KEY", "a-environment", 1);
  const auto keys = KeyRing::load(path);
  ASSERT_TRUE(keys) << keys.error().text();
  EXPECT_EQ(*keys->key_for(*parse_model_spec("openai:m")), "sk-from-file");
  EXPECT_EQ(*keys->key_for(*parse_model_spec("anthropic:m")), "a-environment");
  EXPECT_EQ(*keys->key_for(*parse_model_spec("http://h/v1#m")), "");
  std::string text = "they said sk-from-file";
  keys->redact(text);
  EXPECT_EQ(text, "they said [key]");
}

TEST_F(AgentKeys, AreRefusedInOneLine) {
  EXPECT_NE(KeyRing::load(file("OPENAI_API_KEY=x\n", 0644)).error().message.find("chmod 600"),
            std::string::npos);
  const auto off = KeyRing::load(file("OPENAI_API_KEY\nsecret-word\n", 0600));
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().text().find("secret"), std::string::npos);
  EXPECT_FALSE(KeyRing::load((folder_->path() / "none").string()));
  ::setenv("OPENAI_API_KEY", "two\nlines", 1);
  EXPECT_FALSE(KeyRing::load(""));
  ::unsetenv("OPENAI_API_KEY");
  const auto missing = KeyRing::load("")->key_for(*parse_model_spec("openai:m"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text(), "model openai:m needs a key: set OPENAI_API_KEY");
  EXPECT_EQ(base::exit_code(missing.error().kind), 2);
  ::setenv("KERNELWRIGHT_API_KEY", "gateway-key", 1);
  const auto keys = KeyRing::load("");
  EXPECT_FALSE(keys->key_for(*parse_model_spec("http://gate.example/v1#m")));
  EXPECT_TRUE(keys->key_for(*parse_model_spec("https://gate.example/v1#m")));
  EXPECT_TRUE(keys->key_for(*parse_model_spec("http://127.0.0.1:1/v1#m")));
  EXPECT_FALSE(keys->key_for(*parse_model_spec("http://127.0.0.1.evil.example/v1#m")));
}

// Compilers, workers and the user's own module see no key.
TEST_F(AgentKeys, AreNotInheritedByChildren) {
  ::setenv("ANTHROPIC_API_KEY", "secret-1", 1);
  ::setenv("SOME_OTHER_API_KEY", "secret-2", 1);
  base::ProcessSpec spec;
  spec.argv = {"env"};
  const auto inherited = base::run_process(spec);
  ::unsetenv("SOME_OTHER_API_KEY");
  ASSERT_TRUE(inherited);
  EXPECT_NE(inherited->out.find("PATH="), std::string::npos);
  EXPECT_EQ(inherited->out.find("secret"), std::string::npos);
  spec.env = {"OPENAI_API_KEY=secret-3", "LANG=C"};
  const auto given = base::run_process(spec);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->out, "LANG=C\n");
}

}  // namespace
}  // namespace kernelwright::agent
