// SPDX-License-Identifier: Apache-2.0
#include "expert/schedule.h"

#include <fmt/format.h>

namespace kernelwright::expert {

Schedule initial_schedule(const ScheduleSpace& space) {
  Schedule schedule;
  for (const Knob& knob : space) schedule[knob.name] = knob.initial;
  return schedule;
}

std::vector<Schedule> enumerate(const ScheduleSpace& space, size_t limit) {
  size_t total = 1;
  for (const Knob& knob : space) total *= knob.choices.size();
  const size_t stride = std::max<size_t>(1, (total + limit - 1) / limit);
  std::vector<Schedule> all;
  for (size_t i = 0; i < total; i += stride) {
    Schedule schedule;
    size_t rest = i;
    for (const Knob& knob : space) {
      schedule[knob.name] = knob.choices[rest % knob.choices.size()];
      rest /= knob.choices.size();
    }
    all.push_back(std::move(schedule));
  }
  return all;
}

std::string schedule_text(const Schedule& schedule) {
  std::string text;
  for (const auto& [name, value] : schedule)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  return text;
}

}  // namespace kernelwright::expert
