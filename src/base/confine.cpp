// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace kernelwright::base {
namespace {

// Landlock's interface by hand: Debian 12's headers stop at an older ABI than today's kernels.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr unsigned kCreateRulesetVersion = 1;
constexpr int kRulePathBeneath = 1;

struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // from ABI 4
  uint64_t scoped;              // from ABI 6
};
struct __attribute__((packed)) PathBeneathAttr {
  uint64_t allowed_access;
  int32_t parent_fd;
};

constexpr uint64_t kExecute = 1 << 0;
constexpr uint64_t kWriteFile = 1 << 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDir = 1 << 3;
constexpr uint64_t kAbi1 = (1 << 13) - 1;   // all rights of the first version
constexpr uint64_t kRefer = 1 << 13;        // ABI 2
constexpr uint64_t kTruncate = 1 << 14;     // ABI 3
constexpr uint64_t kIoctlDevice = 1 << 15;  // ABI 5
constexpr uint64_t kFileRights = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
constexpr uint64_t kNetBindConnect = 3;       // ABI 4
constexpr uint64_t kScopeSocketsSignals = 3;  // ABI 6

#if defined(__x86_64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
#else
#error "no system-call filter for this architecture"
#endif

uint64_t handled_fs(int abi) {
  uint64_t rights = kAbi1;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDevice;
  return rights;
}

Status add_path(int ruleset, uint64_t handled, const std::string& path, uint64_t rights,
                bool must_exist) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) {
    if (!must_exist) return {};
    return fail(ErrorKind::kEnvironment, fmt::format("cannot open '{}' for a confined process: {}",
                                                     path, std::strerror(errno)));
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) == 0 && !S_ISDIR(info.st_mode)) rights &= kFileRights;
  const PathBeneathAttr rule{rights & handled, fd.get()};
  if (::syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0) != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("Landlock refuses a rule for '{}': {}", path, std::strerror(errno)));
  return {};
}

void append(std::vector<sock_filter>& out, uint16_t code, uint32_t k, uint8_t jt = 0,
            uint8_t jf = 0) {
  out.push_back(sock_filter{code, jt, jf, k});
}

std::vector<sock_filter> system_call_filter(bool no_network) {
  constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
  constexpr uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr uint16_t kReturn = BPF_RET | BPF_K;
  const auto error = [](int number) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(number); };
  std::vector<sock_filter> f;
  append(f, kLoad, offsetof(seccomp_data, arch));
  append(f, kEqual, kAuditArch, 1, 0);
  append(f, kReturn, SECCOMP_RET_KILL_PROCESS);
  append(f, kLoad, offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  // The x32 numbers would pass by every comparison below.
  append(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
  append(f, kReturn, error(ENOSYS));
#endif
  for (long call : {SYS_setsid, SYS_setpgid}) {
    append(f, kEqual, static_cast<uint32_t>(call), 0, 1);
    append(f, kReturn, error(EPERM));
  }
  if (no_network) {
    // A ring can open sockets on its own.
    append(f, kEqual, static_cast<uint32_t>(SYS_io_uring_setup), 0, 1);
    append(f, kReturn, error(ENOSYS));
    append(f, kEqual, static_cast<uint32_t>(SYS_socket), 0, 3);
    append(f, kLoad, offsetof(seccomp_data, args[0]));
    append(f, kEqual, AF_UNIX, 1, 0);
    append(f, kReturn, error(EACCES));
  }
  append(f, kReturn, SECCOMP_RET_ALLOW);
  return f;
}

}  // namespace

int landlock_abi() {
  static const int abi = [] {
    const long version = ::syscall(kCreateRuleset, nullptr, 0, kCreateRulesetVersion);
    return version > 0 ? static_cast<int>(version) : 0;
  }();
  return abi;
}

bool confinement_available() {
  return landlock_abi() > 0;
}

Result<PreparedConfinement> prepare_confinement(const Confinement& confinement) {
  PreparedConfinement prepared;
  prepared.filter = system_call_filter(confinement.no_network);
  const int abi = landlock_abi();
  if (abi == 0) return prepared;

  RulesetAttr attr{};
  attr.handled_access_fs = handled_fs(abi);
  if (abi >= 4 && confinement.no_network) attr.handled_access_net = kNetBindConnect;
  if (abi >= 6) attr.scoped = kScopeSocketsSignals;
  const size_t attr_size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  prepared.ruleset = UniqueFd(static_cast<int>(::syscall(kCreateRuleset, &attr, attr_size, 0)));
  if (!prepared.ruleset)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot create a Landlock ruleset: {}", std::strerror(errno)));
  const int ruleset = prepared.ruleset.get();
  const uint64_t handled = attr.handled_access_fs;
  for (const std::string& path : confinement.read_paths)
    KW_CHECK_OK(add_path(ruleset, handled, path, kExecute | kReadFile | kReadDir, false));
  for (const std::string& path : confinement.write_paths)
    KW_CHECK_OK(add_path(ruleset, handled, path, handled, true));
  KW_CHECK_OK(add_path(ruleset, handled, "/dev/null", kReadFile | kWriteFile | kTruncate, false));
  return prepared;
}

bool enter_confinement(int ruleset_fd, const sock_filter* filter, size_t filter_length) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (ruleset_fd >= 0 && ::syscall(kRestrictSelf, ruleset_fd, 0) != 0) return false;
  const sock_fprog program{static_cast<unsigned short>(filter_length),
                           const_cast<sock_filter*>(filter)};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

}  // namespace kernelwright::base
