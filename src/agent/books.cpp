// SPDX-License-Identifier: Apache-2.0
#include "agent/books.h"

#include <fmt/core.h>
#include <sys/time.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

// "2026-11-21T10:00:00.123Z"
std::string now() {
  timeval tv{};
  ::gettimeofday(&tv, nullptr);
  std::tm parts{};
  ::gmtime_r(&tv.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     tv.tv_usec / 1000);
}

int turn_of(const Request& request) {
  return static_cast<int>(
      std::count_if(request.messages.begin(), request.messages.end(),
                    [](const Message& m) { return m.role == Role::kAssistant; }));
}

std::string identity_of(const std::vector<Message>& messages, size_t count) {
  base::IdentityBuilder builder;
  for (size_t i = 0; i < count; ++i)
    builder.add(to_json(messages[i]).dump(-1, ' ', false, json::error_handler_t::replace));
  return builder.hex();
}

}  // namespace

Result<std::shared_ptr<Books>> Books::open(BooksOptions options) {
  const auto transcript = options.transcript, replay = options.replay;
  std::shared_ptr<Books> books(new Books(std::move(options)));
  if (!replay.empty()) KW_CHECK_OK(books->load_replay(replay));
  if (!transcript.empty()) KW_CHECK_OK(books->load_own(transcript));
  return books;
}

Status Books::load_own(const std::filesystem::path& path) {
  // The writer first: it holds the lock, and cuts off a torn line.
  KW_TRY(writer_, TranscriptWriter::open(path));
  KW_TRY(TranscriptContent content, read_transcript(path));
  last_id_ = static_cast<int64_t>(content.exchanges.size());
  for (Exchange& exchange : content.exchanges) {
    if (exchange.replayed) {
      // Handed out again from here.
    } else if (exchange.at_maximum) {
      ledger_.carry_over_maximum(exchange.cost);
    } else if (exchange.reply) {
      ledger_.carry_over(exchange.model, exchange.reply->usage, exchange.cost);
    }
    if (exchange.reply)
      own_[{exchange.model, exchange.conversation, exchange.turn}].push_back(
          std::move(*exchange.reply));
  }
  return {};
}

Status Books::load_replay(const std::filesystem::path& path) {
  KW_TRY(TranscriptContent content, read_transcript(path));
  offline_ = true;
  for (Exchange& exchange : content.exchanges) {
    if (!exchange.reply) continue;
    if (std::find(replayed_models_.begin(), replayed_models_.end(), exchange.model) ==
        replayed_models_.end())
      replayed_models_.push_back(exchange.model);
    replay_[{exchange.model, exchange.conversation, exchange.turn}].push_back(
        std::move(*exchange.reply));
  }
  return {};
}

Result<std::optional<Reply>> Books::recorded(const std::string& model, const Request& request) {
  const std::lock_guard lock(mutex_);
  const Turn turn{model, request.conversation, turn_of(request)};
  size_t& next = handed_out_[turn];
  const auto in = [&](const std::map<Turn, std::vector<Reply>>& from) -> const Reply* {
    const auto it = from.find(turn);
    return it == from.end() || next >= it->second.size() ? nullptr : &it->second[next];
  };
  const Reply* found = in(own_);
  const bool copied = found == nullptr;
  if (copied) found = in(replay_);
  if (found == nullptr) return std::nullopt;
  Reply reply = *found;
  reply.replayed = true;
  if (copied && writer_) {
    json record = request_record(model, request);
    record["reserved"] = 0;
    KW_CHECK_OK(append(record));
    KW_CHECK_OK(append({{"type", "reply"},
                        {"id", last_id_},
                        {"time", now()},
                        {"cost", 0},
                        {"at_maximum", false},
                        {"replayed", true},
                        {"reply", to_json(reply)}}));
  }
  ++next;
  return reply;
}

// Takes the next id. What the conversation's request before had already is left out.
json Books::request_record(const std::string& model, const Request& request) {
  json record = {{"type", "request"},
                 {"id", ++last_id_},
                 {"time", now()},
                 {"model", model},
                 {"conversation", request.conversation},
                 {"turn", turn_of(request)},
                 {"max_output_tokens", request.max_output_tokens},
                 {"messages", json::array()}};
  Sent& before = sent_[request.conversation];
  std::vector<std::string> system;
  for (const SystemBlock& block : request.system) system.push_back(block.text);
  for (const ToolDefinition& tool : request.tools)
    system.push_back(fmt::format("tool {}: {}\n{}", tool.name, tool.description, tool.schema));
  if (system != before.system) record["system"] = system;
  size_t known = before.messages;
  if (known > request.messages.size() || identity_of(request.messages, known) != before.messages_id)
    known = 0;
  record["known_messages"] = known;
  for (size_t i = known; i < request.messages.size(); ++i)
    record["messages"].push_back(to_json(request.messages[i]));
  before = {std::move(system), request.messages.size(),
            identity_of(request.messages, request.messages.size())};
  return record;
}

Status Books::append(const json& record) {
  return writer_ ? writer_->append(record) : Status();
}

Result<Books::Sending> Books::begin(const std::string& model, const Request& request,
                                    int64_t input_tokens, int64_t attempt_of,
                                    const CancelToken& cancel) {
  KW_TRY(const Picodollars reserved,
         ledger_.reserve(model, input_tokens, request.max_output_tokens, cancel));
  const std::lock_guard lock(mutex_);
  json record;
  if (attempt_of > 0)
    record = {{"type", "request"}, {"id", ++last_id_}, {"time", now()}, {"attempt_of", attempt_of}};
  else
    record = request_record(model, request);
  record["reserved"] = reserved;
  if (auto written = append(record); !written) {
    ledger_.release(reserved);
    return fail(written.error());
  }
  return Sending{record["id"], model, reserved};
}

Status Books::answered(const Sending& sending, const Reply& reply) {
  Picodollars cost = sending.reserved;
  if (reply.counted) {
    cost = ledger_.price_of(sending.model, reply.usage);
    ledger_.settle(sending.model, sending.reserved, reply.usage);
  } else {
    ledger_.forfeit(sending.model, sending.reserved);
  }
  const std::lock_guard lock(mutex_);
  return append({{"type", "reply"},
                 {"id", sending.id},
                 {"time", now()},
                 {"cost", cost},
                 {"at_maximum", !reply.counted},
                 {"reply", to_json(reply)}});
}

Status Books::failed(const Sending& sending, const Error& error, bool may_be_charged) {
  if (may_be_charged)
    ledger_.forfeit(sending.model, sending.reserved);
  else
    ledger_.release(sending.reserved);
  const std::lock_guard lock(mutex_);
  return append({{"type", "failed"},
                 {"id", sending.id},
                 {"time", now()},
                 {"cost", may_be_charged ? sending.reserved : 0},
                 {"at_maximum", may_be_charged},
                 {"error", error.text()}});
}

Status Books::note(const std::string& kind, const json& what) {
  const std::lock_guard lock(mutex_);
  return append({{"type", "note"}, {"time", now()}, {"kind", kind}, {"what", what}});
}

}  // namespace kernelwright::agent
