// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/shared_memory.h"

namespace kernelwright::base {

// Messages between our processes over a Unix stream socket: a 4-byte little-endian length, a 4-byte
// count of file descriptors, then UTF-8 JSON; the descriptors travel (SCM_RIGHTS) with the first
// byte of the header. Lengths over 64 MiB and counts over 64 are refused. What the other side says
// is data: a reply of the wrong shape is an Error, never an assumption.
class Channel {
 public:
  struct Message;  // defined in base/message.h, which includes nlohmann/json.hpp

  // A connected pair; the second end is for a child (inherited, close-on-exec cleared at spawn).
  static Result<std::pair<Channel, UniqueFd>> create_pair();
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  Channel() = default;

  // Fails when the peer is gone, or does not take the bytes within a minute.
  Status send(const nlohmann::json& body, const std::vector<int>& fds = {});
  // kEnvironment with message "closed" when the peer is gone, "timed out" at the deadline.
  // After a malformed message, or a deadline inside one, the channel is closed.
  Result<Message> receive(std::chrono::milliseconds timeout);

  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }
  void close() { fd_ = UniqueFd(); }

 private:
  UniqueFd fd_;
};

}  // namespace kernelwright::base
