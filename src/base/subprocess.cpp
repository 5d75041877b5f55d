// SPDX-License-Identifier: Apache-2.0
#include "base/subprocess.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/confine.h"

extern char** environ;

namespace kernelwright::base {
namespace {

using Clock = std::chrono::steady_clock;

// Everything the child needs between fork and exec, laid out before: after fork in a program with
// threads only async-signal-safe calls are allowed.
struct Launch {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> envp;
  const char* cwd = nullptr;
  std::vector<std::pair<int, int>> fds;  // {here, there}; 0, 1 and 2 included
  std::vector<int> parked;               // room for the copies of `fds`
  int first_free = 3;                    // above every number wanted in the child
  std::vector<std::pair<int, rlimit>> limits;
  bool confined = false;
  PreparedConfinement confinement;
  UniqueFd report;  // write end: {step, errno} when the child does not get to exec
  pid_t parent = 0;
};

enum ChildStep : int { kStepParent, kStepFds, kStepCwd, kStepLimits, kStepConfine, kStepExec };
constexpr const char* kStepText[] = {"follow its parent", "set up descriptors", "enter its folder",
                                     "set its limits",    "confine itself",     "be executed"};

[[noreturn]] void child_fails(int report, ChildStep step) {
  const int message[2] = {step, errno};
  (void)!::write(report, message, sizeof message);
  ::_exit(127);
}

// Runs in the child. Async-signal-safe.
[[noreturn]] void child_main(Launch& launch) {
  int report = launch.report.get();
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != launch.parent)
    child_fails(report, kStepParent);

  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  // First everything out of the way of the wanted numbers, then into place.
  report = ::fcntl(report, F_DUPFD_CLOEXEC, launch.first_free);
  if (report < 0) child_fails(launch.report.get(), kStepFds);
  int ruleset = launch.confinement.ruleset.get();
  if (ruleset >= 0) ruleset = ::fcntl(ruleset, F_DUPFD_CLOEXEC, launch.first_free);
  for (size_t i = 0; i < launch.fds.size(); ++i) {
    launch.parked[i] = ::fcntl(launch.fds[i].first, F_DUPFD_CLOEXEC, launch.first_free);
    if (launch.parked[i] < 0) child_fails(report, kStepFds);
  }
  if (::syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int fd = 3; fd < 1024; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (size_t i = 0; i < launch.fds.size(); ++i)
    if (::dup2(launch.parked[i], launch.fds[i].second) < 0) child_fails(report, kStepFds);

  if (launch.cwd != nullptr && ::chdir(launch.cwd) != 0) child_fails(report, kStepCwd);
  for (const auto& [resource, limit] : launch.limits)
    if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
      child_fails(report, kStepLimits);
  if (launch.confined && !enter_confinement(ruleset, launch.confinement.filter.data(),
                                            launch.confinement.filter.size()))
    child_fails(report, kStepConfine);
  ::execve(launch.program.c_str(), launch.argv.data(), launch.envp.data());
  child_fails(report, kStepExec);
}

tl::unexpected<Error> system_error(const std::string& what) {
  return fail(ErrorKind::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)));
}

// "NAME_API_KEY=value": no child has a use for it.
bool holds_key(std::string_view entry) {
  return entry.substr(0, entry.find('=')).ends_with("_API_KEY");
}

Result<Launch> prepare(const ProcessSpec& spec) {
  Launch launch;
  if (spec.argv.empty()) return fail(ErrorKind::kInternal, "a process without a program");
  auto program = find_program(spec.argv[0]);
  if (!program)
    return fail(ErrorKind::kEnvironment, fmt::format("no program '{}' on PATH", spec.argv[0]));
  launch.program = *program;
  for (const std::string& arg : spec.argv) launch.argv.push_back(const_cast<char*>(arg.c_str()));
  launch.argv.push_back(nullptr);
  if (spec.env) {
    for (const std::string& entry : *spec.env)
      if (!holds_key(entry)) launch.envp.push_back(const_cast<char*>(entry.c_str()));
  } else {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
      if (!holds_key(*entry)) launch.envp.push_back(*entry);
  }
  launch.envp.push_back(nullptr);
  if (!spec.cwd.empty()) launch.cwd = spec.cwd.c_str();

  const auto limit = [&](int resource, uint64_t value, uint64_t slack) {
    if (value > 0) launch.limits.emplace_back(resource, rlimit{value, value + slack});
  };
  launch.limits.emplace_back(RLIMIT_CORE, rlimit{0, 0});
  limit(RLIMIT_AS, spec.limits.memory_bytes, 0);
  limit(RLIMIT_CPU, spec.limits.cpu_s, 1);
  limit(RLIMIT_FSIZE, spec.limits.file_bytes, 0);

  if (spec.confinement) {
    launch.confined = true;
    KW_TRY(launch.confinement, prepare_confinement(*spec.confinement));
  }
  return launch;
}

UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// Forks and waits until the child has been executed, or says why it was not.
Result<pid_t> start(Launch& launch, const std::string& name) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return system_error("cannot create a pipe");
  UniqueFd report_read(report[0]);
  launch.report = UniqueFd(report[1]);
  for (const auto& [here, there] : launch.fds)
    launch.first_free = std::max(launch.first_free, there + 1);
  launch.parked.resize(launch.fds.size());
  launch.parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid == 0) child_main(launch);
  if (pid < 0) return system_error(fmt::format("cannot start '{}'", name));
  ::setpgid(pid, pid);  // also here: whoever comes first
  launch.report = UniqueFd();
  launch.confinement.ruleset = UniqueFd();

  int message[2] = {0, 0};
  ssize_t n = 0;
  do n = ::read(report_read.get(), message, sizeof message);
  while (n < 0 && errno == EINTR);
  if (n == 0) return pid;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  const int step = n == sizeof message ? std::clamp(message[0], 0, int{kStepExec}) : kStepExec;
  return fail(ErrorKind::kEnvironment, fmt::format("cannot start '{}': it cannot {}: {}", name,
                                                   kStepText[step], std::strerror(message[1])));
}

// Kills the group while its leader is unreaped, so that the number cannot belong to anyone else,
// then takes the leader's status. `block` false: nullopt while it still runs.
std::optional<ProcessOutcome> reap(pid_t pid, bool block) {
  siginfo_t info{};
  for (;;) {
    const int flags = WEXITED | WNOWAIT | (block ? 0 : WNOHANG);
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, flags) == 0) {
      if (info.si_pid == 0) return std::nullopt;
      break;
    }
    if (errno != EINTR) break;
  }
  ::kill(-pid, SIGKILL);
  ProcessOutcome outcome;
  int status = 0;
  rusage usage{};
  pid_t got = 0;
  do got = ::wait4(pid, &status, 0, &usage);
  while (got < 0 && errno == EINTR);
  if (got == pid && WIFEXITED(status)) {
    outcome.end = ProcessOutcome::End::kExited;
    outcome.code = WEXITSTATUS(status);
  } else {
    outcome.end = ProcessOutcome::End::kSignaled;
    outcome.code = got == pid ? WTERMSIG(status) : SIGKILL;
  }
  outcome.peak_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  return outcome;
}

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Reads what is there; closes the pipe at its end. Beyond `limit` the bytes are dropped.
void drain(UniqueFd& pipe, std::string& into, uint64_t limit) {
  char buffer[1 << 15];
  while (pipe) {
    const ssize_t n = ::read(pipe.get(), buffer, sizeof buffer);
    if (n > 0) {
      const uint64_t room =
          limit == 0 ? UINT64_MAX : limit - std::min<uint64_t>(limit, into.size());
      into.append(buffer, static_cast<size_t>(std::min<uint64_t>(room, static_cast<uint64_t>(n))));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      return;
    } else {
      pipe = UniqueFd();
    }
  }
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return system_error("cannot create a pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

int poll_timeout(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left + 1, 0, 1'000'000'000));
}

Clock::time_point deadline_after(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(std::clamp(seconds, 0.0, 1e8)));
}

// Text for a child's stdin. A memfd: the child reads at its own pace and we need not feed a pipe.
Result<UniqueFd> stdin_source(const std::string& text) {
  if (text.empty()) {
    UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null) return system_error("cannot open /dev/null");
    return null;
  }
  UniqueFd memory(static_cast<int>(::syscall(SYS_memfd_create, "stdin", 1 /* MFD_CLOEXEC */)));
  if (!memory) return system_error("cannot create stdin of a process");
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(memory.get(), text.data() + at, text.size() - at);
    if (n < 0 && errno != EINTR) return system_error("cannot write stdin of a process");
    if (n > 0) at += static_cast<size_t>(n);
  }
  ::lseek(memory.get(), 0, SEEK_SET);
  return memory;
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos)
    return ::access(name.c_str(), X_OK) == 0 ? std::optional(name) : std::nullopt;
  const char* variable = std::getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = path.find(':', begin);
    if (end == std::string::npos) end = path.size();
    std::string candidate = path.substr(begin, end - begin);
    if (!candidate.empty()) {
      candidate += '/' + name;
      if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    begin = end + 1;
  }
  return std::nullopt;
}

Result<ProcessOutcome> run_process(const ProcessSpec& spec) {
  KW_TRY(Launch launch, prepare(spec));
  KW_TRY(Pipe out, make_pipe());
  KW_TRY(Pipe err, make_pipe());
  KW_TRY(UniqueFd in, stdin_source(spec.stdin_text));
  launch.fds = spec.inherit_fds;
  launch.fds.emplace_back(in.get(), 0);
  launch.fds.emplace_back(out.write_end.get(), 1);
  launch.fds.emplace_back(err.write_end.get(), 2);

  const auto started = Clock::now();
  const auto deadline = deadline_after(spec.limits.wall_s > 0 ? spec.limits.wall_s : 1e8);
  KW_TRY(const pid_t pid, start(launch, spec.argv[0]));
  UniqueFd pidfd = open_pidfd(pid);
  out.write_end = UniqueFd();
  err.write_end = UniqueFd();
  set_nonblocking(out.read_end.get());
  set_nonblocking(err.read_end.get());

  std::string out_text, err_text;
  bool timed_out = false;
  for (;;) {
    std::array<pollfd, 3> entries{{{pidfd.get(), POLLIN, 0},
                                   {out.read_end.get(), POLLIN, 0},
                                   {err.read_end.get(), POLLIN, 0}}};
    // Without a pidfd the ends of both pipes and short waits tell that the child is gone.
    const int wait = pidfd ? poll_timeout(deadline) : std::min(poll_timeout(deadline), 20);
    ::poll(entries.data(), entries.size(), wait);
    drain(out.read_end, out_text, spec.limits.output_bytes);
    drain(err.read_end, err_text, spec.limits.output_bytes);
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0 ||
        info.si_pid != 0)
      break;
    if (Clock::now() >= deadline) {
      timed_out = true;
      ::kill(-pid, SIGKILL);
      break;
    }
  }
  ProcessOutcome outcome = *reap(pid, true);
  drain(out.read_end, out_text, spec.limits.output_bytes);
  drain(err.read_end, err_text, spec.limits.output_bytes);
  if (timed_out) outcome.end = ProcessOutcome::End::kTimedOut;
  outcome.out = std::move(out_text);
  outcome.err = std::move(err_text);
  outcome.wall_s = std::chrono::duration<double>(Clock::now() - started).count();
  return outcome;
}

Result<ChildProcess> ChildProcess::spawn(const ProcessSpec& spec) {
  KW_TRY(Launch launch, prepare(spec));
  KW_TRY(UniqueFd in, stdin_source(""));
  const std::string log = spec.log_path.empty() ? "/dev/null" : spec.log_path;
  UniqueFd sink(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!sink) return system_error(fmt::format("cannot write '{}'", log));
  launch.fds = spec.inherit_fds;
  launch.fds.emplace_back(in.get(), 0);
  launch.fds.emplace_back(sink.get(), 1);
  launch.fds.emplace_back(sink.get(), 2);
  ChildProcess child;
  child.started_ = Clock::now();
  KW_TRY(child.pid_, start(launch, spec.argv[0]));
  child.pidfd_ = open_pidfd(child.pid_).release();
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      started_(other.started_),
      outcome_(std::move(other.outcome_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(started_, other.started_);
  std::swap(outcome_, other.outcome_);
  return *this;
}

ChildProcess::~ChildProcess() {
  kill();
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool ChildProcess::running() {
  return pid_ > 0 && !wait_for(std::chrono::milliseconds(0));
}

std::optional<ProcessOutcome> ChildProcess::wait_for(std::chrono::milliseconds timeout) {
  if (outcome_ || pid_ <= 0) return outcome_;
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    outcome_ = reap(pid_, false);
    if (outcome_) {
      outcome_->wall_s = std::chrono::duration<double>(Clock::now() - started_).count();
      return outcome_;
    }
    if (Clock::now() >= deadline) return std::nullopt;
    pollfd entry{pidfd_, POLLIN, 0};
    ::poll(&entry, 1, pidfd_ >= 0 ? poll_timeout(deadline) : std::min(poll_timeout(deadline), 20));
  }
}

void ChildProcess::kill() {
  if (pid_ <= 0 || outcome_) return;
  ::kill(-pid_, SIGKILL);
  outcome_ = reap(pid_, true);
  outcome_->wall_s = std::chrono::duration<double>(Clock::now() - started_).count();
}

}  // namespace kernelwright::base
