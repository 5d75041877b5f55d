// SPDX-License-Identifier: Apache-2.0
#include "referee/lockdown.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/shared_memory.h"

namespace kernelwright::referee {
namespace {

// Landlock, ABI 1; named here because the build machine's kernel headers may be older than the
// kernel.
constexpr long kLandlockCreateRuleset = 444, kLandlockAddRule = 445, kLandlockRestrictSelf = 446;
constexpr uint64_t kLandlockAllFileAccess = (1ull << 13) - 1;
constexpr uint64_t kLandlockReadFile = 1ull << 2;
struct LandlockRuleset {
  uint64_t handled_access_fs;
};
struct __attribute__((packed)) LandlockPathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

Status failed(const char* what) {
  return fail(ErrorKind::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)));
}

Status confine_files(const std::vector<int>& object_fds) {
  const LandlockRuleset attributes{kLandlockAllFileAccess};
  base::UniqueFd ruleset(
      static_cast<int>(syscall(kLandlockCreateRuleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return {};  // a kernel without Landlock: the filters and limits stand alone
  for (int fd : object_fds) {
    const LandlockPathBeneath rule{kLandlockReadFile, fd};
    if (syscall(kLandlockAddRule, ruleset.get(), 1, &rule, 0) != 0)
      return failed("Landlock refuses a rule");
  }
  if (syscall(kLandlockRestrictSelf, ruleset.get(), 0) != 0)
    return failed("Landlock refuses to confine");
  return {};
}

const int kAlways[] = {
    SCMP_SYS(futex),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(getrusage),
};
const int kWhileLoading[] = {
    SCMP_SYS(openat),    SCMP_SYS(open),       SCMP_SYS(newfstatat), SCMP_SYS(stat),
    SCMP_SYS(access),    SCMP_SYS(faccessat),  SCMP_SYS(readlink),   SCMP_SYS(lseek),
    SCMP_SYS(pread64),   SCMP_SYS(clone),      SCMP_SYS(clone3),     SCMP_SYS(mmap),
    SCMP_SYS(mprotect),  SCMP_SYS(prlimit64),  SCMP_SYS(getrlimit),  SCMP_SYS(sched_setaffinity),
    SCMP_SYS(prctl),     SCMP_SYS(seccomp),    SCMP_SYS(membarrier), SCMP_SYS(sysinfo),
    SCMP_SYS(uname),     SCMP_SYS(getdents64), SCMP_SYS(readlinkat), SCMP_SYS(statx),
    SCMP_SYS(getrandom),
};

Result<Filter> new_filter() {
  Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS),
                [](scmp_filter_ctx context) { seccomp_release(context); });
  if (!filter) return fail(ErrorKind::kEnvironment, "cannot make a seccomp filter");
  seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  // Threads of the pool are bound too.
  if (seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1) != 0)
    return fail(ErrorKind::kEnvironment, "seccomp cannot bind all threads");
  for (int call : kAlways) {
    if (seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) != 0)
      return fail(ErrorKind::kEnvironment, "cannot add a seccomp rule");
  }
  // abort() signals itself; other processes are out of reach.
  const scmp_arg_cmp ourselves{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()), 0};
  seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &ourselves);
  return filter;
}

Status install(const Filter& filter) {
  const int error = seccomp_load(filter.get());
  if (error != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot load a seccomp filter: {}", std::strerror(-error)));
  return {};
}

constexpr uint64_t kLandlockWriteFile = 1ull << 1;
// All ways to write, remove and make files: every access but execute, reading files and folders.
constexpr uint64_t kLandlockWrites =
    kLandlockAllFileAccess & ~(1ull << 0) & ~kLandlockReadFile & ~(1ull << 3);

Status confine_writes() {
  const LandlockRuleset attributes{kLandlockWrites};
  base::UniqueFd ruleset(
      static_cast<int>(syscall(kLandlockCreateRuleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return {};
  for (const char* path : {"/dev", "/proc"}) {
    const base::UniqueFd folder(::open(path, O_PATH | O_CLOEXEC));
    if (!folder) continue;
    const LandlockPathBeneath rule{kLandlockWriteFile, folder.get()};
    if (syscall(kLandlockAddRule, ruleset.get(), 1, &rule, 0) != 0)
      return failed("Landlock refuses a rule");
  }
  if (syscall(kLandlockRestrictSelf, ruleset.get(), 0) != 0)
    return failed("Landlock refuses to confine");
  return {};
}

const int kNeverBesideDriver[] = {SCMP_SYS(execve),      SCMP_SYS(execveat),
                                  SCMP_SYS(fork),        SCMP_SYS(vfork),
                                  SCMP_SYS(ptrace),      SCMP_SYS(process_vm_readv),
                                  SCMP_SYS(connect),     SCMP_SYS(process_vm_writev),
                                  SCMP_SYS(bind),        SCMP_SYS(listen),
                                  SCMP_SYS(accept),      SCMP_SYS(accept4),
                                  SCMP_SYS(kill),        SCMP_SYS(tkill),
                                  SCMP_SYS(pidfd_getfd), SCMP_SYS(setuid),
                                  SCMP_SYS(setgid),      SCMP_SYS(mount),
                                  SCMP_SYS(unshare),     SCMP_SYS(setns),
                                  SCMP_SYS(bpf),         SCMP_SYS(keyctl),
                                  SCMP_SYS(add_key),     SCMP_SYS(request_key),
                                  SCMP_SYS(init_module), SCMP_SYS(finit_module),
                                  SCMP_SYS(kexec_load),  SCMP_SYS(io_uring_setup)};

}  // namespace

Status lock_before_loading(const std::vector<int>& object_fds) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("cannot give up privileges");
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  KW_CHECK_OK(confine_files(object_fds));
  KW_TRY(Filter filter, new_filter());
  for (int call : kWhileLoading) {
    if (seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) != 0)
      return fail(ErrorKind::kEnvironment, "cannot add a seccomp rule");
  }
  return install(filter);
}

Status lock_before_running() {
  KW_TRY(Filter filter, new_filter());
  for (int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    // No memory becomes executable any more.
    const scmp_arg_cmp not_executable{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
    if (seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 1, &not_executable) != 0) {
      return fail(ErrorKind::kEnvironment, "cannot add a seccomp rule");
    }
  }
  return install(filter);
}

Status lock_beside_driver() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("cannot give up privileges");
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  KW_CHECK_OK(confine_writes());
  Filter filter(seccomp_init(SCMP_ACT_ALLOW),
                [](scmp_filter_ctx context) { seccomp_release(context); });
  if (!filter) return fail(ErrorKind::kEnvironment, "cannot make a seccomp filter");
  if (seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1) != 0)
    return fail(ErrorKind::kEnvironment, "seccomp cannot bind all threads");
  for (int call : kNeverBesideDriver) {
    if (seccomp_rule_add(filter.get(), SCMP_ACT_KILL_PROCESS, call, 0) != 0)
      return fail(ErrorKind::kEnvironment, "cannot add a seccomp rule");
  }
  return install(filter);
}

}  // namespace kernelwright::referee
