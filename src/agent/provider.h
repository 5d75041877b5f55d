// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/conversation.h"
#include "agent/model_spec.h"
#include "base/result.h"

namespace kernelwright::agent {

struct ToolDefinition {
  std::string name;  // [a-zA-Z0-9_-]{1,64}
  std::string description;
  std::string schema;  // JSON Schema of the arguments, an object, as text
};

struct SystemBlock {
  std::string text;
  bool cache_mark = false;  // everything up to here (tools included) is worth caching
};

// One turn that a model is asked for.
struct Request {
  std::vector<SystemBlock> system;
  std::vector<Message> messages;  // the last one is the user's (text or tool results)
  std::vector<ToolDefinition> tools;
  int64_t max_output_tokens = 16384;  // reasoning included; what --max-cost reserves
  // Names the turn in a transcript: the same in a run and in its replay or resumption, so it holds
  // no time and no random number. Never sent. Turns of one conversation are counted by the number
  // of assistant messages. Required.
  std::string conversation;  // "conv1/synthesizer-2"
};

// While a reply arrives. `text` is what came, or one line on what happens.
struct Event {
  enum class Kind {
    kText,      // a piece of the reply's text
    kToolCall,  // a call has begun; `text` is the tool's name
    kRetry,     // waits and sends again; `text` says why
  } kind = Kind::kText;
  std::string text;
};
using EventSink = std::function<void(const Event&)>;  // may be empty; called on complete()'s thread

// Ends a request from another thread, or from a signal handler through its flag. Copies share it.
class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { flag_->store(true); }
  bool cancelled() const { return flag_->load(); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

// A model behind some server, or a transcript. Thread-safe: several conversations share one.
class Provider {
 public:
  virtual ~Provider() = default;
  virtual const ModelSpec& spec() const = 0;
  // Sends the whole conversation, retries what is worth it, returns a reply that is complete and
  // within bounds. Where there are books (books.h) the reply is recorded before this returns.
  //   kUsage, kEnvironment  no further request can succeed: no or refused key, no such model, no
  //                         such server, --max-cost reached (out_of_money())
  //   kInput                this request is refused, failed after all attempts, or its reply broke
  //   a
  //                         bound: end the conversation, others may go on
  //   kInterrupted          cancelled
  virtual Result<Reply> complete(const Request& request, const EventSink& on_event,
                                 const CancelToken& cancel) = 0;
};

// Whether complete() failed because --max-cost leaves no room for the request. A cheaper one may
// still fit.
bool out_of_money(const Error& error);

}  // namespace kernelwright::agent
