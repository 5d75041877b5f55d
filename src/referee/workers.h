// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "referee/referee.h"
#include "referee/space.h"
#include "referee/verify.h"

namespace kernelwright::referee {

// The bench workers of one subject: what memory each may map, what it is started with, what is
// loaded into it. All references must outlive it.
class Workers {
 public:
  Workers(const program::Interface& interface, Space& space, const RefereeOptions& options)
      : interface_(interface), space_(space), options_(options) {}

  // A warm worker; the deadline of its candidate has begun.
  Result<Session> take();
  // Starts spares when none is left; called when no timing runs.
  void refill();

  // Loads programs; each is known by its place in `programs`.
  Reply<void> load(Session& session, const std::vector<const Prepared*>& programs) const;

  // A GPU says that something crashed, not what. The only kernel of a program needs no search;
  // among several, a worker that waits for every launch tells. `draws` are run until one crashes.
  Trouble located(Trouble trouble, const Prepared& candidate,
                  const std::vector<const BankDraw*>& draws, uint64_t seed) const;

  // Runs one call under each checking tool, side by side: nothing is timed. The first finding that
  // refuses, or "". Other findings are lines of `notes`. Right or wrong was judged without them.
  Result<std::string> checked_by_tools(const Prepared& candidate, const BankDraw& draw,
                                       uint64_t seed, std::string& notes) const;

 private:
  uint64_t draw_bytes() const;
  BenchOptions bench_options() const;

  const program::Interface& interface_;
  Space& space_;
  const RefereeOptions& options_;
  std::optional<BenchPool> pool_;
};

// When something that begins now and may take so long has to be done.
BenchClient::Clock::time_point deadline_after(double seconds);

}  // namespace kernelwright::referee
