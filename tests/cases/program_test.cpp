// SPDX-License-Identifier: Apache-2.0
// Runs tests/cases/program/malformed.txt: every case must be refused with exactly the message it
// names.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "program/parse.h"
#include "program/validate.h"
#include "support/base_program.h"

namespace kernelwright::program {
namespace {

struct Case {
  std::string name, text, error;
  bool whole_text = false;
  std::vector<std::pair<std::string, std::string>> edits;  // pointer, JSON; empty JSON drops
};

std::vector<Case> read_cases(const std::string& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    size_t blank = line.find(' ');
    std::string word = line.substr(0, blank),
                rest = blank == std::string::npos ? "" : line.substr(blank + 1);
    if (word == "case") {
      cases.emplace_back().name = rest;
    } else if (word == "text") {
      cases.back().text = rest;
      cases.back().whole_text = true;
    } else if (word == "error") {
      cases.back().error = rest;
    } else if (word == "drop") {
      cases.back().edits.emplace_back(rest, "");
    } else if (word == "set") {
      size_t space = rest.find(' ');
      cases.back().edits.emplace_back(rest.substr(0, space), rest.substr(space + 1));
    } else {
      ADD_FAILURE() << "unknown line: " << line;
    }
  }
  return cases;
}

std::string program_text(const Case& one) {
  if (one.whole_text) return one.text;
  auto document = nlohmann::ordered_json::parse(::kernelwright::testing::kBaseProgram);
  for (const auto& [path, value] : one.edits) {
    nlohmann::ordered_json::json_pointer pointer(path);
    if (value.empty()) {
      auto& parent = document.at(pointer.parent_pointer());
      if (parent.is_array())
        parent.erase(std::stoul(pointer.back()));
      else
        parent.erase(pointer.back());
    } else {
      document[pointer] = nlohmann::ordered_json::parse(value);
    }
  }
  return document.dump();
}

Status check(const std::string& text) {
  KW_TRY(Program program, parse_program(text));
  return validate(program);
}

TEST(ProgramCases, BaseIsValid) {
  auto status = check(::kernelwright::testing::kBaseProgram);
  EXPECT_TRUE(status) << status.error().text();
}

TEST(ProgramCases, MalformedProgramsAreRefusedWithThePlace) {
  auto cases = read_cases(std::string(KW_SOURCE_DIR) + "/tests/cases/program/malformed.txt");
  EXPECT_GT(cases.size(), 100u);
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    auto status = check(program_text(one));
    if (status) {
      ADD_FAILURE() << one.name << ": accepted";
      continue;
    }
    EXPECT_EQ(status.error().kind, ErrorKind::kInput);
    EXPECT_EQ(status.error().message, one.error);
  }
}

}  // namespace
}  // namespace kernelwright::program
