// SPDX-License-Identifier: Apache-2.0
#include "referee/bench_client.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/message.h"

namespace kernelwright::referee {
namespace {

using nlohmann::json;

constexpr int kChannelFd = 3;

std::string signal_text(int signal) {
  const char* name = sigabbrev_np(signal);
  const char* meaning = sigdescr_np(signal);
  return fmt::format("SIG{} ({})", name ? name : std::to_string(signal),
                     meaning ? meaning : "unknown signal");
}

// The worker's words, cut to one short line.
std::string excerpt(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (text.size() > 300) text = text.substr(0, 300) + "...";
  return text;
}

template <class T>
Reply<T> decoded(tl::expected<json, Trouble> answer) {
  if (!answer) return tl::unexpected(answer.error());
  T value;
  if (Status status = bench::decode(*answer, value); !status) {
    return tl::unexpected(Trouble{VerdictKind::kCheated, "the judged process answered nonsense: " +
                                                             excerpt(status.error().message)});
  }
  return value;
}

}  // namespace

Result<BenchClient> BenchClient::start(const BenchOptions& options) {
  BenchClient client;
  KW_TRY(auto pair, base::Channel::create_pair());
  client.channel_ = std::move(pair.first);
  std::string executable = options.executable;
  if (executable.empty()) {
    std::error_code error;
    executable = std::filesystem::read_symlink("/proc/self/exe", error).string();
    if (error)
      return fail(ErrorKind::kEnvironment, "cannot find our own executable: " + error.message());
  }
  base::ProcessSpec spec;
  spec.argv = options.command;
  for (const std::string& word :
       {executable, std::string("bench-worker"), std::string("--fd"), std::to_string(kChannelFd)})
    spec.argv.push_back(word);
  // No secrets of the environment reach the judged process.
  spec.env = std::vector<std::string>{"LANG=C", "PATH=/usr/bin:/bin"};
  if (const char* path = std::getenv("LD_LIBRARY_PATH"))
    spec.env->push_back(std::string("LD_LIBRARY_PATH=") + path);
  for (const std::string& entry : options.environment) spec.env->push_back(entry);
  spec.limits.memory_bytes = options.memory_bytes;
  spec.inherit_fds = {{pair.second.get(), kChannelFd}};
  KW_TRY(client.process_, base::ChildProcess::spawn(spec));
  return client;
}

Trouble BenchClient::died() {
  const auto outcome = process_.wait_for(std::chrono::milliseconds(2000));
  channel_.close();
  if (!outcome) {
    process_.kill();
    return {VerdictKind::kCheated, "the judged process closed its channel and ran on"};
  }
  if (outcome->end == base::ProcessOutcome::End::kSignaled) {
    if (outcome->code == SIGSYS)
      return {VerdictKind::kCheated, "made a forbidden system call (SIGSYS)"};
    if (outcome->code == SIGKILL)
      return {VerdictKind::kCrashed, "killed (SIGKILL): out of memory?"};
    return {VerdictKind::kCrashed, signal_text(outcome->code)};
  }
  return {VerdictKind::kCrashed,
          fmt::format("the judged process exited with status {}", outcome->code)};
}

tl::expected<json, Trouble> BenchClient::receive() {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
  auto message = channel_.receive(std::max(left, std::chrono::milliseconds(1)));
  if (message) return std::move(message->body);
  if (message.error().message.find("timed out") != std::string::npos) {
    process_.kill();
    channel_.close();
    return tl::unexpected(
        Trouble{VerdictKind::kTimedOut,
                fmt::format("did not answer before the deadline of {:.3g} s", allowed_s_),
                {}});
  }
  if (message.error().message.find("closed") != std::string::npos) return tl::unexpected(died());
  process_.kill();
  return tl::unexpected(
      Trouble{VerdictKind::kCheated,
              "the judged process sent no proper message: " + excerpt(message.error().message)});
}

void BenchClient::greet(Clock::time_point deadline) {
  if (greeted_ || !channel_.open()) return;
  const auto before = std::exchange(deadline_, deadline);
  greeted_ = receive().has_value();
  deadline_ = before;
}

bool BenchClient::finish(std::chrono::milliseconds patience) {
  channel_.close();
  if (process_.wait_for(patience)) return true;
  process_.kill();
  return false;
}

tl::expected<json, Trouble> BenchClient::ask(const json& request, const std::vector<int>& fds) {
  if (!greeted_) {
    auto hello = receive();
    if (!hello) return hello;
    greeted_ = true;
  }
  const auto start = Clock::now();
  // A reply names its request by a number that nobody could know before.
  json numbered = request;
  const uint64_t number = std::random_device()() | 1;
  numbered["number"] = number;
  if (!channel_.send(numbered, fds)) return tl::unexpected(died());
  auto answer = receive();
  wall_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (!answer) return answer;
  bool ok = false, crashed = false, unable = false;
  std::string error = "no reason given";
  try {
    if (auto fault = answer->find("fault"); fault != answer->end() && fault->is_string()) {
      Trouble trouble = died();
      trouble.reason += ": " + excerpt(fault->get<std::string>());
      return tl::unexpected(trouble);
    }
    if (answer->value("number", uint64_t{0}) != number) {
      process_.kill();
      return tl::unexpected(
          Trouble{VerdictKind::kCheated, "a forged answer of the judged process"});
    }
    ok = answer->value("ok", false);
    if (!ok) error = answer->value("error", error);
    crashed = answer->value("crashed", false);
    unable = answer->value("unable", false);
  } catch (const json::exception&) {
    return tl::unexpected(Trouble{VerdictKind::kCheated, "the judged process answered nonsense"});
  }
  if (ok) return answer;
  // Before a candidate is loaded the process is ours, and so is its failure.
  if (unable && request.value("op", "") == "load") {
    Error error_of_ours{
        ErrorKind::kEnvironment, "a bench worker cannot start: " + excerpt(error), {}};
    return tl::unexpected(Trouble{VerdictKind::kCrashed, error_of_ours.message, error_of_ours});
  }
  // The process lives, its device context does not.
  if (crashed) {
    process_.kill();
    channel_.close();
    return tl::unexpected(Trouble{VerdictKind::kCrashed, excerpt(error)});
  }
  const bool loading = request.value("op", "") == "load";
  return tl::unexpected(
      Trouble{loading ? VerdictKind::kBuildFailed : VerdictKind::kRefused, excerpt(error)});
}

Reply<bench::Loaded> BenchClient::load(const bench::Load& request,
                                       const std::vector<int>& object_fds) {
  return decoded<bench::Loaded>(ask(bench::encode(request), object_fds));
}

Reply<int> BenchClient::map(const Arena& arena, bool writable) {
  bench::Map request;
  request.id = next_arena_++;
  request.writable = writable;
  request.layout = arena.layout();
  request.labels = arena.labels();
  auto answer = ask(bench::encode(request), arena.fds());
  if (!answer) return tl::unexpected(answer.error());
  return request.id;
}

Reply<void> BenchClient::unmap(int arena) {
  bench::Unmap request;
  request.id = arena;
  auto answer = ask(bench::encode(request));
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

Reply<int> BenchClient::bind(bench::Binding request) {
  request.id = next_binding_++;
  auto answer = ask(bench::encode(request));
  if (!answer) return tl::unexpected(answer.error());
  return request.id;
}

Reply<bench::Ran> BenchClient::run(const bench::Run& request) {
  return decoded<bench::Ran>(ask(bench::encode(request)));
}

Reply<void> BenchClient::settle() {
  const double before = wall_ms_;
  auto answer = ask({{"op", "ping"}});
  wall_ms_ += before;
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

Reply<bench::Timed> BenchClient::time(const bench::Time& request) {
  auto reply = decoded<bench::Timed>(ask(bench::encode(request)));
  if (!reply) return reply;
  if (auto settled = settle(); !settled) return tl::unexpected(settled.error());
  bool complete = reply->ms.size() == request.contenders.size();
  for (const auto& times : reply->ms)
    complete = complete && times.size() == static_cast<size_t>(request.rounds);
  if (!complete)
    return tl::unexpected(Trouble{
        VerdictKind::kCheated, "the judged process answered nonsense: times are missing", {}});
  return reply;
}

double BenchClient::waited_ms() const {
  double total = 0;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process_.pid()), error)) {
    std::ifstream file(task.path() / "schedstat");
    uint64_t ran = 0, waited = 0;
    if (file >> ran >> waited) total += static_cast<double>(waited) * 1e-6;
  }
  return total;
}

Reply<bench::Repeated> BenchClient::repeat(const bench::Repeat& request) {
  auto reply = decoded<bench::Repeated>(ask(bench::encode(request)));
  if (!reply) return reply;
  if (auto settled = settle(); !settled) return tl::unexpected(settled.error());
  return reply;
}

Reply<bench::Profiled> BenchClient::profile(const bench::Profile& request) {
  return decoded<bench::Profiled>(ask(bench::encode(request)));
}

Result<BenchClient> BenchPool::take() {
  const auto deadline = BenchClient::Clock::now() + std::chrono::seconds(30);
  for (BenchClient& spare : spare_) spare.greet(deadline);
  if (!spare_.empty()) {
    BenchClient client = std::move(spare_.back());
    spare_.pop_back();
    return client;
  }
  return BenchClient::start(options_);
}

void BenchPool::refill() {
  if (!spare_.empty()) return;
  for (int i = 0; i < spares_; ++i) {
    if (auto client = BenchClient::start(options_)) spare_.push_back(std::move(*client));
  }
}

}  // namespace kernelwright::referee
