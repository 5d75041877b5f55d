// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/conversation.h"
#include "agent/prices.h"
#include "agent/provider.h"
#include "base/result.h"
#include "base/shared_memory.h"

namespace kernelwright::agent {

// One request of a transcript and what became of it.
struct Exchange {
  int64_t id = 0;          // 1, 2, ... in the order in which requests were sent
  int64_t attempt_of = 0;  // the first attempt, when this one repeats it; else 0
  std::string model;       // ModelSpec::text
  std::string conversation;
  int turn = 0;
  std::string started, ended;         // UTC
  std::vector<SystemBlock> system;    // when it differs from the conversation's request before
  std::vector<Message> new_messages;  // since the conversation's request before
  Picodollars reserved = 0;
  Picodollars cost = 0;
  bool at_maximum = false;  // charged in full: it was in flight when the process died, or broke off
  bool replayed = false;    // from another run's transcript: cost nothing
  std::optional<Reply> reply;
  std::string error;  // empty: answered, or in flight
};

// Something else that a run wants to remember between its exchanges.
struct Note {
  std::string kind;
  std::string json;
  std::string time;   // UTC
  int64_t after = 0;  // id of the last exchange begun before it
};

struct TranscriptContent {
  std::vector<Exchange> exchanges;
  std::vector<Note> notes;
};

// Reads RUN/transcript.jsonl. A torn last line, as a kill may leave it, is no part of it; kInput on
// any other line that is off. Requests without an end are charged at their maximum.
Result<TranscriptContent> read_transcript(const std::filesystem::path& path);

// Appends to a transcript: JSON lines, each on the disk (fdatasync) before the call returns. Mode
// 600. Thread-safe; a second process that opens it is refused.
class TranscriptWriter {
 public:
  // Creates it, or goes on with it after cutting off a torn last line.
  static Result<TranscriptWriter> open(const std::filesystem::path& path);
  Status append(const nlohmann::json& record);

 private:
  explicit TranscriptWriter(base::UniqueFd fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)), mutex_(std::make_unique<std::mutex>()) {}
  base::UniqueFd fd_;
  std::string path_;
  std::unique_ptr<std::mutex> mutex_;
};

}  // namespace kernelwright::agent
