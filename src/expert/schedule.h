// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kernelwright::expert {

// What a knob changes: how much moves between memory and caches and how well that overlaps, or how
// many instructions there are and how well they fill the processor.
enum class Bears : uint8_t { kBoth, kTraffic, kArithmetic };

// One decision of a family, with what may be chosen for the op at hand. Schedules that differ in
// one knob are neighbours.
struct Knob {
  std::string name;
  std::vector<int64_t> choices;
  int64_t initial = 0;  // of `choices`, where a search should begin
  Bears bears = Bears::kBoth;
};

using ScheduleSpace = std::vector<Knob>;
using Schedule = std::map<std::string, int64_t>;  // knob name -> choice

// Every schedule of the space, the initial one first; at most `limit` (then evenly thinned).
std::vector<Schedule> enumerate(const ScheduleSpace& space, size_t limit);
std::string schedule_text(const Schedule& schedule);  // "kc 256, mr 12"

}  // namespace kernelwright::expert
