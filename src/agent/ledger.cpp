// SPDX-License-Identifier: Apache-2.0
#include "agent/ledger.h"

#include <fmt/core.h>

#include <chrono>
#include <cmath>

namespace kernelwright::agent {

Ledger::Ledger(PriceTable prices, double max_cost_usd)
    : prices_(std::move(prices)),
      bound_(static_cast<Picodollars>(std::llround(max_cost_usd * kPicodollarsPerUsd))) {}

Status Ledger::admit(const std::string& model) const {
  if (bound_ == 0 || prices_.find(model)) return {};
  return fail(
      ErrorKind::kUsage,
      fmt::format("--max-cost needs the price of model {}: add it to the setting 'prices'", model));
}

Result<Picodollars> Ledger::reserve(const std::string& model, int64_t input_tokens,
                                    int64_t output_tokens, const CancelToken& cancel) {
  KW_CHECK_OK(admit(model));
  const auto price = prices_.find(model);
  const Picodollars most = price ? price->at_most(input_tokens, output_tokens) : 0;
  std::unique_lock lock(mutex_);
  if (bound_ > 0) {
    while (costs_.spent + costs_.reserved + most > bound_) {
      if (cancel.cancelled()) return fail(ErrorKind::kInterrupted, "cancelled");
      if (costs_.spent + most > bound_)
        return fail(Error{
            ErrorKind::kEnvironment,
            fmt::format("the next request to {} may cost {:.4f} USD, and {:.4f} of "
                        "{:.4f} USD are left",
                        model, static_cast<double>(most) / kPicodollarsPerUsd,
                        static_cast<double>(bound_ - costs_.spent) / kPicodollarsPerUsd,
                        static_cast<double>(bound_) / kPicodollarsPerUsd),
            {}}.with("bound", "--max-cost"));
      // A cancel token tells nobody: look at it now and then.
      changed_.wait_for(lock, std::chrono::milliseconds(100));
    }
  }
  costs_.reserved += most;
  return most;
}

void Ledger::free_reserved(Picodollars reserved) {
  costs_.reserved -= reserved;
  changed_.notify_all();
}

void Ledger::settle(const std::string& model, Picodollars reserved, const Usage& usage) {
  const auto price = prices_.find(model);
  const std::lock_guard lock(mutex_);
  if (price)
    costs_.spent += price->of(usage);
  else
    costs_.all_priced = false;
  costs_.usage += usage;
  ++costs_.requests;
  free_reserved(reserved);
}

void Ledger::forfeit(const std::string& model, Picodollars reserved) {
  const bool priced = prices_.find(model).has_value();
  const std::lock_guard lock(mutex_);
  costs_.all_priced = costs_.all_priced && priced;
  costs_.spent += reserved;
  costs_.at_maximum += reserved;
  ++costs_.requests;
  free_reserved(reserved);
}

void Ledger::release(Picodollars reserved) {
  const std::lock_guard lock(mutex_);
  free_reserved(reserved);
}

void Ledger::carry_over(const std::string& model, const Usage& usage, Picodollars cost) {
  const bool priced = prices_.find(model).has_value();
  const std::lock_guard lock(mutex_);
  costs_.spent += cost;
  costs_.usage += usage;
  ++costs_.requests;
  costs_.all_priced = costs_.all_priced && (priced || cost > 0);
}

void Ledger::carry_over_maximum(Picodollars cost) {
  const std::lock_guard lock(mutex_);
  costs_.spent += cost;
  costs_.at_maximum += cost;
  ++costs_.requests;
}

Picodollars Ledger::price_of(const std::string& model, const Usage& usage) const {
  const auto price = prices_.find(model);
  return price ? price->of(usage) : 0;
}

Costs Ledger::costs() const {
  const std::lock_guard lock(mutex_);
  return costs_;
}

}  // namespace kernelwright::agent
