// SPDX-License-Identifier: Apache-2.0
#include "referee/workers.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "base/file.h"
#include "base/sanitizers.h"
#include "program/program.h"

namespace kernelwright::referee {
namespace {

// Under a checking tool a call takes up to hundreds of times as long.
constexpr uint64_t kMostUnderTools = 256ull << 20;
constexpr double kToolSeconds = 60;
// Address space that a worker needs for itself: code, stacks of its threads, allocator arenas.
constexpr uint64_t kOwnAddressSpace = 2ull << 30;

}  // namespace

BenchClient::Clock::time_point deadline_after(double seconds) {
  using Clock = BenchClient::Clock;
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// Most that one draw maps into a worker, with its weights and the outputs of a program.
uint64_t Workers::draw_bytes() const {
  uint64_t once = 1 << 20;
  for (const auto* slots :
       {&interface_.inputs, &interface_.weights, &interface_.outputs, &interface_.states}) {
    for (const auto& slot : *slots) once += static_cast<uint64_t>(slot.type.bytes()) + (16 << 10);
  }
  return once;
}

BenchOptions Workers::bench_options() const {
  BenchOptions options;
  options.executable = options_.bench_worker;
  options.environment = space_.worker_environment();
  if (space_.bounds_memory())
    options.memory_bytes = options_.memory_bytes + kOwnAddressSpace + options_.flush_bytes +
                           draw_bytes() * static_cast<uint64_t>(options_.search_draws + 8);
  if (base::kShadowMemory) options.memory_bytes = 0;
  return options;
}

Result<Session> Workers::take() {
  if (!pool_) pool_.emplace(bench_options(), space_.spare_workers());
  KW_TRY(BenchClient client, pool_->take());
  client.set_deadline(deadline_after(options_.deadline_s));
  return Session(std::move(client));
}

void Workers::refill() {
  if (!pool_) pool_.emplace(bench_options(), space_.spare_workers());
  pool_->refill();
}

Reply<void> Workers::load(Session& session, const std::vector<const Prepared*>& programs) const {
  bench::Load request;
  request.threads = options_.threads;
  request.flush_bytes = options_.flush_bytes;
  std::vector<base::UniqueFd> objects;
  std::vector<int> fds;
  for (const Prepared* prepared : programs) {
    bench::Load::Program program;
    program.json = program::print_program(prepared->candidate.program);
    for (const program::Buffer& buffer : prepared->candidate.program.buffers) {
      if (buffer.role == program::BufferRole::kInput) program.inputs[buffer.name] = buffer.index;
      if (buffer.role == program::BufferRole::kOutput) program.outputs[buffer.name] = buffer.index;
    }
    request.programs.push_back(std::move(program));
    objects.emplace_back(::open(prepared->object->path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!objects.back()) {
      const Status failed =
          fail(ErrorKind::kEnvironment,
               fmt::format("cannot open a built object: {}", std::strerror(errno)));
      return as_reply(failed);
    }
    fds.push_back(objects.back().get());
  }
  auto loaded = session.client().load(request, fds);
  if (!loaded) return tl::unexpected(loaded.error());
  return {};
}

Trouble Workers::located(Trouble trouble, const Prepared& candidate,
                         const std::vector<const BankDraw*>& draws, uint64_t seed) const {
  const std::vector<std::string> environment = space_.careful_environment();
  if (trouble.kind != VerdictKind::kCrashed || trouble.ours || environment.empty() ||
      trouble.reason.find("kernel: ") != std::string::npos)
    return trouble;
  const std::vector<std::string> launched =
      program::launched_kernels(candidate.candidate.program.run);
  const std::set<std::string> kernels(launched.begin(), launched.end());
  if (kernels.size() == 1) {
    trouble.reason = fmt::format("kernel '{}': {}", *kernels.begin(), trouble.reason);
    return trouble;
  }
  BenchOptions options = bench_options();
  options.environment = environment;
  auto client = BenchClient::start(options);
  if (!client) return trouble;
  Session session(std::move(*client));
  session.client().set_deadline(deadline_after(options_.deadline_s));
  if (!load(session, {&candidate})) return trouble;
  auto judged = JudgedProgram::create(session, space_, 0, interface_, seed);
  if (!judged) return trouble;
  for (const BankDraw* draw : draws) {
    auto call = judged->verify(*draw, 0xff);
    if (call) continue;
    if (call.error().kind == VerdictKind::kCrashed && !call.error().ours) return call.error();
    break;
  }
  return trouble;
}

Result<std::string> Workers::checked_by_tools(const Prepared& candidate, const BankDraw& draw,
                                              uint64_t seed, std::string& notes) const {
  const std::vector<CheckTool> tools = space_.check_tools();
  if (tools.empty()) return "";
  if (draw_bytes() > kMostUnderTools) {
    notes += "too large to run under the checking tools\n";
    return "";
  }
  struct Check {
    base::TempDir folder;
    Session session;
    std::optional<JudgedProgram> judged;
  };
  std::vector<std::unique_ptr<Check>> checks;
  for (const CheckTool& tool : tools) {
    KW_TRY(base::TempDir folder, base::TempDir::create("kw-check"));
    BenchOptions options = bench_options();
    options.environment.emplace_back("KERNELWRIGHT_BENCH_UNDER_TOOL=1");
    options.command = tool.command;
    for (std::string& word : options.command) {
      if (word == "{log}") word = (folder.path() / "log").string();
    }
    KW_TRY(BenchClient client, BenchClient::start(options));
    auto check = std::unique_ptr<Check>(
        new Check{std::move(folder), Session(std::move(client)), std::nullopt});
    check->session.client().set_deadline(deadline_after(kToolSeconds));
    KW_TRY(check->judged, JudgedProgram::create(check->session, space_, 0, interface_, seed));
    checks.push_back(std::move(check));
  }
  std::vector<std::thread> threads;
  threads.reserve(checks.size());
  for (const auto& check : checks) {
    threads.emplace_back([&, one = check.get()] {
      if (load(one->session, {&candidate})) {
        if (auto bound = one->judged->binding(draw))
          static_cast<void>(one->session.client().run({*bound, 0xff}));
      }
      one->session.client().finish(std::chrono::seconds(10));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string refusal;
  for (size_t i = 0; i < tools.size(); ++i) {
    const auto text = base::read_file(checks[i]->folder.path() / "log");
    const auto finding = text ? tools[i].first_finding(*text) : std::nullopt;
    if (finding && finding->empty()) continue;
    const std::string line = fmt::format("{}: {}", tools[i].name, finding.value_or("no result"));
    if (finding && tools[i].refuses && refusal.empty())
      refusal = line;
    else
      notes += line + "\n";
  }
  return refusal;
}

}  // namespace kernelwright::referee
