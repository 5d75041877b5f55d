// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/file.h"
#include "mcp/http.h"
#include "mcp/rpc.h"
#include "mcp/stdio.h"
#include "mcp/workshop.h"

namespace kernelwright::mcp {
namespace {

TEST(McpMessage, RequestsAndNotificationsAreRead) {
  const auto request = parse_message(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}})");
  ASSERT_TRUE(request.message);
  EXPECT_EQ(request.message->id, "a");
  EXPECT_EQ(request.message->params["x"], 1);
  const auto note = parse_message(R"({"jsonrpc":"2.0","method":"n"})");
  ASSERT_TRUE(note.message);
  EXPECT_TRUE(note.message->notification());
}

TEST(McpMessage, WhatIsOffGetsACodeAndTheIdWhereThereIsOne) {
  const auto code = [](const std::string& text) {
    const auto parsed = parse_message(text);
    return parsed.error ? parsed.error->code : 0;
  };
  EXPECT_EQ(code("{"), kParseError);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"m"})"), kParseError);
  EXPECT_EQ(code("[]"), kInvalidRequest);
  EXPECT_EQ(code("7"), kInvalidRequest);
  EXPECT_EQ(code(R"({"id":1,"method":"m"})"), kInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1})"), kInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":null,"method":"m"})"), kInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1.5,"method":"m"})"), kInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":7})"), kInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"m","params":[1]})"), kInvalidParams);
  EXPECT_EQ(code(std::string(200, '[') + std::string(200, ']')), kParseError);
  EXPECT_EQ(parse_message(R"({"jsonrpc":"2.0","id":3})").id, 3);
  // An answer is nobody's: it is passed over.
  const auto answer = parse_message(R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_FALSE(answer.message || answer.error);
}

RC_GTEST_PROP(McpMessage, NothingBreaksTheParser, (const std::string& noise)) {
  (void)parse_message(noise);
  const std::string whole = R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[1,{"b":"c"}]}})";
  const auto at = *rc::gen::inRange<size_t>(0, whole.size());
  (void)parse_message(whole.substr(0, at) + noise + whole.substr(at));
  (void)parse_message(whole.substr(0, at));
}

TEST(McpLines, AreCutHoweverTheyArrive) {
  std::vector<std::string> lines;
  LineReader reader(10);
  const auto feed = [&](const std::string& bytes) {
    reader.feed(bytes.data(), bytes.size(), [&](const LineReader::Line& line) {
      lines.push_back(line.too_long ? "too long" : line.text);
    });
  };
  feed("ab");
  feed("c\r\n\n{}\n0123");
  feed("456789abc");
  feed("def\nnext\n");
  EXPECT_EQ(lines, (std::vector<std::string>{"abc", "{}", "too long", "next"}));
}

TEST(McpHttp, ServesThisMachineOnly) {
  EXPECT_EQ(parse_http_address("127.0.0.1:8000")->port, 8000);
  EXPECT_EQ(parse_http_address("8000")->host, "127.0.0.1");
  EXPECT_EQ(parse_http_address("[::1]:0")->host, "::1");
  for (const char* bad :
       {"0.0.0.0:80", "192.168.0.1:80", "example.com:80", "localhost", ":x", "127.0.0.1:99999", ""})
    EXPECT_FALSE(parse_http_address(bad)) << bad;
  for (const char* good : {"http://localhost", "http://127.0.0.1:3000", "https://[::1]:8"})
    EXPECT_TRUE(is_loopback_origin(good)) << good;
  for (const char* bad : {"http://localhost.example.com", "http://127.0.0.1.example.com:80", "null",
                          "http://example.com", "http://localhost:80@example.com", "http://[::1"})
    EXPECT_FALSE(is_loopback_origin(bad)) << bad;
}

TEST(McpPaths, StayBelowTheRoot) {
  auto dir = base::TempDir::create("kw-mcp");
  ASSERT_TRUE(dir);
  const auto outside = std::filesystem::canonical(dir->path());
  const auto root = outside / "root";
  std::filesystem::create_directories(root / "runs");
  ASSERT_TRUE(base::write_file_atomic(root / "a.py", ""));
  ASSERT_TRUE(base::write_file_atomic(outside / "secret.py", ""));
  std::filesystem::create_symlink(outside / "secret.py", root / "link.py");
  std::filesystem::create_directories(outside / "root2");
  ASSERT_TRUE(base::write_file_atomic(outside / "root2" / "a.py", ""));
  EXPECT_TRUE(file_below(root, "a.py"));
  EXPECT_TRUE(file_below(root, (root / "a.py").string()));
  EXPECT_TRUE(file_below(root, "runs/../a.py"));
  for (const char* bad :
       {"../secret.py", "link.py", "/etc/passwd", "missing.py", "runs", "../root2/a.py"})
    EXPECT_FALSE(file_below(root, bad)) << bad;
  EXPECT_TRUE(is_bare_name("lenet-2.x"));
  for (const char* bad : {"", "..", ".hidden", "a/b", "a b", "ü"})
    EXPECT_FALSE(is_bare_name(bad)) << bad;
}

}  // namespace
}  // namespace kernelwright::mcp
