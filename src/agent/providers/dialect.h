// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "agent/conversation.h"
#include "agent/model_spec.h"
#include "agent/provider.h"
#include "base/result.h"

namespace kernelwright::agent {

// What a reply may hold at most. A model's word is data: it is bounded before anything reads it.
struct ReplyLimits {
  size_t wire_bytes = 32 << 20;    // of the whole answer; a stream takes some 300 bytes per token
  size_t event_bytes = 8 << 20;    // one event of the stream
  size_t content_bytes = 4 << 20;  // text, arguments and opaque blocks together
  int tool_calls = 32;
  int nesting = 32;  // of a tool call's arguments; events may be twice as deep
};

// Reads the events of one streamed reply. An error ends the reply; `retriable` says whether the
// same request may do better (an overloaded server, a broken event).
class ReplyReader {
 public:
  virtual ~ReplyReader() = default;
  // One event of the stream; `name` is empty where a protocol names none.
  virtual Status event(std::string_view name, std::string_view data) = 0;
  // An answer that is one JSON object instead of a stream.
  virtual Status whole(std::string_view body) = 0;
  // After the last byte: kInput when the end of the reply is missing.
  virtual Result<Reply> finish() = 0;
  bool retriable() const { return retriable_; }

 protected:
  bool retriable_ = true;
};

// One protocol's way of writing a request and reading a reply.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual nlohmann::json request_body(const ModelSpec& spec, const Request& request) const = 0;
  virtual std::vector<std::string> headers(const std::string& key) const = 0;
  virtual std::unique_ptr<ReplyReader> reader(const ReplyLimits& limits,
                                              const EventSink& on_event) const = 0;
};
const Dialect& dialect_of(Protocol protocol);

// The parts of a reply while it arrives: keeps the bounds, checks what is complete.
class ReplyAssembly {
 public:
  ReplyAssembly(const ReplyLimits& limits, const EventSink& on_event)
      : limits_(limits), on_event_(on_event) {}

  // Appends to block `index`, which begins with the first call. Blocks come out in order of index.
  Status add_text(size_t index, std::string_view piece);
  Status begin_call(size_t index, std::string id, std::string name);
  Status add_arguments(size_t index, std::string_view piece);
  Status add_opaque(size_t index, const char* protocol, std::string json);
  bool holds(size_t index) const;
  bool has_calls() const { return calls_ > 0; }

  Usage usage;
  bool counted = false;  // the server said how many tokens it counted
  std::string model;

  // Checks the arguments of every call; one that is no object is `malformed`, for the model to
  // mend.
  Reply take(StopReason stop);
  // kInput when an event is no object.
  Result<nlohmann::json> parse_event(std::string_view data) const;

 private:
  struct Part {
    size_t index;
    Block block;
  };
  Part* find(size_t index);
  Status grow(size_t bytes);

  const ReplyLimits limits_;
  const EventSink& on_event_;
  std::vector<Part> parts_;
  size_t bytes_ = 0;
  int calls_ = 0;
};

// One line of a server's own words, bounded and printable, out of {"error": {"message": ...}} or
// what some servers send instead.
std::string server_message(const nlohmann::json& body);

}  // namespace kernelwright::agent
