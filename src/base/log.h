// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace kernelwright::base {

enum class LogLevel { kQuiet, kNormal, kVerbose };
void set_log_level(LogLevel level);

// One line on stderr. `note` is for the user, `debug` shows with --verbose only.
void note(std::string_view line);
void warn(std::string_view line);
void debug(std::string_view line);

// The progress line: rewritten in place on a terminal, printed as plain lines (at most one every
// two seconds, and on a change of phase) elsewhere. Other log lines clear it first.
void progress(std::string_view phase, std::string_view text);
void end_progress();

// While it lives, `told` hears of every progress() as well, on the thread that calls it. One at a
// time.
class ProgressWatch {
 public:
  using Told = std::function<void(std::string_view phase, std::string_view text)>;
  explicit ProgressWatch(Told told);
  ~ProgressWatch();
  ProgressWatch(const ProgressWatch&) = delete;
};

}  // namespace kernelwright::base
