// SPDX-License-Identifier: Apache-2.0
#include "base/channel.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/message.h"

namespace kernelwright::base {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kMaxBytes = 64u << 20;
constexpr uint32_t kMaxFds = 64;
constexpr int kMaxDepth = 128;
constexpr auto kSendDeadline = std::chrono::seconds(60);

void put_u32(unsigned char* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<unsigned char>(value >> (8 * i));
}

uint32_t get_u32(const unsigned char* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(in[i]) << (8 * i);
  return value;
}

// False at the deadline.
bool wait_ready(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int n =
        ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left + 1, 0, 1'000'000'000)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return true;  // the following call reports the trouble
    if (Clock::now() >= deadline) return false;
  }
}

// Deeply nested JSON would overflow the stack of whoever walks it.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(ErrorKind::kEnvironment, "malformed message: " + what);
}

}  // namespace

Result<std::pair<Channel, UniqueFd>> Channel::create_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot create a socket pair: {}", std::strerror(errno)));
  return std::pair<Channel, UniqueFd>(Channel(UniqueFd(fds[0])), UniqueFd(fds[1]));
}

Status Channel::send(const nlohmann::json& body, const std::vector<int>& fds) {
  if (!open()) return fail(ErrorKind::kEnvironment, "closed");
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxBytes || fds.size() > kMaxFds)
    return fail(ErrorKind::kInternal, "message over the size limit");
  std::string frame(8, '\0');
  put_u32(reinterpret_cast<unsigned char*>(frame.data()), static_cast<uint32_t>(text.size()));
  put_u32(reinterpret_cast<unsigned char*>(frame.data()) + 4, static_cast<uint32_t>(fds.size()));
  frame += text;

  const auto deadline = Clock::now() + kSendDeadline;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  size_t sent = 0;
  while (sent < frame.size()) {
    iovec io{frame.data() + sent, frame.size() - sent};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    }
    const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_ready(fd_.get(), POLLOUT, deadline)) {
        if (sent > 0) close();
        return fail(ErrorKind::kEnvironment, "timed out");
      }
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return fail(ErrorKind::kEnvironment, "closed");
    } else if (errno != EINTR) {
      return fail(ErrorKind::kEnvironment,
                  fmt::format("cannot send a message: {}", std::strerror(errno)));
    }
  }
  return {};
}

Result<Channel::Message> Channel::receive(std::chrono::milliseconds timeout) {
  if (!open()) return fail(ErrorKind::kEnvironment, "closed");
  const auto deadline = Clock::now() + timeout;
  Message message;
  bool started = false;
  std::array<unsigned char, 8> header{};

  // Reads exactly `size` bytes; descriptors are taken with the header only.
  auto read_exactly = [&](void* data, size_t size, bool take_fds) -> Status {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
    size_t got = 0;
    while (got < size) {
      iovec io{static_cast<char*>(data) + got, size - got};
      msghdr raw{};
      raw.msg_iov = &io;
      raw.msg_iovlen = 1;
      if (take_fds) {
        raw.msg_control = control.data();
        raw.msg_controllen = control.size();
      }
      const ssize_t n = ::recvmsg(fd_.get(), &raw, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
          if (!wait_ready(fd_.get(), POLLIN, deadline))
            return fail(ErrorKind::kEnvironment, "timed out");
          continue;
        }
        if (errno == ECONNRESET) return fail(ErrorKind::kEnvironment, "closed");
        return fail(ErrorKind::kEnvironment,
                    fmt::format("cannot receive a message: {}", std::strerror(errno)));
      }
      for (cmsghdr* c = n > 0 ? CMSG_FIRSTHDR(&raw) : nullptr; c != nullptr;
           c = CMSG_NXTHDR(&raw, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
          int fd = -1;
          std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
          message.fds.emplace_back(fd);
        }
      }
      if (n == 0) return fail(ErrorKind::kEnvironment, "closed");
      started = true;
      got += static_cast<size_t>(n);
      if ((raw.msg_flags & MSG_CTRUNC) != 0) return malformed("descriptors where none belong");
    }
    return {};
  };
  auto read_message = [&]() -> Status {
    KW_CHECK_OK(read_exactly(header.data(), header.size(), true));
    const uint32_t length = get_u32(header.data());
    const uint32_t count = get_u32(header.data() + 4);
    if (length > kMaxBytes) return malformed(fmt::format("{} bytes announced", length));
    if (count > kMaxFds || count != message.fds.size())
      return malformed(fmt::format("{} descriptors announced, {} came", count, message.fds.size()));
    std::string text;
    // Grows as bytes come: an announced length alone allocates little.
    while (text.size() < length) {
      const size_t at = text.size();
      text.resize(std::min<size_t>(length, at + (1u << 20)));
      KW_CHECK_OK(read_exactly(text.data() + at, text.size() - at, false));
    }
    if (too_deep(text)) return malformed("nested too deeply");
    message.body = nlohmann::json::parse(text, nullptr, false);
    if (message.body.is_discarded()) return malformed("not JSON");
    return {};
  };

  if (Status status = read_message(); !status) {
    // Nobody can tell where the next message would begin.
    if (started || status.error().message == "closed") close();
    return fail(std::move(status.error()));
  }
  return message;
}

}  // namespace kernelwright::base
