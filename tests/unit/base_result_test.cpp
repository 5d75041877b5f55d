// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/result.h"

namespace kernelwright::base {
namespace {

TEST(Error, PrintsAsOneLine) {
  const Error error =
      Error{ErrorKind::kInput, "line one\nline\x01two", {}}.with("file", "a\nb").with("n", "3");
  EXPECT_EQ(error.text(), "line one line two (file: a b, n: 3)");
}

TEST(Error, PrintsAsJson) {
  const Error error = Error{ErrorKind::kEnvironment, "bad \xff byte", {}}.with("key", "value");
  const auto json = nlohmann::json::parse(error.json_text());
  EXPECT_EQ(json["kind"], "environment");
  EXPECT_EQ(json["context"]["key"], "value");
}

TEST(Error, KindsGiveTheExitCodes) {
  EXPECT_EQ(exit_code(ErrorKind::kUsage), 2);
  EXPECT_EQ(exit_code(ErrorKind::kInput), 2);
  EXPECT_EQ(exit_code(ErrorKind::kEnvironment), 2);
  EXPECT_EQ(exit_code(ErrorKind::kRejected), 3);
  EXPECT_EQ(exit_code(ErrorKind::kInternal), 4);
  EXPECT_EQ(exit_code(ErrorKind::kInterrupted), 130);
}

Result<int> doubled(Result<int> in) {
  KW_TRY(const int value, std::move(in));
  return value * 2;
}

TEST(Result, TryPassesErrorsOn) {
  EXPECT_EQ(*doubled(4), 8);
  const auto failed = doubled(fail(ErrorKind::kUsage, "no"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no");
}

TEST(Invariant, Throws) {
  EXPECT_NO_THROW([] { KW_INVARIANT(1 + 1 == 2, "sum"); }());
  EXPECT_THROW([] { KW_INVARIANT(1 + 1 == 3, "sum"); }(), InternalError);
}

}  // namespace
}  // namespace kernelwright::base
