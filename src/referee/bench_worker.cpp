// SPDX-License-Identifier: Apache-2.0
#include "referee/bench_worker.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/channel.h"
#include "base/elapsed.h"
#include "base/message.h"
#include "kernelwright/runtime.h"
#include "referee/bench_device.h"
#include "referee/bench_protocol.h"
#include "referee/fault_report.h"

namespace kernelwright::referee {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kMaxCalls = 1 << 20;

Error runtime_error(const char* what) {
  return Error{ErrorKind::kInput, fmt::format("{}: {}", what, kw_last_error()), {}};
}

struct LoadedProgram {
  kw_program* program = nullptr;
  std::map<std::string, int> inputs, outputs;
  std::vector<const void*> prepared_weights;
  bool prepared = false;
};

// Pointers of a binding in the runtime's order.
struct Bound {
  int program = 0;
  std::vector<const void*> inputs, weights;
  std::vector<void*> outputs, states;
  struct Restore {
    void* to;
    const void* from;
    size_t bytes;
  };
  std::vector<Restore> restores;
  std::vector<double> scalars;
};

struct MappedArena {
  std::unique_ptr<BenchDevice::View> view;
  ArenaLayout layout;
  int count() const { return static_cast<int>(layout.regions.size()); }
  uint64_t tensor_bytes(int region) const {
    return layout.regions.at(static_cast<size_t>(region)).tensor_bytes;
  }
};

class BenchWorker {
 public:
  explicit BenchWorker(Result<std::unique_ptr<BenchDevice>> device) {
    if (device)
      device_ = std::move(*device);
    else
      no_device_ = device.error().text();
  }
  // No candidate was ever at work here: the machine is at fault.
  bool unable() const { return !device_; }
  // After a failed request: the device is of no use any more, by the candidate's doing.
  bool crashed() { return device_ && device_->lost(); }

  Result<json> serve(base::Channel::Message& message) {
    const std::string op = message.body.value("op", "");
    if (op == "load") return load(message);
    if (op == "map") return map(message);
    if (op == "unmap") return unmap(message.body);
    if (op == "bind") return bind(message.body);
    if (op == "run") return run(message.body);
    if (op == "time") return time(message.body);
    if (op == "repeat") return repeat(message.body);
    if (op == "profile") return profile(message.body);
    if (op == "ping") return json{{"ok", true}};
    return fail(ErrorKind::kInput, "unknown request");
  }

 private:
  Result<json> load(base::Channel::Message& message) {
    if (!programs_.empty()) return fail(ErrorKind::kInput, "already loaded");
    bench::Load request;
    KW_CHECK_OK(bench::decode(message.body, request));
    if (message.fds.size() != request.programs.size())
      return fail(ErrorKind::kInput, "one object per program is needed");
    if (!device_) return fail(ErrorKind::kEnvironment, no_device_);
    std::vector<int> fds;
    fds.reserve(message.fds.size());
    for (const base::UniqueFd& fd : message.fds) fds.push_back(fd.get());
    KW_CHECK_OK(device_->lock_before_loading(fds));
    KW_CHECK_OK(device_->configure(request.threads, request.flush_bytes));
    bench::Loaded reply;
    for (size_t i = 0; i < request.programs.size(); ++i) {
      bench::Load::Program& source = request.programs[i];
      LoadedProgram loaded;
      const std::string path = fmt::format("/proc/self/fd/{}", fds[i]);
      if (kw_open(source.json.c_str(), path.c_str(), &loaded.program) != 0)
        return fail(runtime_error("load"));
      loaded.inputs = std::move(source.inputs);
      loaded.outputs = std::move(source.outputs);
      reply.workspace_bytes.push_back(kw_workspace_bytes(loaded.program));
      programs_.push_back(std::move(loaded));
    }
    message.fds.clear();
    KW_CHECK_OK(device_->start());
    KW_CHECK_OK(device_->lock_before_running());
    return bench::encode(reply);
  }

  Result<json> map(base::Channel::Message& message) {
    bench::Map request;
    KW_CHECK_OK(bench::decode(message.body, request));
    if (!device_) return fail(ErrorKind::kEnvironment, no_device_);
    MappedArena arena;
    KW_TRY(arena.view, device_->map(message.fds, request.layout, request.writable));
    arena.layout = std::move(request.layout);
    for (int i = 0; i < arena.count() && i < static_cast<int>(request.labels.size()); ++i) {
      know_tensor(arena.view->tensor(i), arena.tensor_bytes(i),
                  request.labels[static_cast<size_t>(i)]);
    }
    arenas_.insert_or_assign(request.id, std::move(arena));
    return json{{"ok", true}};
  }

  Result<json> unmap(const json& body) {
    bench::Unmap request;
    KW_CHECK_OK(bench::decode(body, request));
    auto arena = arenas_.find(request.id);
    if (arena == arenas_.end()) return fail(ErrorKind::kInput, "unknown arena");
    KW_CHECK_OK(device_->finish());
    for (int i = 0; i < arena->second.count(); ++i) forget_tensor(arena->second.view->tensor(i));
    arenas_.erase(arena);
    return json{{"ok", true}};
  }

  std::byte* resolve(const bench::TensorRef& ref) const {
    auto arena = arenas_.find(ref.arena);
    if (arena == arenas_.end() || ref.region < 0 || ref.region >= arena->second.count())
      return nullptr;
    return arena->second.view->tensor(ref.region);
  }

  Result<json> bind(const json& body) {
    bench::Binding request;
    KW_CHECK_OK(bench::decode(body, request));
    if (request.program < 0 || request.program >= static_cast<int>(programs_.size()))
      return fail(ErrorKind::kInput, "unknown program");
    const LoadedProgram& program = programs_[static_cast<size_t>(request.program)];
    Bound bound;
    bound.program = request.program;
    bound.scalars = request.scalars;
    auto place = [&](const char* role, int i, const std::vector<bench::TensorRef>& refs,
                     const std::map<std::string, int>& slots) -> std::byte* {
      auto slot = slots.find(kw_buffer_name(program.program, role, i));
      if (slot == slots.end() || slot->second < 0 || slot->second >= static_cast<int>(refs.size()))
        return nullptr;
      return resolve(refs[static_cast<size_t>(slot->second)]);
    };
    for (int i = 0; i < kw_buffer_count(program.program, "input"); ++i) {
      bound.inputs.push_back(place("input", i, request.inputs, program.inputs));
      if (!bound.inputs.back()) return fail(ErrorKind::kInput, "an input is not bound");
    }
    for (int i = 0; i < kw_buffer_count(program.program, "output"); ++i) {
      bound.outputs.push_back(place("output", i, request.outputs, program.outputs));
      if (!bound.outputs.back()) return fail(ErrorKind::kInput, "an output is not bound");
    }
    for (int i = 0; i < kw_buffer_count(program.program, "weight"); ++i) {
      const std::string name = kw_buffer_name(program.program, "weight", i);
      const std::byte* found = nullptr;
      for (const auto& [weight, ref] : request.weights) {
        if (weight == name) found = resolve(ref);
      }
      if (!found) return fail(ErrorKind::kInput, "weight '" + name + "' is not bound");
      bound.weights.push_back(found);
    }
    for (int i = 0; i < kw_buffer_count(program.program, "state"); ++i) {
      const std::string name = kw_buffer_name(program.program, "state", i);
      std::byte* to = nullptr;
      for (const bench::Binding::State& state : request.states) {
        if (state.name != name) continue;
        to = resolve(state.to);
        const std::byte* from = resolve(state.from);
        if (to && from)
          bound.restores.push_back(
              {to, from, arenas_.at(state.to.arena).tensor_bytes(state.to.region)});
      }
      if (!to) return fail(ErrorKind::kInput, "state '" + name + "' is not bound");
      bound.states.push_back(to);
    }
    bindings_.insert_or_assign(request.id, std::move(bound));
    return json{{"ok", true}};
  }

  Result<Bound*> find(int binding) {
    auto it = bindings_.find(binding);
    if (it == bindings_.end()) return fail(ErrorKind::kInput, "unknown binding");
    return &it->second;
  }

  kw_program* program_of(const Bound& bound) const {
    return programs_[static_cast<size_t>(bound.program)].program;
  }

  // True when prepare ran.
  Result<bool> ready(const Bound& bound) {
    LoadedProgram& program = programs_[static_cast<size_t>(bound.program)];
    if (program.prepared && program.prepared_weights == bound.weights) return false;
    if (kw_prepare_on(program.program, bound.weights.data(), device_->stream()) != 0)
      return fail(runtime_error("prepare"));
    KW_CHECK_OK(device_->finish());
    program.prepared = true;
    program.prepared_weights = bound.weights;
    return true;
  }

  Status restore(const Bound& bound) {
    for (const Bound::Restore& state : bound.restores)
      KW_CHECK_OK(device_->copy(static_cast<std::byte*>(state.to),
                                static_cast<const std::byte*>(state.from), state.bytes));
    return {};
  }

  Status poison(const Bound& bound, int byte) {
    if (kw_poison_scratch_on(program_of(bound), byte, device_->stream()) != 0)
      return fail(runtime_error("poison"));
    return {};
  }

  BenchDevice::Call call(Bound& bound, decltype(&kw_run_on) make = &kw_run_on) {
    return [this, &bound, make]() -> Status {
      const kw_status status =
          make(program_of(bound), bound.inputs.data(), bound.outputs.data(), bound.states.data(),
               bound.scalars.empty() ? nullptr : bound.scalars.data(), device_->stream());
      if (status != 0) return fail(runtime_error("run"));
      return {};
    };
  }

  Result<json> run(const json& body) {
    bench::Run request;
    KW_CHECK_OK(bench::decode(body, request));
    KW_TRY(Bound * bound, find(request.binding));
    bench::Ran reply;
    const auto start = Clock::now();
    KW_TRY(reply.prepared, ready(*bound));
    if (reply.prepared) reply.prepare_ms = base::ms_since(start);
    KW_CHECK_OK(restore(*bound));
    if (request.poison >= 0) KW_CHECK_OK(poison(*bound, request.poison));
    KW_CHECK_OK(device_->finish());
    KW_TRY(reply.ms, device_->call(call(*bound)));
    const int zero = kw_sync_is_zero_on(program_of(*bound), device_->stream());
    if (zero < 0) return fail(runtime_error("sync"));
    reply.sync_is_zero = zero == 1;
    return bench::encode(reply);
  }

  Result<json> time(const json& body) {
    bench::Time request;
    KW_CHECK_OK(bench::decode(body, request));
    if (request.rounds < 1 || request.rounds > kMaxCalls || request.start < 0)
      return fail(ErrorKind::kInput, "rounds out of range");
    bench::Timed reply;
    const size_t count = request.contenders.size();
    reply.ms.resize(count);
    reply.latency_ms.assign(count, 0);
    reply.last.assign(count, -1);
    for (const auto& bindings : request.contenders) {
      if (bindings.empty()) return fail(ErrorKind::kInput, "a contender without bindings");
      KW_TRY(Bound * bound, find(bindings.front()));
      KW_CHECK_OK(ready(*bound));
    }
    for (int round = 0; round < request.rounds; ++round) {
      for (size_t turn = 0; turn < count; ++turn) {
        const size_t who = (request.start + round) % 2 == 0 ? turn : count - 1 - turn;
        const auto& bindings = request.contenders[who];
        const int binding = bindings[static_cast<size_t>(request.start + round) % bindings.size()];
        KW_TRY(Bound * bound, find(binding));
        KW_CHECK_OK(ready(*bound));
        const bool last = round + 1 == request.rounds;
        if (last && device_->hides_launch()) {
          KW_CHECK_OK(make_fresh(*bound, round));
          KW_TRY(reply.latency_ms[who], device_->cold_latency(call(*bound)));
        }
        KW_CHECK_OK(make_fresh(*bound, round));
        KW_TRY(const double ms, device_->cold_call(call(*bound)));
        if (last && !device_->hides_launch()) reply.latency_ms[who] = ms;
        reply.ms[who].push_back(ms);
        reply.last[who] = binding;
      }
    }
    device_->rest();
    return bench::encode(reply);
  }

  // What an earlier call left in states and scratch must not save this one any work.
  Status make_fresh(const Bound& bound, int round) {
    KW_CHECK_OK(restore(bound));
    return poison(bound, 0x7b ^ (round & 1));
  }

  Result<json> repeat(const json& body) {
    bench::Repeat request;
    KW_CHECK_OK(bench::decode(body, request));
    if (request.calls < 1 || request.calls > kMaxCalls)
      return fail(ErrorKind::kInput, "calls out of range");
    KW_TRY(Bound * bound, find(request.binding));
    KW_CHECK_OK(ready(*bound));
    bench::Repeated reply;
    const BenchDevice::Call one = call(*bound);
    KW_TRY(reply.ms, device_->calls(
                         [&]() -> Status {
                           KW_CHECK_OK(restore(*bound));
                           return one();
                         },
                         request.calls));
    device_->rest();
    return bench::encode(reply);
  }

  Result<json> profile(const json& body) {
    bench::Profile request;
    KW_CHECK_OK(bench::decode(body, request));
    KW_TRY(Bound * bound, find(request.binding));
    KW_CHECK_OK(ready(*bound));
    KW_CHECK_OK(make_fresh(*bound, 0));
    KW_TRY(const double whole, device_->cold_call(call(*bound, &kw_profile_on)));
    (void)whole;
    bench::Profiled reply;
    reply.ms.resize(static_cast<size_t>(kw_step_count(program_of(*bound))));
    if (kw_step_times(program_of(*bound), reply.ms.data()) != 0)
      return fail(runtime_error("profile"));
    reply.counts.resize(reply.ms.size());
    if (kw_step_counts(program_of(*bound), reply.counts.data()) != 0)
      return fail(runtime_error("profile"));
    device_->rest();
    return bench::encode(reply);
  }

  std::unique_ptr<BenchDevice> device_;
  std::string no_device_;
  std::vector<LoadedProgram> programs_;
  std::map<int, MappedArena> arenas_;
  std::map<int, Bound> bindings_;
};

}  // namespace

int bench_worker_main(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  base::Channel channel{base::UniqueFd(fd)};
  report_faults(fd);
  const char* target = std::getenv("KERNELWRIGHT_BENCH_TARGET");
  Result<std::unique_ptr<BenchDevice>> device =
      target && *target ? cuda_bench_device(target) : host_bench_device();
  BenchWorker worker(std::move(device));
  if (!channel.send(json{{"ok", true}, {"abi", kw_runtime_abi()}})) return 0;
  for (;;) {
    auto message = channel.receive(std::chrono::hours(24));
    if (!message) return 0;
    json reply;
    const json number = message->body.value("number", json(0));
    try {
      auto result = worker.serve(*message);
      if (result) {
        reply = std::move(*result);
      } else {
        reply = json{{"ok", false}, {"error", result.error().text()}};
        if (worker.crashed()) reply["crashed"] = true;
        if (worker.unable()) reply["unable"] = true;
      }
    } catch (const std::exception& e) {
      reply = json{{"ok", false}, {"error", e.what()}};
    }
    reply["number"] = number;
    if (!channel.send(reply)) return 0;
  }
}

}  // namespace kernelwright::referee
