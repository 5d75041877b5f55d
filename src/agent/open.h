// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/books.h"
#include "agent/keys.h"
#include "agent/provider.h"
#include "agent/providers/dialect.h"

namespace kernelwright::agent {

// How requests are sent.
struct ProviderSettings {
  KeyRing keys;
  double idle_s = 300;    // without a byte; a model may think for minutes before it speaks
  double total_s = 1800;  // one attempt in all
  int attempts = 5;
  double backoff_s = 1;         // before the second attempt, then doubled each time
  double longest_wait_s = 120;  // a server that asks for more patience has failed
  ReplyLimits limits;
  // More members of a request's body, by ModelSpec::text, as JSON objects.
  std::map<std::string, std::string> model_options;

  // From KERNELWRIGHT_KEY_FILE, KERNELWRIGHT_MODEL_TIMEOUT_S, KERNELWRIGHT_MODEL_ATTEMPTS and
  // KERNELWRIGHT_MODEL_OPTIONS, where the settings file has put its values as well. kUsage.
  static Result<ProviderSettings> from_environment();
};

// KERNELWRIGHT_PRICES.
Result<PriceTable> prices_from_environment();

// A model, ready to be asked. Said at once: kEnvironment without a key that it needs, kUsage
// without a price under --max-cost. `books` may be null (nothing recorded, nothing bounded); when
// they replay, the provider answers from them and knows no network.
Result<std::unique_ptr<Provider>> open_provider(const ModelSpec& spec,
                                                const ProviderSettings& settings,
                                                std::shared_ptr<Books> books);

}  // namespace kernelwright::agent
