// SPDX-License-Identifier: Apache-2.0
#include "agent/transcript.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "agent/bounded_json.h"
#include "base/file.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;
constexpr uint64_t kLargest = 4ull << 30;

class Reader {
 public:
  TranscriptContent content;

  // Throws json exceptions and std::invalid_argument on a record that is off.
  void record(const json& from) {
    const std::string type = from.at("type");
    if (type == "request")
      request(from);
    else if (type == "reply" || type == "failed")
      end(type, from);
    else if (type == "note")
      content.notes.push_back({from.at("kind"), from.at("what").dump(), from.at("time"),
                               static_cast<int64_t>(content.exchanges.size())});
    else if (type != "begin" || from.at("version") != 1)
      throw std::invalid_argument("unknown record '" + type + "'");
  }

 private:
  void request(const json& from) {
    Exchange exchange;
    exchange.id = from.at("id");
    if (exchange.id != static_cast<int64_t>(content.exchanges.size()) + 1)
      throw std::invalid_argument("requests are not in order");
    exchange.started = from.at("time");
    exchange.reserved = from.at("reserved");
    // Until its end is read.
    exchange.cost = exchange.reserved;
    exchange.at_maximum = true;
    if (from.contains("attempt_of")) {
      const Exchange& first = at(from.at("attempt_of"));
      exchange.attempt_of = first.id;
      exchange.model = first.model;
      exchange.conversation = first.conversation;
      exchange.turn = first.turn;
    } else {
      exchange.model = from.at("model");
      exchange.conversation = from.at("conversation");
      exchange.turn = from.at("turn");
      if (from.contains("system"))
        for (const json& block : from["system"]) exchange.system.push_back({block, false});
      for (const json& message : from.at("messages")) {
        auto read = message_from_json(message);
        if (!read) throw std::invalid_argument(read.error().message);
        exchange.new_messages.push_back(std::move(*read));
      }
    }
    content.exchanges.push_back(std::move(exchange));
  }

  void end(const std::string& type, const json& from) {
    Exchange& exchange = at(from.at("id"));
    exchange.ended = from.at("time");
    exchange.cost = from.at("cost");
    exchange.at_maximum = from.at("at_maximum");
    exchange.replayed = from.value("replayed", false);
    if (type == "failed") {
      exchange.error = from.at("error");
      return;
    }
    auto reply = reply_from_json(from.at("reply"));
    if (!reply) throw std::invalid_argument(reply.error().message);
    exchange.reply = std::move(*reply);
  }

  Exchange& at(int64_t id) {
    if (id < 1 || id > static_cast<int64_t>(content.exchanges.size()))
      throw std::invalid_argument(fmt::format("no request {}", id));
    return content.exchanges[static_cast<size_t>(id - 1)];
  }
};

tl::unexpected<Error> system_error(const char* what, const std::string& path) {
  return fail(ErrorKind::kEnvironment,
              fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<TranscriptContent> read_transcript(const std::filesystem::path& path) {
  KW_TRY(const std::string text, base::read_file(path, kLargest));
  Reader reader;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    ++number;
    const auto place = [&](const std::string& what) {
      return fail(ErrorKind::kInput, fmt::format("{}, line {}: {}", path.string(), number, what));
    };
    const auto record =
        parse_bounded_json(std::string_view(text).substr(begin, end - begin), kDeepest);
    if (!record) return place(record.error().message);
    try {
      reader.record(*record);
    } catch (const std::exception& e) {
      return place(e.what());
    }
    begin = end + 1;
  }
  return std::move(reader.content);
}

Result<TranscriptWriter> TranscriptWriter::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  base::UniqueFd fd(
      ::open(name.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error("write", name);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorKind::kUsage, fmt::format("another run writes to '{}'", name));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return system_error("read", name);
  // Back to the end of the last whole line.
  off_t end = status.st_size;
  char buffer[4096];
  while (end > 0) {
    const off_t begin =
        end > static_cast<off_t>(sizeof buffer) ? end - static_cast<off_t>(sizeof buffer) : 0;
    const ssize_t n = ::pread(fd.get(), buffer, static_cast<size_t>(end - begin), begin);
    if (n != end - begin) return system_error("read", name);
    const void* newline = ::memrchr(buffer, '\n', static_cast<size_t>(n));
    if (newline != nullptr) {
      end = begin + (static_cast<const char*>(newline) - buffer) + 1;
      break;
    }
    end = begin;
  }
  if (end != status.st_size && ::ftruncate(fd.get(), end) != 0) return system_error("cut", name);
  TranscriptWriter writer(std::move(fd), name);
  if (end == 0) {
    KW_CHECK_OK(writer.append({{"type", "begin"}, {"version", 1}}));
    // The file's name is on the disk as well.
    const base::UniqueFd folder(
        ::open(path.parent_path().empty() ? "." : path.parent_path().c_str(),
               O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
  }
  return writer;
}

Status TranscriptWriter::append(const json& record) {
  const std::string line = record.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(*mutex_);
  for (size_t at = 0; at < line.size();) {
    const ssize_t n = ::write(fd_.get(), line.data() + at, line.size() - at);
    if (n < 0 && errno != EINTR) return system_error("write", path_);
    if (n > 0) at += static_cast<size_t>(n);
  }
  if (::fdatasync(fd_.get()) != 0) return system_error("write", path_);
  return {};
}

}  // namespace kernelwright::agent
