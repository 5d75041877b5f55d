// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "agent/keys.h"
#include "agent/ledger.h"
#include "agent/provider.h"
#include "agent/transcript.h"
#include "base/result.h"

namespace kernelwright::agent {

struct BooksOptions {
  // RUN/transcript.jsonl; when it is there, the run goes on: what it holds is neither sent nor paid
  // again. Empty: nothing is kept.
  std::filesystem::path transcript;
  // Another run's transcript: every reply comes from it, nothing is sent. Empty: none.
  std::filesystem::path replay;
  PriceTable prices;
  double max_cost_usd = 0;  // 0: no bound
};

// What a run sent, what came back and what it cost: ledger and transcript in step. All providers of
// a run share one. Each request is reserved and on the disk before it is sent; each reply is on
// the disk before anybody acts upon it. Thread-safe.
class Books {
 public:
  static Result<std::shared_ptr<Books>> open(BooksOptions options);

  bool offline() const { return offline_; }
  // Models whose replies the replayed transcript holds, in order of appearance.
  const std::vector<std::string>& replayed_models() const { return replayed_models_; }
  // kUsage: --max-cost is set and the model has no price.
  Status admit(const std::string& model) const { return ledger_.admit(model); }

  // The recorded reply to this turn, if there is one that was not handed out yet. A turn is known
  // by model, conversation and number, and the n-th request for it gets the n-th reply.
  Result<std::optional<Reply>> recorded(const std::string& model, const Request& request);

  struct Sending {
    int64_t id = 0;
    std::string model;
    Picodollars reserved = 0;
  };
  // Before each attempt. `input_tokens`: more than the request can have. `attempt_of`: id of the
  // first attempt, or 0. Errors as Ledger::reserve.
  Result<Sending> begin(const std::string& model, const Request& request, int64_t input_tokens,
                        int64_t attempt_of, const CancelToken& cancel);
  // After each attempt. A reply that does not count its tokens costs the maximum.
  Status answered(const Sending& sending, const Reply& reply);
  Status failed(const Sending& sending, const Error& error, bool may_be_charged);

  // Appends to the transcript: what tools did, verdicts, decisions. `what` is any JSON.
  Status note(const std::string& kind, const nlohmann::json& what);
  Costs costs() const { return ledger_.costs(); }

 private:
  explicit Books(BooksOptions options) : ledger_(std::move(options.prices), options.max_cost_usd) {}
  using Turn = std::tuple<std::string, std::string, int>;  // model, conversation, number
  struct Sent {                                            // the conversation's last request
    std::vector<std::string> system;
    size_t messages = 0;
    std::string messages_id;
  };

  Status load_own(const std::filesystem::path& path);
  Status load_replay(const std::filesystem::path& path);
  nlohmann::json request_record(const std::string& model, const Request& request);
  Status append(const nlohmann::json& record);

  Ledger ledger_;
  bool offline_ = false;
  std::vector<std::string> replayed_models_;
  std::mutex mutex_;
  std::optional<TranscriptWriter> writer_;
  int64_t last_id_ = 0;
  std::map<Turn, std::vector<Reply>> own_, replay_;
  std::map<Turn, size_t> handed_out_;
  std::map<std::string, Sent> sent_;  // by conversation
};

}  // namespace kernelwright::agent
