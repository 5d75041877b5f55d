// SPDX-License-Identifier: Apache-2.0
#include "referee/bench_worker.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/channel.h"
#include "base/message.h"
#include "kernelwright/runtime.h"
#include "referee/bench_protocol.h"
#include "referee/fault_report.h"
#include "referee/lockdown.h"

namespace kernelwright::referee {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kMaxCalls = 1 << 20;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

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

class BenchWorker {
 public:
  Result<json> serve(base::Channel::Message& message) {
    const std::string op = message.body.value("op", "");
    if (op == "load") return load(message);
    if (op == "map") return map(message);
    if (op == "unmap") return unmap(message.body);
    if (op == "bind") return bind(message.body);
    if (op == "run") return run(message.body);
    if (op == "time") return time(message.body);
    if (op == "repeat") return repeat(message.body);
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
    std::vector<int> fds;
    fds.reserve(message.fds.size());
    for (const base::UniqueFd& fd : message.fds) fds.push_back(fd.get());
    flush_bytes_ = request.flush_bytes;
    KW_CHECK_OK(lock_before_loading(fds));
    if (kw_set_threads(request.threads) != 0) return fail(runtime_error("threads"));
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
    if (kw_start_threads() != 0) return fail(runtime_error("threads"));
    KW_CHECK_OK(lock_before_running());
    return bench::encode(reply);
  }

  Result<json> map(base::Channel::Message& message) {
    bench::Map request;
    KW_CHECK_OK(bench::decode(message.body, request));
    if (message.fds.size() != 1) return fail(ErrorKind::kInput, "one descriptor is needed");
    KW_TRY(ArenaView view,
           ArenaView::map(message.fds[0].get(), std::move(request.layout), request.writable));
    for (int i = 0; i < view.count() && i < static_cast<int>(request.labels.size()); ++i) {
      know_tensor(view.tensor(i), view.tensor_bytes(i), request.labels[static_cast<size_t>(i)]);
    }
    arenas_.insert_or_assign(request.id, std::move(view));
    return json{{"ok", true}};
  }

  Result<json> unmap(const json& body) {
    bench::Unmap request;
    KW_CHECK_OK(bench::decode(body, request));
    auto arena = arenas_.find(request.id);
    if (arena == arenas_.end()) return fail(ErrorKind::kInput, "unknown arena");
    for (int i = 0; i < arena->second.count(); ++i) forget_tensor(arena->second.tensor(i));
    arenas_.erase(arena);
    return json{{"ok", true}};
  }

  std::byte* resolve(const bench::TensorRef& ref) const {
    auto arena = arenas_.find(ref.arena);
    if (arena == arenas_.end() || ref.region < 0 || ref.region >= arena->second.count())
      return nullptr;
    return arena->second.tensor(ref.region);
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

  // True when prepare ran.
  Result<bool> ready(const Bound& bound) {
    LoadedProgram& program = programs_[static_cast<size_t>(bound.program)];
    if (program.prepared && program.prepared_weights == bound.weights) return false;
    if (kw_prepare(program.program, bound.weights.data()) != 0)
      return fail(runtime_error("prepare"));
    program.prepared = true;
    program.prepared_weights = bound.weights;
    return true;
  }

  static void restore(const Bound& bound) {
    for (const Bound::Restore& state : bound.restores)
      std::memcpy(state.to, state.from, state.bytes);
  }

  Result<double> call(Bound& bound) {
    kw_program* program = programs_[static_cast<size_t>(bound.program)].program;
    const auto start = Clock::now();
    const kw_status status =
        kw_run(program, bound.inputs.data(), bound.outputs.data(), bound.states.data(),
               bound.scalars.empty() ? nullptr : bound.scalars.data());
    const double ms = ms_since(start);
    if (status != 0) return fail(runtime_error("run"));
    return ms;
  }

  Result<json> run(const json& body) {
    bench::Run request;
    KW_CHECK_OK(bench::decode(body, request));
    KW_TRY(Bound * bound, find(request.binding));
    bench::Ran reply;
    const auto start = Clock::now();
    KW_TRY(reply.prepared, ready(*bound));
    if (reply.prepared) reply.prepare_ms = ms_since(start);
    restore(*bound);
    kw_program* program = programs_[static_cast<size_t>(bound->program)].program;
    if (request.poison >= 0) kw_poison_scratch(program, request.poison);
    KW_TRY(reply.ms, call(*bound));
    reply.sync_is_zero = kw_sync_is_zero(program) == 1;
    return bench::encode(reply);
  }

  // Every line of a buffer larger than the caches is read: what was cached before is gone, and
  // nothing is left to be written back during the call. The baselines' side does the same
  // (python/kernelwright/baselines.py).
  void flush() {
    if (flush_.empty()) flush_.assign(flush_bytes_, std::byte{1});
    for (size_t i = 0; i < flush_.size(); i += 64)
      static_cast<void>(*static_cast<volatile const std::byte*>(&flush_[i]));
  }

  Result<json> time(const json& body) {
    bench::Time request;
    KW_CHECK_OK(bench::decode(body, request));
    if (request.rounds < 1 || request.rounds > kMaxCalls || request.start < 0)
      return fail(ErrorKind::kInput, "rounds out of range");
    bench::Timed reply;
    const size_t count = request.contenders.size();
    reply.ms.resize(count);
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
        restore(*bound);
        // What an earlier call left in the scratch must not save this one any work.
        kw_poison_scratch(programs_[static_cast<size_t>(bound->program)].program,
                          0x7b ^ (round & 1));
        flush();
        kw_wake();
        KW_TRY(double ms, call(*bound));
        reply.ms[who].push_back(ms);
        reply.last[who] = binding;
      }
    }
    kw_park();
    return bench::encode(reply);
  }

  Result<json> repeat(const json& body) {
    bench::Repeat request;
    KW_CHECK_OK(bench::decode(body, request));
    if (request.calls < 1 || request.calls > kMaxCalls)
      return fail(ErrorKind::kInput, "calls out of range");
    KW_TRY(Bound * bound, find(request.binding));
    KW_CHECK_OK(ready(*bound));
    bench::Repeated reply;
    for (int i = 0; i < request.calls; ++i) {
      restore(*bound);
      KW_TRY(double ms, call(*bound));
      reply.ms += ms;
    }
    kw_park();
    return bench::encode(reply);
  }

  std::vector<LoadedProgram> programs_;
  std::map<int, ArenaView> arenas_;
  std::map<int, Bound> bindings_;
  uint64_t flush_bytes_ = 0;
  std::vector<std::byte> flush_;  // made when it is first needed: a wrong candidate is never timed
};

}  // namespace

int bench_worker_main(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  base::Channel channel{base::UniqueFd(fd)};
  report_faults(fd);
  BenchWorker worker;
  if (!channel.send(json{{"ok", true}, {"abi", kw_runtime_abi()}})) return 0;
  for (;;) {
    auto message = channel.receive(std::chrono::hours(24));
    if (!message) return 0;
    json reply;
    const json number = message->body.value("number", json(0));
    try {
      auto result = worker.serve(*message);
      reply = result ? std::move(*result) : json{{"ok", false}, {"error", result.error().message}};
    } catch (const std::exception& e) {
      reply = json{{"ok", false}, {"error", e.what()}};
    }
    reply["number"] = number;
    if (!channel.send(reply)) return 0;
  }
}

}  // namespace kernelwright::referee
