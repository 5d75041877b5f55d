// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "target/build_cache.h"
#include "target/target.h"

namespace kernelwright::target {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kKeyA = std::string(62, '0') + "aa";
const std::string kKeyB = std::string(62, '1') + "bb";

class Cache : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = base::TempDir::create("kw-test");
    ASSERT_TRUE(folder);
    folder_.emplace(std::move(*folder));
    object_ = folder_->path() / "built.so";
    std::ofstream(object_) << std::string(1000, 'x');
  }
  fs::path root() const { return folder_->path() / "objects"; }
  std::optional<base::TempDir> folder_;
  fs::path object_;
};

TEST_F(Cache, WhatIsPublishedIsFound) {
  BuildCache cache(root(), 1 << 20);
  EXPECT_FALSE(cache.find(kKeyA));
  const auto entry = cache.publish(kKeyA, object_, "source", "a warning", 1.5);
  ASSERT_TRUE(entry) << entry.error().text();
  const auto found = BuildCache(root(), 1 << 20).find(kKeyA);
  ASSERT_TRUE(found);
  EXPECT_EQ(*base::read_file(found->object), std::string(1000, 'x'));
  EXPECT_EQ(*base::read_file(found->object.parent_path() / "source.cpp"), "source");
  EXPECT_EQ(found->compiler_log, "a warning");
  EXPECT_EQ(found->seconds, 1.5);
  EXPECT_FALSE(cache.find(kKeyB));
}

TEST_F(Cache, ADamagedEntryIsForgotten) {
  BuildCache cache(root(), 1 << 20);
  const auto entry = cache.publish(kKeyA, object_, "source", "", 1);
  ASSERT_TRUE(entry);
  std::ofstream(entry->object, std::ios::app) << "y";
  EXPECT_FALSE(cache.find(kKeyA));
  EXPECT_FALSE(fs::exists(entry->object));
  ASSERT_TRUE(cache.publish(kKeyA, object_, "source", "", 1));
  std::ofstream(entry->object.parent_path() / "entry.json") << "{";
  EXPECT_FALSE(cache.find(kKeyA));
  ASSERT_TRUE(cache.publish(kKeyA, object_, "source", "", 1));
  EXPECT_TRUE(cache.find(kKeyA));
}

TEST_F(Cache, TheSecondBuilderOfAKeyGetsTheFirstObject) {
  BuildCache one(root(), 1 << 20), two(root(), 1 << 20);
  ASSERT_TRUE(one.publish(kKeyA, object_, "first", "", 1));
  const auto entry = two.publish(kKeyA, object_, "second", "", 1);
  ASSERT_TRUE(entry) << entry.error().text();
  EXPECT_EQ(*base::read_file(entry->object.parent_path() / "source.cpp"), "first");
  EXPECT_EQ(one.usage().entries, 1u);
}

TEST_F(Cache, ConcurrentBuildersAgree) {
  std::vector<std::thread> builders;
  for (int i = 0; i < 4; ++i)
    builders.emplace_back([&] {
      BuildCache cache(root(), 1 << 20);
      for (int k = 0; k < 8; ++k) {
        const auto entry =
            cache.publish(std::string(63, 'c') + std::to_string(k), object_, "s", "", 1);
        EXPECT_TRUE(entry) << entry.error().text();
      }
    });
  for (auto& builder : builders) builder.join();
  BuildCache cache(root(), 1 << 20);
  EXPECT_EQ(cache.usage().entries, 8u);
  for (int k = 0; k < 8; ++k) EXPECT_TRUE(cache.find(std::string(63, 'c') + std::to_string(k)));
}

TEST_F(Cache, TheLeastRecentlyUsedGoFirst) {
  BuildCache cache(root(), 8000);
  std::vector<std::string> keys;
  for (int k = 0; k < 5; ++k) {
    keys.push_back(std::string(62, 'd') + "0" + std::to_string(k));
    const auto entry = cache.publish(keys.back(), object_, "s", "", 1);
    ASSERT_TRUE(entry);
    fs::last_write_time(entry->object.parent_path(),
                        fs::file_time_type::clock::now() - std::chrono::hours(100 - k));
  }
  EXPECT_TRUE(cache.find(keys[0]));  // used now
  std::ofstream(object_, std::ios::trunc) << std::string(4000, 'z');
  ASSERT_TRUE(cache.publish(kKeyA, object_, "s", "", 1));
  EXPECT_LE(cache.usage().bytes, 8000u);
  EXPECT_TRUE(cache.find(keys[0]));
  EXPECT_FALSE(cache.find(keys[1]));
  EXPECT_TRUE(cache.find(kKeyA));
}

TEST_F(Cache, ClearTellsWhatWasThere) {
  BuildCache cache(root(), 1 << 20);
  ASSERT_TRUE(cache.publish(kKeyA, object_, "s", "", 1));
  ASSERT_TRUE(cache.publish(kKeyB, object_, "s", "", 1));
  const auto before = cache.clear();
  ASSERT_TRUE(before);
  EXPECT_EQ(before->entries, 2u);
  EXPECT_GT(before->bytes, 2000u);
  EXPECT_EQ(cache.usage().entries, 0u);
}

// Sets a variable for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

program::Candidate candidate() {
  program::Candidate candidate;
  candidate.program.target = "cpu";
  candidate.program.source = "relu.cpp";
  candidate.program.params = {{"LOW", 0}};
  program::Launch launch;
  launch.kernel = "relu";
  candidate.program.run.push_back({launch});
  candidate.source =
      "#include \"kernelwright/kernel_abi.h\"\n#include \"kw_math.h\"\n"
      "extern \"C\" void relu(const kw_args* a, int64_t begin, int64_t end) {\n"
      "  for (int64_t i = begin; i < end; ++i)\n"
      "    ((float*)a->buffers[1])[i] = kw_max(((const float*)a->buffers[0])[i], (float)LOW);\n}\n";
  return candidate;
}

TEST_F(Cache, ACandidateIsBuiltOnce) {
  const Variable cache_dir("KERNELWRIGHT_CACHE_DIR", folder_->path().string());
  auto target = open_target("cpu");
  ASSERT_TRUE(target) << target.error().text();
  if (!(*target)->absent_reason().empty()) GTEST_SKIP() << (*target)->absent_reason();
  auto plain = candidate();
  const auto first = (*target)->build(plain, Policy::kStrict);
  ASSERT_TRUE(first) << first.error().text();
  ASSERT_TRUE(*first) << first->error().log;
  EXPECT_FALSE((*first)->cached);
  EXPECT_EQ((*target)->screen(**first, plain.program), std::nullopt);

  const auto second = (*target)->build(plain, Policy::kStrict);
  ASSERT_TRUE(second && *second);
  EXPECT_TRUE((*second)->cached);
  EXPECT_EQ((*second)->path, (*first)->path);

  auto changed = candidate();
  changed.program.params["LOW"] = 1;
  const auto third = (*target)->build(changed, Policy::kStrict);
  ASSERT_TRUE(third && *third);
  EXPECT_FALSE((*third)->cached);
  EXPECT_NE((*third)->key, (*first)->key);

  std::ofstream((*first)->path, std::ios::trunc) << "broken";
  const auto fourth = (*target)->build(plain, Policy::kStrict);
  ASSERT_TRUE(fourth && *fourth);
  EXPECT_FALSE((*fourth)->cached);
  EXPECT_EQ((*target)->screen(**fourth, plain.program), std::nullopt);
}

TEST_F(Cache, AMissingKernelIsABuildFailure) {
  const Variable cache_dir("KERNELWRIGHT_CACHE_DIR", folder_->path().string());
  auto target = open_target("cpu");
  ASSERT_TRUE(target);
  if (!(*target)->absent_reason().empty()) GTEST_SKIP() << (*target)->absent_reason();
  auto other = candidate();
  std::get<program::Launch>(other.program.run[0].action).kernel = "gelu";
  const auto built = (*target)->build(other, Policy::kStrict);
  ASSERT_TRUE(built);
  ASSERT_FALSE(*built);
  EXPECT_THAT(built->error().log, HasSubstr("kernel 'gelu' is not defined"));
  auto flag = candidate();
  flag.program.flags = {"-ffast-math"};
  const auto refused = (*target)->build(flag, Policy::kStrict);
  ASSERT_TRUE(refused);
  ASSERT_FALSE(*refused);
  EXPECT_EQ(refused->error().log, "flag '-ffast-math' is not allowed\n");
}

TEST_F(Cache, WrongSettingsAreUsageErrors) {
  const Variable cache_dir("KERNELWRIGHT_CACHE_DIR", folder_->path().string());
  {
    const Variable limit("KERNELWRIGHT_CACHE_LIMIT_MB", "many");
    const auto target = open_target("cpu");
    ASSERT_FALSE(target);
    EXPECT_EQ(target.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(target.error().message, HasSubstr("KERNELWRIGHT_CACHE_LIMIT_MB"));
  }
  const Variable cxx("KERNELWRIGHT_CXX", "no-such-compiler");
  const auto target = open_target("cpu");
  ASSERT_TRUE(target);
  EXPECT_THAT((*target)->absent_reason(), HasSubstr("no-such-compiler"));
  EXPECT_FALSE((*target)->build(candidate(), Policy::kStrict));
}

}  // namespace
}  // namespace kernelwright::target
