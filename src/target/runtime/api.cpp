// SPDX-License-Identifier: Apache-2.0
// The C ABI of include/kernelwright/runtime.h. No exception leaves it.
#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <new>
#include <string>

#include "kernelwright/kernel_abi.h"
#include "kernelwright/runtime.h"
#include "target/cpu/runtime/counters.h"
#include "target/cpu/runtime/features.h"
#include "target/cpu/runtime/pool.h"
#include "target/cpu/runtime/traffic.h"
#include "target/runtime/loaded_program.h"

using kernelwright::runtime::LoadedProgram;

struct kw_program {
  std::unique_ptr<LoadedProgram> loaded;
  std::string description;
};

namespace {

thread_local std::string t_last_error;

kw_status failed(std::string message) noexcept {
  t_last_error = std::move(message);
  return 1;
}

// Runs `body`, which returns a Status, and turns whatever goes wrong into kw_last_error().
template <class Body>
kw_status guarded(Body&& body) noexcept {
  try {
    auto status = body();
    return status ? 0 : failed(status.error().text());
  } catch (const std::bad_alloc&) {
    return failed("out of memory");
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("unknown failure");
  }
}

const LoadedProgram::Port* port(const kw_program* program, const char* role, int i) {
  const auto* ports = program && role ? program->loaded->ports(role) : nullptr;
  if (!ports || i < 0 || static_cast<size_t>(i) >= ports->size()) return nullptr;
  return &(*ports)[static_cast<size_t>(i)];
}

kernelwright::Status present(const kw_program* program, const char* call) {
  if (!program)
    return kernelwright::fail(kernelwright::ErrorKind::kUsage,
                              fmt::format("{}: null program", call));
  return {};
}

}  // namespace

extern "C" {

int kw_runtime_abi(void) {
  return KW_RUNTIME_ABI;
}
const char* kw_last_error(void) {
  return t_last_error.c_str();
}
const char* kw_cpu_features(void) {
  return kernelwright::runtime::cpu_features();
}

kw_status kw_set_threads(int count) {
  return guarded([&]() -> kernelwright::Status {
    using kernelwright::runtime::Pool;
    if (count < 1 || count > Pool::kMaxThreads)
      return kernelwright::fail(
          kernelwright::ErrorKind::kUsage,
          fmt::format("thread count {} is outside 1..{}", count, Pool::kMaxThreads));
    kernelwright::runtime::process_pool().set_threads(count);
    return {};
  });
}
int kw_get_threads(void) {
  return kernelwright::runtime::process_pool().threads();
}
kw_status kw_start_threads(void) {
  return guarded([]() -> kernelwright::Status {
    kernelwright::runtime::process_pool().start();
    return {};
  });
}
void kw_park(void) {
  kernelwright::runtime::process_pool().park();
}
kw_status kw_wake(void) {
  return guarded([]() -> kernelwright::Status {
    kernelwright::runtime::process_pool().wake();
    return {};
  });
}

kw_status kw_move_traffic(const void* from, int64_t read_bytes, void* to, int64_t written_bytes) {
  return guarded([&]() -> kernelwright::Status {
    if ((!from && read_bytes >= 64) || (!to && written_bytes >= 64) || read_bytes < 0 ||
        written_bytes < 0 ||
        ((reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to)) & 63))
      return kernelwright::fail(kernelwright::ErrorKind::kUsage,
                                "kw_move_traffic: null or unaligned memory, or a negative size");
    kernelwright::runtime::move_traffic(kernelwright::runtime::process_pool(), from, read_bytes, to,
                                        written_bytes);
    return {};
  });
}

kw_status kw_open(const char* program_json, const char* object_path, kw_program** out) {
  return guarded([&]() -> kernelwright::Status {
    if (!program_json || !object_path || !out)
      return kernelwright::fail(kernelwright::ErrorKind::kUsage, "kw_open: null argument");
    *out = nullptr;
    KW_TRY(auto loaded, LoadedProgram::open(program_json, object_path));
    *out = new kw_program{std::move(loaded), {}};
    return {};
  });
}
void kw_close(kw_program* program) {
  delete program;
}

const char* kw_target(const kw_program* program) {
  return program ? program->loaded->target().c_str() : nullptr;
}

int kw_buffer_count(const kw_program* program, const char* role) {
  const auto* ports = program && role ? program->loaded->ports(role) : nullptr;
  return ports ? static_cast<int>(ports->size()) : -1;
}
const char* kw_buffer_name(const kw_program* program, const char* role, int i) {
  const auto* found = port(program, role, i);
  return found ? found->name.c_str() : nullptr;
}
int kw_buffer_index(const kw_program* program, const char* role, int i) {
  const auto* found = port(program, role, i);
  return found ? found->index : -1;
}
int64_t kw_buffer_bytes(const kw_program* program, const char* role, int i) {
  const auto* found = port(program, role, i);
  return found ? found->bytes : -1;
}
int64_t kw_workspace_bytes(const kw_program* program) {
  return program ? program->loaded->workspace_bytes() : 0;
}

kw_status kw_prepare_on(kw_program* program, const void* const* weights, void* stream) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_prepare_on"));
    return program->loaded->prepare(weights, stream);
  });
}
kw_status kw_prepare(kw_program* program, const void* const* weights) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_prepare"));
    KW_CHECK_OK(program->loaded->prepare(weights, nullptr));
    return program->loaded->wait(nullptr);
  });
}

kw_status kw_run_on(kw_program* program, const void* const* inputs, void* const* outputs,
                    void* const* states, const double* scalars, void* stream) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_run_on"));
    return program->loaded->run(inputs, outputs, states, scalars, stream);
  });
}
int kw_step_count(const kw_program* program) {
  return program ? program->loaded->step_count() : -1;
}
kw_status kw_profile_on(kw_program* program, const void* const* inputs, void* const* outputs,
                        void* const* states, const double* scalars, void* stream) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_profile_on"));
    return program->loaded->profile(inputs, outputs, states, scalars, stream);
  });
}
kw_status kw_step_times(kw_program* program, double* ms) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_step_times"));
    KW_TRY(const auto times, program->loaded->step_times());
    std::copy(times.begin(), times.end(), ms);
    return {};
  });
}
kw_status kw_step_counts(kw_program* program, kw_counts* counts) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_step_counts"));
    std::fill_n(counts, program->loaded->step_count(), kernelwright::runtime::kNothingCounted);
    const auto counted = program->loaded->step_counts();
    std::copy(counted.begin(), counted.end(), counts);
    return {};
  });
}
int kw_count_events(void) {
  return kernelwright::runtime::process_counters().open();
}
kw_status kw_run(kw_program* program, const void* const* inputs, void* const* outputs,
                 void* const* states, const double* scalars) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_run"));
    KW_CHECK_OK(program->loaded->run(inputs, outputs, states, scalars, nullptr));
    return program->loaded->wait(nullptr);
  });
}

kw_status kw_poison_scratch_on(kw_program* program, int byte, void* stream) {
  return guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_poison_scratch_on"));
    return program->loaded->poison_scratch(byte, stream);
  });
}
int kw_sync_is_zero_on(kw_program* program, void* stream) {
  bool zero = false;
  kw_status status = guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_sync_is_zero_on"));
    KW_TRY(zero, program->loaded->sync_is_zero(stream));
    return {};
  });
  return status != 0 ? -1 : zero ? 1 : 0;
}
void kw_poison_scratch(kw_program* program, int byte) {
  (void)kw_poison_scratch_on(program, byte, nullptr);
}
int kw_sync_is_zero(const kw_program* program) {
  return kw_sync_is_zero_on(const_cast<kw_program*>(program), nullptr) == 1 ? 1 : 0;
}

const char* kw_describe(kw_program* program) {
  kw_status status = guarded([&]() -> kernelwright::Status {
    KW_CHECK_OK(present(program, "kw_describe"));
    KW_TRY(program->description, program->loaded->describe());
    return {};
  });
  return status == 0 ? program->description.c_str() : nullptr;
}

}  // extern "C"
