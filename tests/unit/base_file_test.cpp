// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/hash.h"

namespace kernelwright::base {
namespace {

namespace fs = std::filesystem;

size_t entries(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(File, RoundTrip) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  const fs::path path = dir->path() / "file";
  const std::string content("a\0b\n", 4);
  ASSERT_TRUE(write_file_atomic(path, content));
  EXPECT_EQ(*read_file(path), content);
  ASSERT_TRUE(write_file_atomic(path, ""));
  EXPECT_EQ(*read_file(path), "");
  EXPECT_EQ(entries(dir->path()), 1u);
}

TEST(File, ErrorsNameThePath) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  auto missing = read_file(dir->path() / "missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kInput);
  EXPECT_NE(missing.error().message.find("missing"), std::string::npos);
  EXPECT_FALSE(read_file(dir->path()));
  ASSERT_TRUE(write_file_atomic(dir->path() / "file", "12345"));
  EXPECT_TRUE(read_file(dir->path() / "file", 5));
  EXPECT_FALSE(read_file(dir->path() / "file", 4));
  auto nowhere = write_file_atomic(dir->path() / "no" / "file", "x");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::kEnvironment);
}

// A file-size limit fails the write as a full disk does: in the middle.
TEST(File, AFailedWriteLeavesTheOldContent) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  const fs::path path = dir->path() / "file";
  ASSERT_TRUE(write_file_atomic(path, "old"));
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto status = write_file_atomic(path, std::string(5000, 'x'));
    ::_exit(!status && status.error().kind == ErrorKind::kEnvironment ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(entries(dir->path()), 1u);
}

TEST(TempDir, IsPrivateAndRemoved) {
  fs::path path;
  {
    auto dir = TempDir::create("kw-test");
    ASSERT_TRUE(dir);
    path = dir->path();
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    ASSERT_TRUE(write_file_atomic(path / "file", "x"));
    TempDir moved = std::move(*dir);
    EXPECT_EQ(moved.path(), path);
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(Folders, FollowTheEnvironment) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  const std::string own = (dir->path() / "own").string();
  ::setenv("KERNELWRIGHT_CACHE_DIR", own.c_str(), 1);
  EXPECT_EQ(*cache_dir(), own);
  EXPECT_TRUE(fs::is_directory(own));
  ::unsetenv("KERNELWRIGHT_CACHE_DIR");
  ::setenv("XDG_CACHE_HOME", dir->path().c_str(), 1);
  EXPECT_EQ(*cache_dir(), dir->path() / "kernelwright");
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(Hash, KnownVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(fast_hash({}), 0x2d06800538d394c2ull);  // XXH3 of nothing
}

TEST(Hash, FieldsDoNotRunTogether) {
  const auto hex = [](auto... fields) {
    IdentityBuilder builder;
    (builder.add(fields), ...);
    return builder.hex();
  };
  EXPECT_NE(hex("ab", "c"), hex("a", "bc"));
  EXPECT_NE(hex("a", ""), hex("a"));
  EXPECT_EQ(hex("a", "b"), hex("a", "b"));
}

}  // namespace
}  // namespace kernelwright::base
