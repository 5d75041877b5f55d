// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "program/program.h"
#include "referee/bank.h"
#include "referee/bench_client.h"

namespace kernelwright::referee {

// One bench worker with the arenas that it has mapped.
class Session {
 public:
  explicit Session(BenchClient client) : client_(std::move(client)) {}
  BenchClient& client() { return client_; }
  Reply<int> mapped(const Arena& arena, bool writable);
  Reply<void> forget(const Arena& arena);

 private:
  BenchClient client_;
  std::map<const Arena*, int> ids_;
};

// One loaded program with outputs of its own, judged call by call. All checks are made on the
// coordinator's side of the shared memory.
class JudgedProgram {
 public:
  static Result<JudgedProgram> create(Session& session, Space& space, int program,
                                      const program::Interface& interface, uint64_t seed);

  struct Call {
    double ms = 0;
    uint64_t hash = 0;  // of all outputs and states
  };
  // One call over poisoned outputs and scratch (poison below 0: scratch as the last call left it,
  // which is what a user's process does), compared with the oracle. A Trouble of kind kWrong says
  // what is wrong. Calls on the same draw must agree bit for bit.
  Reply<Call> verify(const BankDraw& draw, int poison);
  // What a timed call left in the outputs must be what a verified call on that draw gave.
  Reply<void> verify_left(const BankDraw& draw);
  // Overwrites outputs, so that nothing old can pass for new.
  Reply<void> poison_outputs(int byte);
  // Binding of this program to a draw, made on first use.
  Reply<int> binding(const BankDraw& draw);
  void forget(const BankDraw& draw);
  bool verified(const BankDraw& draw) const { return hashes_.contains(&draw); }

  const std::optional<ErrorFigures>& candidate_error() const { return candidate_error_; }
  const std::optional<ErrorFigures>& eager_error() const { return eager_error_; }
  double prepare_ms() const { return prepare_ms_; }
  int draws() const { return static_cast<int>(hashes_.size()) + forgotten_; }

 private:
  JudgedProgram(Session& session, int program, program::Interface interface,
                std::shared_ptr<Arena> outputs)
      : session_(&session),
        program_(program),
        interface_(std::move(interface)),
        outputs_(std::move(outputs)) {}
  Reply<void> check_bands() const;
  Reply<void> check_answers(const BankDraw& draw);
  int region_of(const BankDraw::Expected& expected) const;
  Reply<uint64_t> hash() const;

  Session* session_;
  int program_;
  program::Interface interface_;
  std::shared_ptr<Arena> outputs_;  // outputs by index, then states
  std::map<const BankDraw*, int> bindings_;
  std::map<const BankDraw*, uint64_t> hashes_;
  std::optional<ErrorFigures> candidate_error_, eager_error_;
  double prepare_ms_ = 0;
  int forgotten_ = 0;
};

}  // namespace kernelwright::referee
