// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kernelwright::base {

// Bounds of a child process; 0 means unbounded.
struct ProcessLimits {
  double wall_s = 0;                // the whole process group is killed when it ends
  uint64_t memory_bytes = 0;        // RLIMIT_AS
  uint64_t cpu_s = 0;               // RLIMIT_CPU
  uint64_t file_bytes = 0;          // RLIMIT_FSIZE
  uint64_t output_bytes = 1 << 20;  // stdout and stderr each; the rest is dropped
};

// What a confined child may reach (Landlock). Applied between fork and exec; where the kernel has
// no Landlock, `confinement_available()` is false and the child runs with the rest. /dev/null is
// always open to it; missing read paths are skipped. A confined child cannot leave its process
// group, so that a deadline ends all of it.
struct Confinement {
  std::vector<std::string> read_paths;
  std::vector<std::string> write_paths;
  bool no_network = true;  // socket() gives Unix sockets only (seccomp), TCP is denied (Landlock)
};

struct ProcessSpec {
  std::vector<std::string> argv;  // argv[0] is looked up on PATH
  std::string cwd;                // empty: ours
  // "K=V"; nullopt: ours. Variables named *_API_KEY are never passed on.
  std::optional<std::vector<std::string>> env;
  std::string stdin_text;
  ProcessLimits limits;
  std::optional<Confinement> confinement;
  std::vector<std::pair<int, int>> inherit_fds;  // {fd here, fd number there}
  // False (long-lived children): stdout and stderr go to `log_path` or /dev/null.
  std::string log_path;
};

struct ProcessOutcome {
  enum class End { kExited, kSignaled, kTimedOut } end = End::kExited;
  int code = 0;  // exit status or signal number
  std::string out;
  std::string err;
  double wall_s = 0;
  uint64_t peak_rss_bytes = 0;  // of the child or ours at the fork, whichever was larger
  bool ok() const { return end == End::kExited && code == 0; }
};

bool confinement_available();

// Runs a child in a process group of its own to its end; then the rest of its group is killed.
// kEnvironment when it cannot be started.
Result<ProcessOutcome> run_process(const ProcessSpec& spec);

// A child that lives on (a worker); `stdin_text`, `wall_s` and `output_bytes` do not apply to it.
// Destruction kills its process group and reaps it. It dies with the thread that spawned it.
class ChildProcess {
 public:
  static Result<ChildProcess> spawn(const ProcessSpec& spec);
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool running();
  // Waits until the deadline; nullopt when it still runs.
  std::optional<ProcessOutcome> wait_for(std::chrono::milliseconds timeout);
  void kill();

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::chrono::steady_clock::time_point started_{};
  std::optional<ProcessOutcome> outcome_;
};

// Full path of a program on PATH, if it is there.
std::optional<std::string> find_program(const std::string& name);

}  // namespace kernelwright::base
