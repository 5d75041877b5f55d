// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "base/file.h"
#include "mcp/resources.h"
#include "mcp/server.h"
#include "support/fake_workshop.h"

namespace kernelwright::mcp {
namespace {

using nlohmann::json;

// What a request got, waited for.
class Inbox {
 public:
  void note(const std::string& text) {
    std::lock_guard lock(mutex_);
    notes_.push_back(json::parse(text));
    changed_.notify_all();
  }
  void answer(const Server::Answer& answer) {
    std::lock_guard lock(mutex_);
    answer_ = answer;
    changed_.notify_all();
  }
  Server::Answer wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(10), [&] { return answer_.has_value(); }));
    return answer_.value_or(Server::Answer{});
  }
  json wait_for_note() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !notes_.empty(); }));
    return notes_.empty() ? json() : notes_[0];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<json> notes_;
  std::optional<Server::Answer> answer_;
};

class McpServerTest : public ::testing::Test {
 protected:
  McpServerTest()
      : server({std::filesystem::current_path(), "1.2.3", [this] {
                  auto workshop = std::make_unique<test::FakeWorkshop>();
                  workshop->block = block;
                  return workshop;
                }}) {}
  void send(const std::string& method, json params, Inbox& inbox,
            CancellationRef cancellation = std::make_shared<Cancellation>()) {
    Message message;
    message.id = 7;
    message.method = method;
    message.params = std::move(params);
    server.handle(
        message, cancellation, [&](const Server::Answer& answer) { inbox.answer(answer); },
        [&](const std::string& text) { inbox.note(text); });
  }
  json ask(const std::string& method, json params = json::object()) {
    Inbox inbox;
    send(method, std::move(params), inbox);
    return json::parse(inbox.wait().text);
  }
  json tool(const std::string& name, json arguments = json::object()) {
    return ask("tools/call", {{"name", name}, {"arguments", std::move(arguments)}})["result"];
  }
  static json stateless(const std::string& version = "2026-07-28") {
    return {{"_meta",
             {{"io.modelcontextprotocol/protocolVersion", version},
              {"io.modelcontextprotocol/clientCapabilities", json::object()}}}};
  }
  bool block = false;
  Server server;
};

TEST_F(McpServerTest, TheHandshakeSettlesOnAVersionBothKnow) {
  for (const auto& version : kHandshakeVersions)
    EXPECT_EQ(ask("initialize", {{"protocolVersion", version}})["result"]["protocolVersion"],
              version);
  const json result = ask("initialize", {{"protocolVersion", "1999-01-01"}})["result"];
  EXPECT_EQ(result["protocolVersion"], "2025-11-25");
  EXPECT_EQ(result["serverInfo"]["version"], "1.2.3");
  EXPECT_TRUE(ask("ping")["result"].empty());
}

TEST_F(McpServerTest, AStatelessRequestSaysItsVersionItself) {
  const json discovered = ask("server/discover", stateless())["result"];
  EXPECT_EQ(discovered["supportedVersions"], json::array({"2026-07-28"}));
  EXPECT_EQ(discovered["resultType"], "complete");
  EXPECT_EQ(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "kernelwright");
  EXPECT_TRUE(discovered.contains("ttlMs") && discovered.contains("cacheScope"));
  const json error = ask("tools/list", stateless("2031-01-01"))["error"];
  EXPECT_EQ(error["code"], kUnsupportedVersion);
  EXPECT_EQ(error["data"]["supported"], json::array({"2026-07-28"}));
  json half = stateless();
  half["_meta"].erase("io.modelcontextprotocol/clientCapabilities");
  EXPECT_EQ(ask("tools/list", half)["error"]["code"], kInvalidParams);
  EXPECT_EQ(ask("ping", stateless())["error"]["code"], kMethodNotFound);
  EXPECT_EQ(ask("server/discover")["error"]["code"], kMethodNotFound);
}

TEST_F(McpServerTest, ListsTheTableAndNamesWhatIsMissing) {
  const json tools = ask("tools/list")["result"]["tools"];
  EXPECT_EQ(tools.size(), agent::tool_table().size());
  for (const auto& tool : tools) EXPECT_EQ(tool["inputSchema"]["type"], "object");
  EXPECT_EQ(ask("no/such")["error"]["code"], kMethodNotFound);
  EXPECT_EQ(ask("tools/call", {{"name", "nope"}})["error"]["code"], kInvalidParams);
  EXPECT_EQ(ask("tools/call")["error"]["code"], kInvalidParams);
  EXPECT_EQ(ask("prompts/get", {{"name", "optimize"}})["error"]["code"], kInvalidParams);
  const json prompt =
      ask("prompts/get", {{"name", "optimize"}, {"arguments", {{"path", "m{}.py"}}}})["result"];
  EXPECT_NE(prompt["messages"][0]["content"]["text"].get<std::string>().find("m{}.py"),
            std::string::npos);
}

TEST_F(McpServerTest, AToolsTroubleIsForTheModelToRead) {
  const json result = tool("submit_program", {{"idea", 7}});
  EXPECT_EQ(result["isError"], true);
  EXPECT_EQ(result["content"][0]["text"], "idea: expected string, got number");
  EXPECT_EQ(tool("describe_workload")["isError"], true);
  EXPECT_EQ(tool("open_workload", {{"path", "relu.py"}})["structuredContent"]["handle"], "w1");
}

TEST_F(McpServerTest, CancelledWorkEndsAndIsNotAnswered) {
  block = true;
  tool("open_workload", {{"path", "relu.py"}});
  Inbox inbox, waiting;
  const json arguments = {{"program", test::small_program()},
                          {"sources", {{"kernels.cpp", "text"}}},
                          {"idea", "endless"}};
  auto running = std::make_shared<Cancellation>(), queued = std::make_shared<Cancellation>();
  send("tools/call",
       {{"name", "submit_program"}, {"arguments", arguments}, {"_meta", {{"progressToken", "p"}}}},
       inbox, running);
  send("tools/call", {{"name", "submit_program"}, {"arguments", arguments}}, waiting, queued);
  const json note = inbox.wait_for_note();
  EXPECT_EQ(note["method"], "notifications/progress");
  EXPECT_EQ(note["params"]["progressToken"], "p");
  EXPECT_EQ(note["params"]["message"], "building");
  // Other requests are answered while it works.
  EXPECT_FALSE(ask("tools/list")["result"]["tools"].empty());
  queued->cancel();
  running->cancel();
  EXPECT_TRUE(inbox.wait().dropped);
  EXPECT_TRUE(waiting.wait().dropped);
  // The server goes on.
  EXPECT_EQ(tool("list_programs")["structuredContent"]["known"], 0);
}

TEST_F(McpServerTest, StopEndsWhatRuns) {
  block = true;
  tool("open_workload", {{"path", "relu.py"}});
  Inbox inbox;
  send("tools/call",
       {{"name", "check_program"},
        {"arguments", {{"program", test::small_program()}, {"sources", {{"kernels.cpp", ""}}}}},
        {"_meta", {{"progressToken", 1}}}},
       inbox);
  inbox.wait_for_note();
  EXPECT_TRUE(server.stop(10));
  EXPECT_TRUE(inbox.wait().dropped);
}

TEST(McpResources, AreFilesOfArtifactsAndNothingElse) {
  auto dir = base::TempDir::create("kw-mcp");
  ASSERT_TRUE(dir);
  const auto root = std::filesystem::canonical(dir->path());
  const auto artifact = root / "runs" / "relu-1";
  std::filesystem::create_directories(artifact / "programs" / "whole");
  ASSERT_TRUE(base::write_file_atomic(artifact / "result.json", "{}"));
  ASSERT_TRUE(base::write_file_atomic(artifact / "secret.txt", "no"));
  ASSERT_TRUE(base::write_file_atomic(root / "result.json", "no"));
  ASSERT_TRUE(base::write_file_atomic(artifact / "programs" / "whole" / "kernels.cpp", "source"));
  const std::string there = "kernelwright://artifacts/relu-1/";
  std::set<std::string> listed;
  for (const auto& resource : list_resources(root)) listed.insert(resource["uri"]);
  EXPECT_TRUE(listed.count(there + "result.json"));
  const auto text = read_resource(root, there + "result.json");
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_EQ((*text)["text"], "{}");
  EXPECT_EQ((*read_resource(root, there + "programs/whole/kernels.cpp"))["text"], "source");
  for (const char* name : {"cpu", "cuda", "program-format"}) {
    const std::string uri = std::string("kernelwright://playbook/") + name;
    EXPECT_TRUE(listed.count(uri)) << uri;
    EXPECT_TRUE(read_resource(root, uri)) << uri;
  }
  for (const std::string& bad : std::vector<std::string>{
           there + "secret.txt", there + "../../result.json", there + "programs/whole/object.so",
           there + "programs/../kernels.cpp", std::string("file:///etc/passwd"),
           std::string("kernelwright://artifacts/../result.json"), there,
           std::string("kernelwright://playbook/../x"), std::string("kernelwright://"),
           std::string("")})
    EXPECT_FALSE(read_resource(root, bad)) << bad;
}

}  // namespace
}  // namespace kernelwright::mcp
