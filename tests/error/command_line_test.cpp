// SPDX-License-Identifier: Apache-2.0
// Bad command lines and bad surroundings give one clear line and the promised exit code.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/subprocess.h"

namespace kernelwright {
namespace {

namespace fs = std::filesystem;

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    auto created = base::TempDir::create("kw-cli");
    ASSERT_TRUE(created);
    dir_.emplace(std::move(*created));
  }

  // Runs the program with an environment of its own; `extra` holds "K=V".
  base::ProcessOutcome run(const std::vector<std::string>& args,
                           const std::vector<std::string>& extra = {}) {
    base::ProcessSpec spec;
    // Through env(1): what we start ourselves is never given a key.
    spec.argv = {"/usr/bin/env"};
    spec.argv.insert(spec.argv.end(), extra.begin(), extra.end());
    spec.argv.push_back(std::string(KW_BINARY_DIR) + "/bin/kernelwright");
    spec.argv.insert(spec.argv.end(), args.begin(), args.end());
    spec.env = {"PATH=/usr/bin:/bin", "HOME=" + dir_->path().string()};
    spec.cwd = dir_->path().string();
    spec.limits.wall_s = 60;
    auto outcome = base::run_process(spec);
    EXPECT_TRUE(outcome);
    return outcome ? *outcome : base::ProcessOutcome{};
  }

  // Expects exit code 2 and one line on stderr that holds `what`.
  void expect_usage(std::vector<std::string> args, const std::string& what,
                    std::vector<std::string> extra = {}) {
    const auto outcome = run(std::move(args), std::move(extra));
    EXPECT_EQ(outcome.end, base::ProcessOutcome::End::kExited);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }

  std::string write_settings(const std::string& text) {
    const fs::path path = dir_->path() / "settings.toml";
    EXPECT_TRUE(base::write_file_atomic(path, text));
    return "KERNELWRIGHT_CONFIG=" + path.string();
  }

  std::optional<base::TempDir> dir_;
};

TEST_F(CommandLine, UsageErrors) {
  expect_usage({}, "subcommand is required");
  expect_usage({"frobnicate"}, "unknown command 'frobnicate'");
  expect_usage({"optimize"}, "workload is required");
  expect_usage({"optimize", "x.py", "--budget", "soon"}, "'soon' is not a time");
  expect_usage({"optimize", "x.py", "--budget", "0"}, "'0' is not a time");
  expect_usage({"optimize", "x.py", "--policy", "sloppy"}, "sloppy");
  expect_usage({"optimize", "x.py", "--proposer", "oracle"}, "oracle");
  expect_usage({"optimize", "x.py", "--threads", "0"}, "--threads");
  expect_usage({"optimize", "x.py", "--seed", "-1"}, "--seed");
  expect_usage({"optimize", "x.py", "--frob"}, "--frob");
  expect_usage({"bench", "x.py", "--shard", "3/2"}, "3/2");
  expect_usage({"archive"}, "subcommand is required");
  expect_usage({"archive", "export", "id", "--format", "tar"}, "tar");
  expect_usage({"cache", "show", "--verbose", "--quiet"}, "--quiet");
}

TEST_F(CommandLine, JsonErrorsAreOneObject) {
  for (const auto& args :
       {std::vector<std::string>{"optimize", "--json"},
        std::vector<std::string>{"optimize", "x.py", "--budget", "x", "--json"}}) {
    const auto outcome = run(args);
    EXPECT_EQ(outcome.code, 2);
    const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << outcome.out;
    EXPECT_EQ(json["status"], "error");
    EXPECT_EQ(json["error"]["kind"], "usage");
  }
}

TEST_F(CommandLine, OptionsThatRepeatLeaveTheWorkloadAlone) {
  // Each --model takes one value: x.py is the workload, which is missing on disk.
  const auto outcome = run({"optimize", "--model", "a", "--hint", "b", "x.py"});
  EXPECT_EQ(outcome.err.find("workload is required"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, SettingsErrorsNameTheirPlace) {
  expect_usage({"cache", "show"}, "settings.toml, line 2: unknown setting 'budgt'",
               {write_settings("budget = \"2m\"\nbudgt = 3\n")});
  expect_usage({"cache", "show"}, "line 1", {write_settings("= 3\n")});
  expect_usage({"cache", "show"}, "'budget' must be", {write_settings("[budget]\na = 3\n")});
  expect_usage({"cache", "show"}, "no-such.toml", {"KERNELWRIGHT_CONFIG=/no-such.toml"});
  expect_usage({"optimize", "x.py"}, "settings.toml, line 1: --threads",
               {write_settings("threads = \"many\"\n")});
  expect_usage({"optimize", "x.py"}, "KERNELWRIGHT_POLICY", {"KERNELWRIGHT_POLICY=sloppy"});
}

TEST_F(CommandLine, VariableWinsOverFile) {
  const auto outcome = run({"settings", "--json"}, {write_settings("budget = \"1m\"\nseed = 7\n"),
                                                    "KERNELWRIGHT_BUDGET=3m"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out)["settings"];
  EXPECT_EQ(json["budget"]["value"], "3m");
  EXPECT_EQ(json["budget"]["source"], "KERNELWRIGHT_BUDGET");
  EXPECT_EQ(json["seed"]["value"], "7");
}

TEST_F(CommandLine, FileSettingsReachTheParts) {
  const std::string cache = (dir_->path() / "elsewhere").string();
  const auto outcome =
      run({"cache", "show", "--json"}, {write_settings("cache_dir = \"" + cache + "\"\n")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["path"], cache);
}

TEST_F(CommandLine, UnusableCacheFolder) {
  ASSERT_TRUE(base::write_file_atomic(dir_->path() / "file", "x"));
  const std::string below = (dir_->path() / "file" / "cache").string();
  expect_usage({"cache", "show"}, "cannot create folder", {"KERNELWRIGHT_CACHE_DIR=" + below});
}

TEST_F(CommandLine, CacheIsShownAndCleared) {
  const std::string variable = "KERNELWRIGHT_CACHE_DIR=" + (dir_->path() / "cache").string();
  fs::create_directories(dir_->path() / "cache" / "objects" / "ab");
  ASSERT_TRUE(base::write_file_atomic(dir_->path() / "cache" / "objects" / "ab" / "x", "12345"));
  // Somebody else's, in a folder that was named by mistake.
  ASSERT_TRUE(base::write_file_atomic(dir_->path() / "cache" / "thesis.txt", "words"));
  auto json = nlohmann::json::parse(run({"cache", "show", "--json"}, {variable}).out);
  EXPECT_EQ(json["bytes"], 5);
  EXPECT_EQ(json["folders"]["objects"]["files"], 1);
  EXPECT_EQ(run({"cache", "clear"}, {variable}).code, 0);
  json = nlohmann::json::parse(run({"--json", "cache", "show"}, {variable}).out);
  EXPECT_EQ(json["bytes"], 0);
  EXPECT_TRUE(fs::exists(dir_->path() / "cache" / "thesis.txt"));
}

TEST_F(CommandLine, WhatIsNoArtifactIsNotVerified) {
  const auto folder = dir_->path() / "run";
  fs::create_directories(folder);
  expect_usage({"verify", folder.string()}, "result.json");
  for (const char* text : {"[]", "{", R"({"spec":{},"regions":[]})"}) {
    ASSERT_TRUE(base::write_file_atomic(folder / "result.json", text));
    expect_usage({"verify", folder.string()}, "is no artifact");
  }
}

TEST_F(CommandLine, VersionAndHelp) {
  EXPECT_EQ(run({"--version"}).out.rfind("kernelwright ", 0), 0u);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run({"optimize", "--help"}).code, 0);
}

TEST_F(CommandLine, DoctorShowsWhichKeysAreSetAndNoValue) {
  const auto outcome =
      run({"doctor", "--json"}, {"OPENAI_API_KEY=sk-secret", "ANTHROPIC_API_KEY="});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find("sk-secret"), std::string::npos);
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["keys"]["OPENAI_API_KEY"], "set");
  EXPECT_EQ(json["keys"]["ANTHROPIC_API_KEY"], "not set");
  EXPECT_EQ(json["targets"]["cuda"]["ok"], false);
  EXPECT_EQ(run({"doctor"}, {"OPENAI_API_KEY=sk-secret"}).out.find("sk-secret"), std::string::npos);
}

TEST_F(CommandLine, DoctorNamesWhatIsMissing) {
  const auto outcome = run({"doctor", "--json"}, {"PATH=" + dir_->path().string(),
                                                  "KERNELWRIGHT_PYTHON=/no-such-python"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["tools"]["compiler"]["ok"], false);
  EXPECT_EQ(json["targets"]["cpu"]["ok"], false);
  EXPECT_EQ(json["python"]["python"]["ok"], false);
}

TEST_F(CommandLine, UnusableTargets) {
  expect_usage({"probe", "--target", "abacus"}, "unknown target 'abacus'");
  expect_usage({"probe", "--target", "cuda"}, "cuda");
  expect_usage({"probe"}, "no C++ compiler", {"PATH=" + dir_->path().string()});
}

TEST_F(CommandLine, SettingsPageIsCurrent) {
  const auto page = base::read_file(fs::path(KW_SOURCE_DIR) / "docs" / "settings.md");
  ASSERT_TRUE(page);
  EXPECT_EQ(*page, run({"settings", "--markdown"}).out)
      << "run: kernelwright settings --markdown > docs/settings.md";
}

}  // namespace
}  // namespace kernelwright
