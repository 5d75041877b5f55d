// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/confine.h"
#include "base/file.h"
#include "base/subprocess.h"

namespace kernelwright::base {
namespace {

using End = ProcessOutcome::End;

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.argv = {"sh", "-c", script};
  spec.limits.wall_s = 20;
  return spec;
}

ProcessOutcome run(const ProcessSpec& spec) {
  auto outcome = run_process(spec);
  if (!outcome) {
    ADD_FAILURE() << outcome.error().text();
    return {};
  }
  return *outcome;
}

Confinement system_only() {
  Confinement confinement;
  confinement.read_paths = {"/usr", "/bin", "/lib", "/lib64", "/etc"};
  return confinement;
}

TEST(Subprocess, ReturnsOutputAndStatus) {
  const auto outcome = run(shell("echo out; echo err >&2; exit 7"));
  EXPECT_EQ(outcome.end, End::kExited);
  EXPECT_EQ(outcome.code, 7);
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
  EXPECT_FALSE(outcome.ok());
  EXPECT_GT(outcome.peak_rss_bytes, 0u);
}

TEST(Subprocess, TellsTheSignal) {
  const auto outcome = run(shell("kill -SEGV $$"));
  EXPECT_EQ(outcome.end, End::kSignaled);
  EXPECT_EQ(outcome.code, SIGSEGV);
}

TEST(Subprocess, FeedsStdinAndEnvironment) {
  auto spec = shell("cat; printf '%s' \"$KW_TEST\"; printf '%s' \"$HOME\"");
  spec.stdin_text = std::string(200000, 'x');
  spec.env = std::vector<std::string>{"KW_TEST=yes", "PATH=/usr/bin:/bin"};
  const auto outcome = run(spec);
  EXPECT_EQ(outcome.out, spec.stdin_text + "yes");
}

TEST(Subprocess, BoundsOutput) {
  auto spec = shell("head -c 3000000 /dev/zero; echo done >&2");
  spec.limits.output_bytes = 1000;
  const auto outcome = run(spec);
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.out.size(), 1000u);
  EXPECT_EQ(outcome.err, "done\n");
}

TEST(Subprocess, MissingProgramIsAnEnvironmentError) {
  ProcessSpec spec;
  spec.argv = {"kw-no-such-program"};
  const auto outcome = run_process(spec);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kEnvironment);
  spec = shell("true");
  spec.cwd = "/kw-no-such-folder";
  const auto nowhere = run_process(spec);
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("enter its folder"), std::string::npos);
}

// The grandchild ignores every polite signal and holds the output pipe.
TEST(Subprocess, DeadlineEndsTheWholeGroup) {
  auto spec = shell("trap '' TERM INT HUP; sleep 600 & echo $!; sleep 600");
  spec.limits.wall_s = 0.5;  // in which the shell, however busy the machine is, starts its child
  const auto outcome = run(spec);
  EXPECT_EQ(outcome.end, End::kTimedOut);
  EXPECT_LT(outcome.wall_s, 10);
  const pid_t grandchild = std::stoi(outcome.out);
  // The kill is delivered at once, the end may take the kernel a moment: a pidfd tells when.
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, grandchild, 0));
  if (pidfd < 0) {
    EXPECT_EQ(errno, ESRCH);
    return;
  }
  pollfd ended{pidfd, POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1) << "the grandchild lives on";
  close(pidfd);
}

TEST(Subprocess, EndOfTheChildEndsItsGroup) {
  const auto outcome = run(shell("sleep 600 & exit 0"));
  EXPECT_TRUE(outcome.ok());
  EXPECT_LT(outcome.wall_s, 10);
}

TEST(Subprocess, LimitsHold) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  auto spec = shell("head -c 100000 /dev/zero > big");
  spec.cwd = dir->path().string();
  spec.limits.file_bytes = 1000;
  EXPECT_FALSE(run(spec).ok());
  EXPECT_EQ(std::filesystem::file_size(dir->path() / "big"), 1000u);

  spec = shell("ulimit -v; ulimit -c");
  spec.limits.memory_bytes = 64 << 20;
  EXPECT_EQ(run(spec).out, "65536\n0\n");
}

TEST(Subprocess, InheritsExactlyTheNamedDescriptors) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);  // not close-on-exec on purpose
  UniqueFd ours(fds[0]), theirs(fds[1]);
  auto spec = shell("ls /proc/self/fd | tr '\\n' ' '; echo hello >&5");
  spec.inherit_fds = {{theirs.get(), 5}};
  const auto outcome = run(spec);
  // ls itself holds the folder open as one more.
  EXPECT_EQ(outcome.out, "0 1 2 3 5 ");
  char text[6] = {};
  EXPECT_EQ(::recv(ours.get(), text, 5, MSG_DONTWAIT), 5);
  EXPECT_STREQ(text, "hello");
}

// Numbers that cross: each source stands where the other should go.
TEST(Subprocess, SwapsDescriptors) {
  int a[2], b[2];
  ASSERT_EQ(::pipe(a), 0);
  ASSERT_EQ(::pipe(b), 0);
  UniqueFd a_read(a[0]), a_write(a[1]), b_read(b[0]), b_write(b[1]);
  auto spec = shell("echo A >&" + std::to_string(b[1]) + "; echo B >&" + std::to_string(a[1]));
  if (a[1] > 9 || b[1] > 9) GTEST_SKIP() << "sh names single digits only";
  spec.inherit_fds = {{a[1], b[1]}, {b[1], a[1]}};
  ASSERT_TRUE(run(spec).ok());
  char text[3] = {};
  ASSERT_EQ(::read(a_read.get(), text, 2), 2);
  EXPECT_STREQ(text, "A\n");
}

TEST(Confinement, DeniesReadsAndWritesOutside) {
  if (!confinement_available()) GTEST_SKIP() << "no Landlock on this kernel";
  auto inside = TempDir::create("kw-inside");
  auto outside = TempDir::create("kw-outside");
  ASSERT_TRUE(inside && outside);
  ASSERT_TRUE(write_file_atomic(outside->path() / "secret", "secret"));
  const std::string in = inside->path().string(), out = outside->path().string();

  auto spec = shell("cat " + out + "/secret; echo x > " + out + "/new; echo ok > " + in +
                    "/new; rm " + out + "/secret; cat " + in + "/new");
  spec.confinement = system_only();
  spec.confinement->write_paths = {in};
  const auto outcome = run(spec);
  EXPECT_EQ(outcome.out, "ok\n") << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(outside->path() / "new"));
  EXPECT_TRUE(std::filesystem::exists(outside->path() / "secret"));

  spec.confinement.reset();  // the same script succeeds when it is free
  EXPECT_EQ(run(spec).out, "secretok\n");
}

TEST(Confinement, ReadPathsAreNotWritable) {
  if (!confinement_available()) GTEST_SKIP() << "no Landlock on this kernel";
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  const std::string folder = dir->path().string();
  ASSERT_TRUE(write_file_atomic(dir->path() / "file", "x"));
  auto spec = shell("cat " + folder + "/file; echo y > " + folder + "/file; echo z > " + folder +
                    "/other; : > /dev/null && echo null");
  spec.confinement = system_only();
  spec.confinement->read_paths.push_back(folder);
  spec.confinement->read_paths.push_back("/kw-no-such-path");
  EXPECT_EQ(run(spec).out, "xnull\n");
  EXPECT_EQ(*read_file(dir->path() / "file"), "x");
  spec.confinement->write_paths = {"/kw-no-such-path"};
  EXPECT_FALSE(run_process(spec));
}

TEST(Confinement, DeniesSocketsAndLeavingTheGroup) {
  // Runs in a forked child of this very test: prepare here, enter there.
  for (const bool no_network : {true, false}) {
    Confinement confinement = system_only();
    confinement.no_network = no_network;
    auto prepared = prepare_confinement(confinement);
    ASSERT_TRUE(prepared);
    const pid_t pid = ::fork();
    if (pid == 0) {
      int failures = 0;
      if (!enter_confinement(prepared->ruleset.get(), prepared->filter.data(),
                             prepared->filter.size()))
        ::_exit(100);
      const int inet = ::socket(AF_INET, SOCK_STREAM, 0);
      if ((inet < 0) != no_network) failures |= 1;
      const int inet6 = ::socket(AF_INET6, SOCK_DGRAM, 0);
      if ((inet6 < 0) != no_network) failures |= 2;
      if (::socket(AF_UNIX, SOCK_STREAM, 0) < 0) failures |= 4;
      if (::setsid() >= 0) failures |= 8;
      if (::setpgid(0, 0) == 0) failures |= 16;
      if (::kill(::getppid(), 0) == 0 && landlock_abi() >= 6) failures |= 32;
      ::_exit(failures);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "no_network " << no_network;
  }
}

TEST(ChildProcess, LivesUntilKilled) {
  ProcessSpec spec;
  spec.argv = {"sleep", "600"};
  auto child = ChildProcess::spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->running());
  EXPECT_FALSE(child->wait_for(std::chrono::milliseconds(1)));
  ChildProcess moved = std::move(*child);
  EXPECT_FALSE(child->running());
  moved.kill();
  EXPECT_FALSE(moved.running());
  const auto outcome = moved.wait_for(std::chrono::milliseconds(0));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->end, End::kSignaled);
  EXPECT_EQ(outcome->code, SIGKILL);
}

TEST(ChildProcess, DestructionLeavesNothingBehind) {
  pid_t pid = -1;
  {
    ProcessSpec spec;
    spec.argv = {"sleep", "600"};
    auto child = ChildProcess::spawn(spec);
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(ChildProcess, WritesItsLogAndEnds) {
  auto dir = TempDir::create("kw-test");
  ASSERT_TRUE(dir);
  ProcessSpec spec;
  spec.argv = {"sh", "-c", "echo one; echo two >&2; exit 3"};
  spec.log_path = (dir->path() / "log").string();
  auto child = ChildProcess::spawn(spec);
  ASSERT_TRUE(child);
  const auto outcome = child->wait_for(std::chrono::seconds(20));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->code, 3);
  EXPECT_EQ(*read_file(dir->path() / "log"), "one\ntwo\n");
}

TEST(FindProgram, LooksAlongPath) {
  EXPECT_TRUE(find_program("sh"));
  EXPECT_TRUE(find_program("/bin/sh"));
  EXPECT_FALSE(find_program("kw-no-such-program"));
  EXPECT_FALSE(find_program(""));
}

}  // namespace
}  // namespace kernelwright::base
