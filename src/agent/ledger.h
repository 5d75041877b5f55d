// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "agent/prices.h"
#include "agent/provider.h"
#include "base/result.h"

namespace kernelwright::agent {

// What a run has cost so far.
struct Costs {
  Usage usage;                 // of all replies that said it
  Picodollars spent = 0;       // settled, and what is charged at its maximum
  Picodollars at_maximum = 0;  // the part of `spent` whose true price nobody said
  Picodollars reserved = 0;    // of requests in flight
  int64_t requests = 0;        // that were paid for
  bool all_priced = true;      // false: a model without a price took part, `spent` is not all

  double usd() const { return static_cast<double>(spent) / kPicodollarsPerUsd; }
};

// Keeps spending below --max-cost: each request's maximum is reserved before it is sent, so the sum
// of what was spent and what is in flight never passes the bound. Thread-safe.
class Ledger {
 public:
  // `max_cost_usd` 0: no bound; then models without a price are counted in tokens alone.
  Ledger(PriceTable prices, double max_cost_usd);

  // kUsage: a bound is set and the model has no price.
  Status admit(const std::string& model) const;
  // Takes the maximum of one request out of the bound and returns it; waits while requests in
  // flight may give enough back. kEnvironment, with out_of_money(): it does not fit. kInterrupted.
  Result<Picodollars> reserve(const std::string& model, int64_t input_tokens, int64_t output_tokens,
                              const CancelToken& cancel);
  // Ends a reservation: by what the reply says it cost; by all of it (nobody can say); by nothing.
  void settle(const std::string& model, Picodollars reserved, const Usage& usage);
  void forfeit(const std::string& model, Picodollars reserved);
  void release(Picodollars reserved);

  // From a transcript: what an earlier process of this run spent.
  void carry_over(const std::string& model, const Usage& usage, Picodollars cost);
  void carry_over_maximum(Picodollars cost);

  Picodollars price_of(const std::string& model, const Usage& usage) const;
  Costs costs() const;

 private:
  void free_reserved(Picodollars reserved);

  const PriceTable prices_;
  const Picodollars bound_;  // 0: none
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Costs costs_;
};

}  // namespace kernelwright::agent
