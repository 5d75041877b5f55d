// SPDX-License-Identifier: Apache-2.0
#include "agent/providers/http_provider.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "agent/bounded_json.h"
#include "agent/providers/bound.h"
#include "agent/providers/dialect.h"
#include "agent/providers/sse.h"
#include "agent/replay.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t kLongestErrorBody = 64 << 10;

// Between three quarters and all of it, so that conversations do not come back in step.
double with_jitter(double seconds) {
  thread_local std::mt19937 random{std::random_device{}()};
  return seconds * std::uniform_real_distribution<double>(0.75, 1.0)(random);
}

// False: cancelled.
bool wait(double seconds, const CancelToken& cancel) {
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(seconds));
  while (!cancel.cancelled()) {
    const auto left = until - Clock::now();
    if (left <= Clock::duration::zero()) return true;
    std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(50)));
  }
  return false;
}

std::string host_of(const std::string& url) {
  const size_t begin = url.find("://") + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

int64_t count_images(const Request& request) {
  int64_t count = 0;
  for (const Message& message : request.messages)
    for (const Block& block : message.blocks) {
      if (std::holds_alternative<ImageBlock>(block)) ++count;
      if (const auto* result = std::get_if<ToolResult>(&block))
        count += static_cast<int64_t>(result->images.size());
    }
  return count;
}

bool worth_retrying(int status) {
  return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

}  // namespace

int64_t most_input_tokens(size_t body_bytes, const Request& request) {
  constexpr int64_t kServersOwn = 2048;
  constexpr int64_t kPerImage = 5000;
  return static_cast<int64_t>(body_bytes) + kServersOwn + kPerImage * count_images(request);
}

HttpProvider::HttpProvider(ModelSpec spec, ProviderSettings settings, std::string key,
                           std::shared_ptr<Books> books)
    : spec_(std::move(spec)),
      settings_(std::move(settings)),
      key_(std::move(key)),
      books_(std::move(books)) {}

Error HttpProvider::error(ErrorKind kind, std::string what) const {
  std::string message = fmt::format("model {}: {}", spec_.text, what);
  settings_.keys.redact(message);
  return {kind, std::move(message), {}};
}

Result<std::string> HttpProvider::write_body(const Request& request) const {
  try {
    json body = dialect_of(spec_.protocol).request_body(spec_, request);
    if (const auto options = settings_.model_options.find(spec_.text);
        options != settings_.model_options.end())
      body.update(json::parse(options->second));
    std::string text = body.dump(-1, ' ', false, json::error_handler_t::replace);
    settings_.keys.redact(text);
    return text;
  } catch (const json::exception& e) {
    return fail(ErrorKind::kInternal, fmt::format("a request cannot be written: {}", e.what()));
  }
}

Result<Reply> HttpProvider::complete(const Request& request, const EventSink& on_event,
                                     const CancelToken& cancel) {
  if (books_) {
    KW_TRY(const std::optional<Reply> known, books_->recorded(spec_.text, request));
    if (known) {
      say_again(*known, on_event);
      return *known;
    }
  }
  KW_TRY(const std::string body, write_body(request));
  const auto started = Clock::now();
  int64_t first = 0;
  for (int attempt = 1;; ++attempt) {
    if (cancel.cancelled()) return fail(error(ErrorKind::kInterrupted, "cancelled"));
    Books::Sending sending;
    if (books_) {
      KW_TRY(sending, books_->begin(spec_.text, request, most_input_tokens(body.size(), request),
                                    first, cancel));
      if (first == 0) first = sending.id;
    }
    Attempt done = send(body, on_event, cancel);
    if (done.reply) {
      done.reply->attempts = attempt;
      done.reply->seconds = std::chrono::duration<double>(Clock::now() - started).count();
      if (books_) KW_CHECK_OK(books_->answered(sending, *done.reply));
      return std::move(*done.reply);
    }
    if (books_) KW_CHECK_OK(books_->failed(sending, done.reply.error(), done.may_be_charged));
    // A server that is not there does not come by waiting long.
    const int attempts = done.unreached ? std::min(3, settings_.attempts) : settings_.attempts;
    if (!done.retriable || attempt >= attempts) {
      Error last = done.reply.error();
      if (attempt > 1) last.with("attempts", std::to_string(attempt));
      return fail(std::move(last));
    }
    double pause = with_jitter(settings_.backoff_s * std::exp2(attempt - 1));
    if (done.retry_after_s >= 0) pause = done.retry_after_s;
    if (pause > settings_.longest_wait_s)
      return fail(
          error(ErrorKind::kInput, fmt::format("the server asks to wait for {:.0f} s", pause)));
    if (on_event)
      on_event({Event::Kind::kRetry,
                fmt::format("{}; again in {:.0f} s", done.reply.error().text(), pause)});
    if (!wait(pause, cancel)) return fail(error(ErrorKind::kInterrupted, "cancelled"));
  }
}

HttpProvider::Attempt HttpProvider::send(const std::string& body, const EventSink& on_event,
                                         const CancelToken& cancel) const {
  HttpPost post;
  post.url = spec_.endpoint();
  post.headers = dialect_of(spec_.protocol).headers(key_);
  post.headers.insert(post.headers.end(),
                      {"Content-Type: application/json", "Accept: text/event-stream",
                       "User-Agent: kernelwright", "Expect:"});
  post.body = body;
  post.idle_s = settings_.idle_s;
  post.total_s = settings_.total_s;

  const ReplyLimits& limits = settings_.limits;
  const auto reader = dialect_of(spec_.protocol).reader(limits, on_event);
  SseSplitter splitter(limits.event_bytes);
  Status status;
  size_t bytes = 0;
  std::string kept;  // an answer that is no stream
  const auto sink = [&](const HttpOutcome& head, std::string_view piece) {
    bytes += piece.size();
    if (head.status != 200) {
      kept += piece.substr(0, kLongestErrorBody - std::min(kLongestErrorBody, kept.size()));
      return bytes <= limits.wire_bytes;
    }
    if (bytes > limits.wire_bytes) {
      status = over_bound(fmt::format("the reply is larger than {} MiB", limits.wire_bytes >> 20));
      return false;
    }
    if (head.content_type == "application/json") {
      kept += piece;
      if (kept.size() > limits.event_bytes)
        status =
            over_bound(fmt::format("the reply is larger than {} MiB", limits.event_bytes >> 20));
    } else {
      status = splitter.feed(piece, [&](std::string_view name, std::string_view data) {
        return reader->event(name, data);
      });
    }
    return status.has_value();
  };
  const auto outcome = http_post(post, sink, cancel);
  if (!outcome) return {fail(outcome.error())};
  if (outcome->end == HttpOutcome::End::kDone && outcome->status != 200)
    return refused(*outcome, kept);
  if (!status) {
    return {fail(error(status.error().kind, status.error().message)),
            reader->retriable() && !is_over_bound(status.error()), true};
  }
  if (outcome->end != HttpOutcome::End::kDone) return broken(*outcome);
  if (outcome->content_type == "application/json") {
    status = reader->whole(kept);
    if (!status)
      return {fail(error(status.error().kind, status.error().message)),
              reader->retriable() && !is_over_bound(status.error()), true};
  }
  auto reply = reader->finish();
  if (!reply) return {fail(error(reply.error().kind, reply.error().message)), true, true};
  redact(*reply);
  return {std::move(*reply)};
}

HttpProvider::Attempt HttpProvider::broken(const HttpOutcome& outcome) const {
  using End = HttpOutcome::End;
  const std::string host = host_of(spec_.base_url);
  switch (outcome.end) {
    case End::kCancelled:
      return {fail(error(ErrorKind::kInterrupted, "cancelled")), false, true};
    case End::kUnreached: {
      Attempt attempt{fail(error(ErrorKind::kEnvironment,
                                 fmt::format("cannot reach {}: {}", host, outcome.problem)))};
      attempt.retriable = attempt.unreached = true;
      return attempt;
    }
    case End::kUntrusted:
      return {
          fail(error(ErrorKind::kEnvironment, fmt::format("the certificate of {} does not hold: {}",
                                                          host, outcome.problem)))};
    case End::kTimedOut:
      return {fail(error(ErrorKind::kInput, fmt::format("{} {}", host, outcome.problem))), true,
              true};
    default:
      return {fail(error(ErrorKind::kInput,
                         fmt::format("the connection to {} broke: {}", host, outcome.problem))),
              true, true};
  }
}

HttpProvider::Attempt HttpProvider::refused(const HttpOutcome& outcome,
                                            const std::string& body) const {
  const std::string host = host_of(spec_.base_url);
  const auto parsed = parse_bounded_json(body, 32);
  const std::string said = parsed ? server_message(*parsed) : "";
  const std::string code = parsed ? text_member(inner_member(*parsed, "error"), "code") : "";
  const std::string tail =
      fmt::format(" (status {}{}{})", outcome.status, said.empty() ? "" : ": ", said);
  const auto final = [&](ErrorKind kind, const std::string& what) {
    return Attempt{fail(error(kind, what + tail))};
  };
  if (outcome.status == 401 || outcome.status == 403)
    return final(ErrorKind::kEnvironment,
                 key_.empty() ? fmt::format("{} wants a key: set {}", host, spec_.key_variable)
                              : fmt::format("{} refused the key in {}", host, spec_.key_variable));
  if (outcome.status == 402 || code == "insufficient_quota")
    return final(ErrorKind::kEnvironment, fmt::format("{} has no credit left for this key", host));
  if (outcome.status == 404 || code == "model_not_found")
    return final(ErrorKind::kUsage, fmt::format("{} has no such model or endpoint", host));
  if (outcome.status >= 300 && outcome.status < 400)
    return final(ErrorKind::kUsage, fmt::format("{} points elsewhere: name that URL", host));
  Attempt attempt = final(ErrorKind::kInput, fmt::format("{} refused the request", host));
  attempt.retriable = worth_retrying(outcome.status);
  attempt.retry_after_s = outcome.retry_after_s;
  return attempt;
}

void HttpProvider::redact(Reply& reply) const {
  for (Block& block : reply.message.blocks) {
    if (auto* text = std::get_if<TextBlock>(&block)) {
      settings_.keys.redact(text->text);
    } else if (auto* call = std::get_if<ToolCall>(&block)) {
      settings_.keys.redact(call->id);
      settings_.keys.redact(call->name);
      settings_.keys.redact(call->arguments);
    } else if (auto* opaque = std::get_if<OpaqueBlock>(&block)) {
      settings_.keys.redact(opaque->json);
    }
  }
  settings_.keys.redact(reply.model);
}

}  // namespace kernelwright::agent
