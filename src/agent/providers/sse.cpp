// SPDX-License-Identifier: Apache-2.0
#include "agent/providers/sse.h"

#include <fmt/core.h>

#include "agent/providers/bound.h"

namespace kernelwright::agent {

Status SseSplitter::feed(std::string_view bytes, const OnEvent& on_event) {
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + data_.size() + piece.size() > max_event_bytes_)
      return over_bound(
          fmt::format("one event of the stream is larger than {} MiB", max_event_bytes_ >> 20));
    line_ += piece;
    if (end == std::string_view::npos) return {};
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    KW_CHECK_OK(line(on_event));
    line_.clear();
  }
  return {};
}

Status SseSplitter::line(const OnEvent& on_event) {
  std::string_view text = line_;
  if (first_line_ && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  first_line_ = false;
  if (text.empty()) {
    Status status;
    if (has_data_) status = on_event(event_, data_);
    event_.clear();
    data_.clear();
    has_data_ = false;
    return status;
  }
  const size_t colon = text.find(':');
  const std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") {
    event_ = value;
  } else if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  return {};
}

}  // namespace kernelwright::agent
