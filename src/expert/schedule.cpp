// SPDX-License-Identifier: Apache-2.0
#include "expert/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kernelwright::expert {

std::vector<Schedule> enumerate(const ScheduleSpace& space, size_t limit) {
  size_t total = 1, first = 0;  // the place of the initial schedule
  for (const Knob& knob : space) {
    const auto initial = std::find(knob.choices.begin(), knob.choices.end(), knob.initial);
    if (initial != knob.choices.end())
      first += total * static_cast<size_t>(initial - knob.choices.begin());
    total *= knob.choices.size();
  }
  // Steps of the golden ratio, prime to the space: distinct schedules, spread over every knob. A
  // stride that shares a factor with the space would leave choices of the first knobs out.
  size_t stride = 1;
  if (total > limit) {
    stride = static_cast<size_t>(static_cast<double>(total) * 0.6180339887);
    while (std::gcd(stride, total) != 1) ++stride;
  }
  std::vector<Schedule> all;
  for (size_t i = 0; i < std::min(total, limit); ++i) {
    Schedule schedule;
    size_t rest = (first + i * stride) % total;
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
