// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kernelwright::agent {

// Splits a stream of server-sent events (WHATWG HTML, 9.2.6) as its bytes arrive in any pieces.
// Line ends are LF, CRLF or CR; comments and fields other than event and data are skipped; an event
// that no blank line ends is dropped, as the standard says.
class SseSplitter {
 public:
  using OnEvent = std::function<Status(std::string_view event, std::string_view data)>;

  explicit SseSplitter(size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}
  // kInput when one event is larger than the bound; else what `on_event` fails with.
  Status feed(std::string_view bytes, const OnEvent& on_event);

 private:
  Status line(const OnEvent& on_event);

  size_t max_event_bytes_;
  std::string line_, event_, data_;
  bool has_data_ = false;
  bool after_cr_ = false;  // an LF that comes now belongs to the CR before
  bool first_line_ = true;
};

}  // namespace kernelwright::agent
