// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace kernelwright::base {
namespace {

struct KindRow {
  ErrorKind kind;
  const char* name;
  int exit_code;
};
constexpr KindRow kKinds[] = {
    {ErrorKind::kUsage, "usage", 2},
    {ErrorKind::kInput, "input", 2},
    {ErrorKind::kEnvironment, "environment", 2},
    {ErrorKind::kRejected, "rejected", 3},
    {ErrorKind::kInternal, "internal", 4},
    {ErrorKind::kInterrupted, "interrupted", 130},
};

const KindRow& row(ErrorKind kind) {
  for (const auto& r : kKinds)
    if (r.kind == kind) return r;
  return kKinds[4];
}

// A message may quote a file or a kernel: keep it on one line and printable.
std::string one_line(const std::string& text) {
  std::string out;
  for (char c : text) out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? ' ' : c;
  return out;
}

}  // namespace

Error& Error::with(std::string key, std::string value) & {
  context.emplace_back(std::move(key), std::move(value));
  return *this;
}

Error&& Error::with(std::string key, std::string value) && {
  context.emplace_back(std::move(key), std::move(value));
  return std::move(*this);
}

std::string Error::text() const {
  std::string out = one_line(message);
  for (size_t i = 0; i < context.size(); ++i)
    out += fmt::format("{}{}: {}", i == 0 ? " (" : ", ", context[i].first,
                       one_line(context[i].second));
  if (!context.empty()) out += ")";
  return out;
}

std::string Error::json_text() const {
  nlohmann::json details = nlohmann::json::object();
  for (const auto& [key, value] : context) details[key] = value;
  nlohmann::json out = {
      {"kind", error_kind_name(kind)}, {"message", message}, {"context", details}};
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const char* error_kind_name(ErrorKind kind) {
  return row(kind).name;
}
int exit_code(ErrorKind kind) {
  return row(kind).exit_code;
}

void invariant_failed(const char* file, int line, const std::string& what) {
  throw InternalError(fmt::format("{}:{}: {}", file, line, what));
}

}  // namespace kernelwright::base
