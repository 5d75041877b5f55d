// SPDX-License-Identifier: Apache-2.0
#include "referee/referee.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "program/layout.h"
#include "program/validate.h"
#include "referee/bank.h"
#include "referee/bench_client.h"
#include "referee/timing.h"
#include "referee/tolerance.h"
#include "referee/verify.h"

namespace kernelwright::referee {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kRuntimeAlignment = 64;
// Two of own content for timing, one of another kind, one to spare.
constexpr int kDrawsAtPromotion = 4;
// Under a checking tool a call takes up to hundreds of times as long.
constexpr uint64_t kMostUnderTools = 256ull << 20;
constexpr double kToolSeconds = 60;
// Address space that a worker needs for itself: code, stacks of its threads, allocator arenas.
constexpr uint64_t kOwnAddressSpace = 2ull << 30;

Clock::time_point after(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

Verdict rejected(Tier tier, VerdictKind kind, std::string reason, std::string detail = "") {
  Verdict verdict;
  verdict.kind = kind;
  verdict.tier = tier;
  verdict.reason = std::move(reason);
  verdict.detail = std::move(detail);
  return verdict;
}

// The line of a compiler's log that a proposer should read first.
std::string first_error(const std::string& log) {
  size_t begin = 0;
  while (begin < log.size()) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    if (line.find("error") != std::string::npos) return line.substr(0, 300);
    begin = end + 1;
  }
  return log.substr(0, std::min<size_t>(log.find('\n'), 300));
}

std::string speedup_text(const Timing& timing) {
  return fmt::format("{:.4g} ms against {:.4g} ms of {}: {:.3g} times as fast ({:.3g} to {:.3g})",
                     timing.ms, timing.reference_ms, timing.reference, timing.speedup,
                     timing.speedup_low, timing.speedup_high);
}

int64_t count_steps(const std::vector<program::Step>& steps,
                    const std::map<std::string, int64_t>& params);
std::set<std::string> kernels_of(const std::vector<program::Step>& steps);

class RefereeImpl final : public Referee {
 public:
  RefereeImpl(Subject subject, target::Target& target, std::unique_ptr<Space> space,
              std::unique_ptr<DrawSource> source, RefereeOptions options)
      : subject_(std::move(subject)),
        target_(target),
        source_(std::move(source)),
        space_(std::move(space)),
        options_(std::move(options)),
        bank_(*source_, *space_, subject_.interface, options_.seed) {
    if (options_.flush_bytes == 0) options_.flush_bytes = space_->default_flush_bytes();
    timing_.flush_bytes = options_.flush_bytes;
    timing_.speed_of_light_s = options_.speed_of_light_s;
  }

  Status get_ready() override;
  Result<std::vector<Prepared>> prepare(std::vector<program::Candidate> batch) override;
  Result<Verdict> judge(const Prepared& candidate, const Prepared* incumbent,
                        double time_s) override;
  Result<Verdict> promote(const Prepared& candidate) override;
  Result<Baselines> baselines() override;

 private:
  Result<Prepared> prepare_one(program::Candidate candidate);
  void make_pool();
  Result<Session> start_session();
  uint64_t shared_bytes() const;
  Status fill_bank();
  Reply<void> load(Session& session, const std::vector<const Prepared*>& programs, int* os_error);
  Reply<void> verify_on_bank(JudgedProgram& judged, double too_slow_ms, double* slow_ms);
  std::vector<const BankDraw*> timed_draws(const JudgedProgram& judged) const;
  Result<std::vector<std::string>> ready_baselines();
  double launch_allowance(const Prepared& candidate) const {
    const program::Program& program = candidate.candidate.program;
    return space_->launch_allowance_ms(count_steps(program.run, program.params));
  }
  void keep_baselines(const std::vector<Timing>& timings);
  void note_conditions(Verdict& verdict);
  BenchOptions bench_options() const;
  Trouble located(Trouble trouble, const Prepared& candidate,
                  const std::vector<const BankDraw*>& draws);
  Result<std::string> checked_by_tools(const Prepared& candidate, const BankDraw& draw,
                                       std::string& notes);
  Result<Verdict> judge_right(const Prepared& candidate, const Prepared* incumbent, double time_s,
                              Session& session);

  Subject subject_;
  target::Target& target_;
  std::unique_ptr<DrawSource> source_;
  std::unique_ptr<Space> space_;
  RefereeOptions options_;
  Bank bank_;
  TimingOptions timing_;
  std::optional<BenchPool> pool_;
  std::optional<Baselines> baselines_;
  std::optional<std::vector<std::string>> ready_;
  std::vector<std::string> notes_;
  bool said_busy_ = false;
  std::map<std::string, double> known_ms_;  // medians of incumbents, by id
};

// Closes a verdict with what the judging has found out. Both must outlive it.
class Finisher {
 public:
  Finisher(Verdict& verdict, const JudgedProgram& judged) : verdict_(verdict), judged_(judged) {}
  Verdict operator()(VerdictKind kind, std::string reason) const {
    verdict_.kind = kind;
    verdict_.reason = std::move(reason);
    verdict_.candidate_error = judged_.candidate_error();
    verdict_.eager_error = judged_.eager_error();
    verdict_.prepare_ms = judged_.prepare_ms();
    verdict_.draws = judged_.draws();
    return verdict_;
  }
  // A failure of our own is no verdict.
  Result<Verdict> operator()(const Trouble& trouble) const {
    if (trouble.ours) return fail(*trouble.ours);
    return (*this)(trouble.kind, trouble.reason);
  }

 private:
  Verdict& verdict_;
  const JudgedProgram& judged_;
};

Result<Verdict> rejected(Tier tier, const Trouble& trouble) {
  if (trouble.ours) return fail(*trouble.ours);
  return rejected(tier, trouble.kind, trouble.reason);
}

// Launches, fills and copies of one call.
int64_t count_steps(const std::vector<program::Step>& steps,
                    const std::map<std::string, int64_t>& params) {
  int64_t count = 0;
  for (const program::Step& step : steps) {
    const auto* repeat = std::get_if<program::Repeat>(&step.action);
    count += repeat
                 ? evaluate(repeat->count, params).value_or(1) * count_steps(repeat->body, params)
                 : 1;
  }
  return count;
}

std::set<std::string> kernels_of(const std::vector<program::Step>& steps) {
  std::set<std::string> kernels;
  for (const program::Step& step : steps) {
    if (const auto* launch = std::get_if<program::Launch>(&step.action))
      kernels.insert(launch->kernel);
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action))
      kernels.merge(kernels_of(repeat->body));
  }
  return kernels;
}

Result<Prepared> RefereeImpl::prepare_one(program::Candidate candidate) {
  Prepared prepared;
  prepared.id = program::candidate_id(candidate);
  prepared.candidate = std::move(candidate);
  const program::Program& program = prepared.candidate.program;
  auto refuse = [&](VerdictKind kind, std::string reason, std::string detail = "") {
    prepared.early = rejected(Tier::kSearch, kind, std::move(reason), std::move(detail));
    return std::move(prepared);
  };
  if (program.target != target_.kind())
    return refuse(VerdictKind::kRefused, "the program is for target '" + program.target + "'");
  if (Status status = program::validate(program); !status)
    return refuse(VerdictKind::kRefused, "malformed: " + status.error().text());
  if (Status status = program::validate_against(program, subject_.interface); !status) {
    return refuse(VerdictKind::kRefused, "does not fit the region: " + status.error().text());
  }
  auto layout = program::lay_out(program, kRuntimeAlignment);
  if (!layout) return refuse(VerdictKind::kRefused, "malformed: " + layout.error().text());
  if (static_cast<uint64_t>(layout->total()) > options_.memory_bytes) {
    return refuse(VerdictKind::kRefused, fmt::format("needs {} bytes of workspace, the limit is {}",
                                                     layout->total(), options_.memory_bytes));
  }
  KW_TRY(auto built, target_.build(prepared.candidate, subject_.policy));
  if (!built) {
    return refuse(
        VerdictKind::kBuildFailed,
        built.error().timed_out ? "the compiler ran out of time" : first_error(built.error().log),
        built.error().log);
  }
  prepared.object = std::move(*built);
  if (auto reason = target_.screen(*prepared.object, program))
    return refuse(VerdictKind::kRefused, *reason);
  return prepared;
}

Result<std::vector<Prepared>> RefereeImpl::prepare(std::vector<program::Candidate> batch) {
  std::vector<std::optional<Result<Prepared>>> results(batch.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < batch.size(); i = next++)
      results[i] = prepare_one(std::move(batch[i]));
  };
  const size_t jobs =
      std::min<size_t>(batch.size(), std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (size_t i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::vector<Prepared> out;
  for (auto& result : results) {
    if (!*result) return tl::unexpected(result->error());
    out.push_back(std::move(**result));
  }
  return out;
}

// Most that is ever mapped into a worker: draws with their weights, outputs of two programs.
uint64_t RefereeImpl::shared_bytes() const {
  uint64_t once = 1 << 20;
  for (const auto* slots : {&subject_.interface.inputs, &subject_.interface.weights,
                            &subject_.interface.outputs, &subject_.interface.states}) {
    for (const auto& slot : *slots) once += static_cast<uint64_t>(slot.type.bytes()) + (16 << 10);
  }
  return once * static_cast<uint64_t>(options_.search_draws + 8);
}

Status RefereeImpl::fill_bank() {
  if (!bank_.draws().empty()) return {};
  const auto began = Clock::now();
  KW_CHECK_OK(bank_.fill(space_->most_draws(subject_.interface, options_.search_draws)));
  base::debug(fmt::format("referee: {} draws of {} in {:.2f} s", bank_.draws().size(),
                          subject_.region,
                          std::chrono::duration<double>(Clock::now() - began).count()));
  return {};
}

void RefereeImpl::note_conditions(Verdict& verdict) {
  verdict.conditions = space_->watched();
  if (!verdict.conditions) return;
  if (const std::string& busy = verdict.conditions->busy; !busy.empty()) {
    verdict.detail += fmt::format("the device is used by others as well: {}\n", busy);
    if (!said_busy_) base::warn(fmt::format("the device is busy ({}): times may be off", busy));
    said_busy_ = true;
  }
  if (const std::string& held = verdict.conditions->throttled; !held.empty())
    verdict.detail += fmt::format("the device was throttled during the timing: {}\n", held);
}

BenchOptions RefereeImpl::bench_options() const {
  BenchOptions options;
  options.executable = options_.bench_worker;
  options.environment = space_->worker_environment();
  if (space_->bounds_memory())
    options.memory_bytes =
        options_.memory_bytes + kOwnAddressSpace + options_.flush_bytes + shared_bytes();
#if defined(__SANITIZE_ADDRESS__)
  options.memory_bytes = 0;  // its shadow alone takes terabytes of address space
#endif
  return options;
}

void RefereeImpl::make_pool() {
  if (!pool_) pool_.emplace(bench_options(), space_->spare_workers());
}

// A GPU says that something crashed, not what. The only kernel of a program needs no search; among
// several, a worker that waits for every launch tells.
Trouble RefereeImpl::located(Trouble trouble, const Prepared& candidate,
                             const std::vector<const BankDraw*>& draws) {
  const std::vector<std::string> environment = space_->careful_environment();
  if (trouble.kind != VerdictKind::kCrashed || trouble.ours || environment.empty() ||
      trouble.reason.find("kernel: ") != std::string::npos)
    return trouble;
  const std::set<std::string> kernels = kernels_of(candidate.candidate.program.run);
  if (kernels.size() == 1) {
    trouble.reason = fmt::format("kernel '{}': {}", *kernels.begin(), trouble.reason);
    return trouble;
  }
  BenchOptions options = bench_options();
  options.environment = environment;
  auto client = BenchClient::start(options);
  if (!client) return trouble;
  Session session(std::move(*client));
  session.client().set_deadline(after(options_.deadline_s));
  int os_error = 0;
  if (!load(session, {&candidate}, &os_error)) return trouble;
  auto judged = JudgedProgram::create(session, *space_, 0, subject_.interface, bank_.random());
  if (!judged) return trouble;
  for (const BankDraw* draw : draws) {
    auto call = judged->verify(*draw, 0xff);
    if (call) continue;
    if (call.error().kind == VerdictKind::kCrashed && !call.error().ours) return call.error();
    break;
  }
  return trouble;
}

// Runs one call under each tool, side by side: nothing is timed. The first finding that refuses, or
// "". Right or wrong was judged without the tools.
Result<std::string> RefereeImpl::checked_by_tools(const Prepared& candidate, const BankDraw& draw,
                                                  std::string& notes) {
  const std::vector<CheckTool> tools = space_->check_tools();
  if (tools.empty()) return "";
  if (shared_bytes() / static_cast<uint64_t>(options_.search_draws + 8) > kMostUnderTools) {
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
    check->session.client().set_deadline(after(kToolSeconds));
    KW_TRY(check->judged,
           JudgedProgram::create(check->session, *space_, 0, subject_.interface, bank_.random()));
    checks.push_back(std::move(check));
  }
  std::vector<std::thread> threads;
  threads.reserve(checks.size());
  for (const auto& check : checks) {
    threads.emplace_back([&, one = check.get()] {
      int os_error = 0;
      if (load(one->session, {&candidate}, &os_error)) {
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

Result<Session> RefereeImpl::start_session() {
  make_pool();
  KW_TRY(BenchClient client, pool_->take());
  client.set_deadline(after(options_.deadline_s));
  return Session(std::move(client));
}

Status RefereeImpl::get_ready() {
  KW_CHECK_OK(fill_bank());
  make_pool();
  pool_->refill();
  return {};
}

Reply<void> RefereeImpl::load(Session& session, const std::vector<const Prepared*>& programs,
                              int* os_error) {
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
      *os_error = errno;
      return tl::unexpected(Trouble{});
    }
    fds.push_back(objects.back().get());
  }
  auto loaded = session.client().load(request, fds);
  if (!loaded) return tl::unexpected(loaded.error());
  return {};
}

Reply<void> RefereeImpl::verify_on_bank(JudgedProgram& judged, double too_slow_ms,
                                        double* slow_ms) {
  std::vector<const BankDraw*> order;
  for (const auto& draw : bank_.draws()) order.push_back(draw.get());
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[bank_.random() % (i + 1)]);
  // Two draws come again at the end, over scratch as it was left: the same content must give the
  // same bits.
  const size_t all = order.size();
  order.push_back(order[bank_.random() % all]);
  order.push_back(order[0]);
  for (size_t i = 0; i < order.size(); ++i) {
    const int poison = i >= all ? -1 : i % 2 == 0 ? 0xff : 0x7b;
    auto call = judged.verify(*order[i], poison);
    if (!call) return tl::unexpected(call.error());
    // Far behind after two right calls: right or not, it is of no use.
    if (i == 0) continue;
    if (too_slow_ms > 0 && call->ms > too_slow_ms) {
      *slow_ms = call->ms;
      return {};
    }
  }
  return {};
}

std::vector<const BankDraw*> RefereeImpl::timed_draws(const JudgedProgram& judged) const {
  std::vector<const BankDraw*> draws;
  for (const auto& draw : bank_.draws()) {
    if (draw->kind == torch::DrawKind::kOwn && judged.verified(*draw)) draws.push_back(draw.get());
  }
  return draws;
}

Result<Verdict> RefereeImpl::judge_right(const Prepared& candidate, const Prepared* incumbent,
                                         double time_s, Session& session) {
  std::vector<const Prepared*> programs = {&candidate};
  if (incumbent) programs.push_back(incumbent);
  int os_error = 0;
  auto loaded = load(session, programs, &os_error);
  if (os_error != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot open a built object: {}", std::strerror(os_error)));
  if (!loaded) return rejected(Tier::kSearch, loaded.error());

  KW_TRY(JudgedProgram judged,
         JudgedProgram::create(session, *space_, 0, subject_.interface, bank_.random()));
  Verdict verdict;
  verdict.tier = Tier::kSearch;
  verdict.build_s = candidate.object->seconds;
  verdict.kernels = candidate.object->kernels;
  const Finisher finish(verdict, judged);
  double known = 0;
  if (incumbent) {
    if (auto it = known_ms_.find(incumbent->id); it != known_ms_.end()) known = it->second;
  }
  double slow_ms = 0;
  if (auto verified = verify_on_bank(judged, known > 0 ? known * 8 + 2 : 0, &slow_ms); !verified) {
    std::vector<const BankDraw*> draws;
    for (const auto& draw : bank_.draws()) draws.push_back(draw.get());
    return finish(located(verified.error(), candidate, draws));
  }
  if (slow_ms > 0) {
    Timing timing;
    timing.ms = timing.latency_ms = slow_ms;
    timing.reference = incumbent->id;
    timing.reference_ms = known;
    timing.speedup = timing.speedup_high = known / slow_ms;
    timing.speedup_low = 0;
    timing.rounds = 1;
    verdict.timing = timing;
    return finish(VerdictKind::kSlower,
                  fmt::format("{:.4g} ms in a first call against {:.4g} ms: not measured further",
                              slow_ms, known));
  }

  std::optional<JudgedProgram> other;
  if (incumbent) {
    KW_TRY(other, JudgedProgram::create(session, *space_, 1, subject_.interface, bank_.random()));
  }
  timing_.bound_s = time_s > 0 ? time_s : options_.search_time_s;
  timing_.launch_allowance_ms = launch_allowance(candidate);
  space_->watch();
  auto timing = time_in_worker(session, judged, other ? &*other : nullptr, timed_draws(judged),
                               timing_, bank_.random());
  if (!timing) return finish(timing.error());
  if (incumbent) timing->reference = incumbent->id;
  verdict.timing = *timing;
  note_conditions(verdict);
  known_ms_[candidate.id] = timing->ms;
  if (!incumbent)
    return finish(VerdictKind::kAccepted, fmt::format("right; {:.4g} ms", timing->ms));
  const bool faster = timing->speedup_low > kTolerances.noticeable;
  return finish(faster ? VerdictKind::kAccepted : VerdictKind::kSlower, speedup_text(*timing));
}

Result<Verdict> RefereeImpl::judge(const Prepared& candidate, const Prepared* incumbent,
                                   double time_s) {
  if (candidate.early) return *candidate.early;
  if (!candidate.object)
    return fail(ErrorKind::kInternal, "a candidate without an object cannot be judged");
  if (incumbent && !incumbent->object)
    return fail(ErrorKind::kInternal, "the incumbent has no object");
  KW_CHECK_OK(fill_bank());
  KW_TRY(Session session, start_session());
  auto verdict = judge_right(candidate, incumbent, time_s, session);
  pool_->refill();
  return verdict;
}

Result<std::vector<std::string>> RefereeImpl::ready_baselines() {
  if (ready_) return *ready_;
  std::vector<std::string> names;
  for (const char* name : {"eager", "compile"}) {
    KW_TRY(auto ready, source_->prepare_baseline(name));
    if (ready.available) {
      names.emplace_back(name);
    } else {
      notes_.push_back(fmt::format("{}: {}", name, ready.note));
    }
  }
  if (names.empty()) return fail(ErrorKind::kEnvironment, "no baseline runs here");
  ready_ = names;
  return names;
}

void RefereeImpl::keep_baselines(const std::vector<Timing>& timings) {
  Baselines baselines;
  baselines.notes = notes_;
  for (const Timing& timing : timings) {
    baselines.ms.emplace_back(timing.reference, timing.reference_ms);
    if (baselines.best_name.empty() || timing.reference_ms < baselines.best_ms) {
      baselines.best_name = timing.reference;
      baselines.best_ms = timing.reference_ms;
    }
  }
  baselines_ = std::move(baselines);
}

Result<Baselines> RefereeImpl::baselines() {
  if (baselines_) return *baselines_;
  KW_TRY(std::vector<std::string> names, ready_baselines());
  std::vector<std::vector<double>> ms(names.size());
  const auto began = Clock::now();
  for (const std::string& name : names) {
    KW_TRY(auto warm, source_->time_baseline(name, 2, options_.flush_bytes));
    static_cast<void>(warm);
  }
  for (int round = 0; round < 12 && (round < 3 || Clock::now() < began + std::chrono::seconds(3));
       ++round) {
    for (size_t i = 0; i < names.size(); ++i) {
      KW_TRY(const torch::Samples times, source_->time_baseline(names[i], 2, options_.flush_bytes));
      ms[i].insert(ms[i].end(), times.ms.begin(), times.ms.end());
    }
  }
  std::vector<Timing> timings(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    timings[i].reference = names[i];
    timings[i].reference_ms = median(ms[i]);
  }
  keep_baselines(timings);
  return *baselines_;
}

Result<Verdict> RefereeImpl::promote(const Prepared& candidate) {
  if (candidate.early) {
    Verdict verdict = *candidate.early;
    verdict.tier = Tier::kPromotion;
    return verdict;
  }
  if (!candidate.object)
    return fail(ErrorKind::kInternal, "a candidate without an object cannot be judged");
  // A clean build: the cached object is put aside, and the new one must have the same identity.
  std::error_code ignored;
  std::filesystem::remove(candidate.object->path, ignored);
  KW_TRY(Prepared rebuilt, prepare_one(candidate.candidate));
  if (rebuilt.early) {
    Verdict verdict = *rebuilt.early;
    verdict.tier = Tier::kPromotion;
    return verdict;
  }
  if (rebuilt.object->key != candidate.object->key) {
    return rejected(Tier::kPromotion, VerdictKind::kBuildFailed,
                    "a clean build has another identity: compiler or flags changed during the run");
  }

  KW_TRY(std::vector<std::string> names, ready_baselines());
  // Of a region that fills the memory, one draw is held at a time: the bank makes room, and the
  // draw for timing comes last.
  const bool roomy = space_->most_draws(subject_.interface, kDrawsAtPromotion) == kDrawsAtPromotion;
  if (!roomy) bank_.clear();
  Bank fresh(*source_, *space_, subject_.interface, options_.seed == 0 ? 0 : bank_.random() | 1);
  KW_TRY(Session session, start_session());
  int os_error = 0;
  auto loaded = load(session, {&rebuilt}, &os_error);
  if (os_error != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot open a built object: {}", std::strerror(os_error)));
  if (!loaded) return rejected(Tier::kPromotion, loaded.error());
  KW_TRY(JudgedProgram judged,
         JudgedProgram::create(session, *space_, 0, subject_.interface, fresh.random()));

  Verdict verdict;
  verdict.tier = Tier::kPromotion;
  verdict.build_s = rebuilt.object->seconds;
  verdict.kernels = rebuilt.object->kernels;
  const Finisher finish(verdict, judged);

  // Own content first: those draws are kept for timing. All others come one by one, since the
  // expected results of a large region fill the memory.
  std::vector<std::unique_ptr<BankDraw>> own;
  std::vector<torch::DrawKind> kinds = all_draw_kinds();
  kinds.insert(roomy ? kinds.begin() : kinds.end(), torch::DrawKind::kOwn);
  for (size_t k = 0; k < kinds.size(); ++k) {
    const torch::DrawKind kind = kinds[k];
    KW_TRY(std::unique_ptr<BankDraw> draw, fresh.draw(kind));
    if (!draw) continue;
    if (draw->ill_conditioned)
      verdict.detail +=
          fmt::format("the {} draw is ill-conditioned\n", torch::draw_kind_name(kind));
    session.client().set_deadline(after(options_.deadline_s));
    std::vector<const BankDraw*> order = {draw.get()};
    if (!own.empty()) order.push_back(own[fresh.random() % own.size()].get());
    order.push_back(draw.get());
    // The last call of each draw finds scratch as another draw left it.
    const int poison = static_cast<int>(fresh.random() % 2) == 0 ? 0xff : 0x7b;
    for (size_t i = 0; i < order.size(); ++i) {
      auto call = judged.verify(*order[i], i + 1 == order.size() ? -1 : poison);
      if (!call) return finish(located(call.error(), rebuilt, {draw.get()}));
    }
    if (kind == torch::DrawKind::kOwn && (roomy || k + 1 == kinds.size())) {
      own.push_back(std::move(draw));
      continue;
    }
    judged.forget(*draw);
    auto dropped = session.forget(*draw->given);
    if (dropped && draw->weights.use_count() == 1) dropped = session.forget(*draw->weights);
    if (!dropped) return finish(dropped.error());
  }

  if (!own.empty()) {
    KW_TRY(const std::string finding, checked_by_tools(rebuilt, *own.back(), verdict.detail));
    if (!finding.empty()) return finish(VerdictKind::kRefused, finding);
  }

  if (own.empty())
    return fail(ErrorKind::kEnvironment, "the workload's own inputs cannot be drawn again");
  std::vector<const BankDraw*> timed;
  timed.reserve(own.size());
  for (const auto& draw : own) timed.push_back(draw.get());
  session.client().set_deadline(after(options_.deadline_s + 10 * options_.promotion_time_s));
  timing_.bound_s = options_.promotion_time_s;
  timing_.launch_allowance_ms = launch_allowance(rebuilt);
  space_->watch();
  KW_TRY(auto timings,
         time_against_baselines(session, judged, *source_, names, timed, timing_, fresh.random()));
  if (!timings) return finish(timings.error());
  verdict.baselines = *timings;
  note_conditions(verdict);
  keep_baselines(*timings);
  for (const Timing& timing : *timings) {
    if (timing.reference == baselines_->best_name) verdict.timing = timing;
  }
  pool_->refill();
  const bool faster = verdict.timing->speedup_low > kTolerances.noticeable;
  return finish(faster ? VerdictKind::kAccepted : VerdictKind::kSlower,
                speedup_text(*verdict.timing));
}

}  // namespace

program::Interface interface_of(const graph::Graph& graph, const graph::Region& region) {
  program::Interface interface;
  auto slot = [&](int id, std::string name) {
    graph::TensorType type = graph.value(id).type;
    type.strides.clear();
    return program::Interface::Slot{std::move(name), std::move(type)};
  };
  for (int id : region.inputs) interface.inputs.push_back(slot(id, ""));
  for (int id : region.weights) interface.weights.push_back(slot(id, graph.value(id).weight_name));
  for (int id : region.outputs) interface.outputs.push_back(slot(id, ""));
  for (const graph::Mutation& mutation : region.mutations)
    interface.states.push_back(slot(mutation.value, mutation.weight_name));
  return interface;
}

Result<std::unique_ptr<Referee>> Referee::open(Subject subject, target::Target& target,
                                               torch::Worker& torch, RefereeOptions options) {
  auto source = torch_draw_source(torch, subject.region, target.name() != "cpu");
  return open_with(std::move(subject), target, std::move(source), std::move(options));
}

Result<std::unique_ptr<Referee>> Referee::open_with(Subject subject, target::Target& target,
                                                    std::unique_ptr<DrawSource> source,
                                                    RefereeOptions options) {
  if (std::string reason = target.absent_reason(); !reason.empty())
    return fail(ErrorKind::kEnvironment, reason);
  if (!target.supports(subject.policy)) {
    return fail(ErrorKind::kUsage, fmt::format("target {} does not support policy {}",
                                               target.name(), target::policy_name(subject.policy)));
  }
  KW_TRY(auto space, open_space(target.name()));
  return std::unique_ptr<Referee>(new RefereeImpl(std::move(subject), target, std::move(space),
                                                  std::move(source), std::move(options)));
}

}  // namespace kernelwright::referee
