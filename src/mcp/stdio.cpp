// SPDX-License-Identifier: Apache-2.0
#include "mcp/stdio.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "base/log.h"

namespace kernelwright::mcp {
namespace {

constexpr int kPollMs = 200;

// Lines to the client, whole and one after another, from any thread.
class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}

  void line(std::string text) {
    text += '\n';
    std::lock_guard lock(mutex_);
    for (size_t at = 0; at < text.size() && !gone_;) {
      const ssize_t wrote = ::write(fd_, text.data() + at, text.size() - at);
      if (wrote > 0)
        at += static_cast<size_t>(wrote);
      else if (errno != EINTR)
        gone_ = true;
    }
  }

 private:
  std::mutex mutex_;
  int fd_;
  bool gone_ = false;
};

// Requests that were not answered yet, for cancellation.
class Pending {
 public:
  void add(const std::string& id, CancellationRef cancellation) {
    std::lock_guard lock(mutex_);
    open_[id] = std::move(cancellation);
  }
  void answered(const std::string& id) {
    std::lock_guard lock(mutex_);
    open_.erase(id);
  }
  void cancel(const std::string& id) {
    std::lock_guard lock(mutex_);
    if (const auto it = open_.find(id); it != open_.end()) it->second->cancel();
  }
  bool waits_for(const std::string& id) {
    std::lock_guard lock(mutex_);
    return open_.count(id) > 0;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, CancellationRef> open_;
};

class Session {
 public:
  Session(Server& server, int out)
      : server_(server),
        writer_(std::make_shared<Writer>(out)),
        pending_(std::make_shared<Pending>()) {}

  void take(const LineReader::Line& line) {
    if (line.too_long)
      return refuse(
          nullptr,
          {kParseError,
           fmt::format("parse error: a message longer than {} bytes", kMaxMessageBytes), nullptr});
    const Parsed parsed = parse_message(line.text);
    if (parsed.error) return refuse(parsed.id, *parsed.error);
    if (!parsed.message) return;
    const Message& message = *parsed.message;
    if (message.notification()) return note(message);
    const std::string id = message.id.dump();
    if (pending_->waits_for(id))
      return refuse(message.id, {kInvalidRequest, "id: in use by a request that runs", nullptr});
    const auto reply = [writer = writer_, pending = pending_, id](const Server::Answer& answer) {
      pending->answered(id);
      if (!answer.dropped) writer->line(answer.text);
    };
    const auto notify = [writer = writer_](std::string text) { writer->line(std::move(text)); };
    auto cancellation = std::make_shared<Cancellation>();
    pending_->add(id, cancellation);
    server_.handle(message, cancellation, reply, notify);
  }

 private:
  void refuse(const nlohmann::json& id, const RpcError& error) {
    base::note("mcp: " + error.message);
    writer_->line(error_text(id, error));
  }

  void note(const Message& message) {
    if (message.method != "notifications/cancelled") return;
    const auto id = message.params.find("requestId");
    if (id != message.params.end()) pending_->cancel(id->dump());
  }

  Server& server_;
  std::shared_ptr<Writer> writer_;
  std::shared_ptr<Pending> pending_;
};

}  // namespace

void LineReader::feed(const char* bytes, size_t count, const std::function<void(Line)>& line) {
  for (size_t i = 0; i < count;) {
    const auto* end = static_cast<const char*>(memchr(bytes + i, '\n', count - i));
    const size_t length = (end ? static_cast<size_t>(end - bytes) : count) - i;
    if (!skipping_ && pending_.size() + length > limit_) {
      skipping_ = true;
      pending_ = std::string();
    }
    if (!skipping_) pending_.append(bytes + i, length);
    i += length;
    if (!end) continue;
    ++i;
    if (skipping_) {
      line({"", true});
    } else {
      if (!pending_.empty() && pending_.back() == '\r') pending_.pop_back();
      if (!pending_.empty()) line({std::move(pending_), false});
    }
    pending_.clear();
    skipping_ = false;
  }
}

void serve_lines(Server& server, int in, int out, const std::function<bool()>& interrupted) {
  Session session(server, out);
  LineReader reader(kMaxMessageBytes);
  std::array<char, 1 << 16> bytes{};
  while (!interrupted()) {
    pollfd waiting{in, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, kPollMs);
    if (ready < 0 && errno != EINTR) return;
    if (ready <= 0) continue;
    const ssize_t count = ::read(in, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    reader.feed(bytes.data(), static_cast<size_t>(count),
                [&](const LineReader::Line& line) { session.take(line); });
  }
}

}  // namespace kernelwright::mcp
