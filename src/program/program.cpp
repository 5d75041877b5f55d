// SPDX-License-Identifier: Apache-2.0
#include "program/program.h"

#include <fmt/format.h>

#include <utility>

namespace kernelwright::program {

const char* role_name(BufferRole role) {
  switch (role) {
    case BufferRole::kInput:
      return "input";
    case BufferRole::kWeight:
      return "weight";
    case BufferRole::kOutput:
      return "output";
    case BufferRole::kPacked:
      return "packed";
    case BufferRole::kScratch:
      return "scratch";
    case BufferRole::kSync:
      return "sync";
    case BufferRole::kState:
      return "state";
    case BufferRole::kTable:
      return "table";
  }
  return "?";
}

Step::Step() = default;
Step::Step(Action what) : action(std::move(what)) {}
Step::Step(const Step&) = default;
Step::Step(Step&&) noexcept = default;
Step& Step::operator=(const Step&) = default;
Step& Step::operator=(Step&&) noexcept = default;
Step::~Step() = default;
bool Step::operator==(const Step&) const = default;

bool Repeat::operator==(const Repeat& other) const {
  return count == other.count && body == other.body && swap == other.swap;
}

const Buffer* Program::find(const std::string& name) const {
  for (const Buffer& buffer : buffers)
    if (buffer.name == name) return &buffer;
  return nullptr;
}

std::vector<std::string> launched_kernels(const std::vector<Step>& steps) {
  std::vector<std::string> kernels;
  for (const Step& step : steps) {
    if (const auto* launch = std::get_if<Launch>(&step.action)) kernels.push_back(launch->kernel);
    if (const auto* repeat = std::get_if<Repeat>(&step.action))
      for (std::string& name : launched_kernels(repeat->body)) kernels.push_back(std::move(name));
  }
  return kernels;
}

std::vector<std::string> step_names(const std::vector<Step>& steps, const std::string& place) {
  std::vector<std::string> names;
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string here = fmt::format("{}[{}]", place, i);
    const auto& action = steps[i].action;
    if (const auto* repeat = std::get_if<Repeat>(&action)) {
      for (std::string& name : step_names(repeat->body, here + ".body"))
        names.push_back(std::move(name));
    } else if (const auto* launch = std::get_if<Launch>(&action)) {
      names.push_back(here + " " + launch->kernel);
    } else {
      names.push_back(here + (std::holds_alternative<Fill>(action)   ? " fill"
                              : std::holds_alternative<Copy>(action) ? " copy"
                                                                     : " library"));
    }
  }
  return names;
}

int64_t count_actions(const std::vector<Step>& steps,
                      const std::map<std::string, int64_t>& params) {
  int64_t count = 0;
  for (const Step& step : steps) {
    const auto* repeat = std::get_if<Repeat>(&step.action);
    count += repeat
                 ? evaluate(repeat->count, params).value_or(1) * count_actions(repeat->body, params)
                 : 1;
  }
  return count;
}

}  // namespace kernelwright::program
