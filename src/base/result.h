// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace kernelwright::base {

// What kind of failure an Error is; decides the exit code of a command (see exit_code()).
enum class ErrorKind {
  kUsage,        // the command line or an option is off                 -> 2
  kInput,        // the user's file, program or data is off              -> 2
  kEnvironment,  // no compiler, disk full, no PyTorch                   -> 2
  kRejected,     // `check` or `verify` did not accept                   -> 3
  kInternal,     // a fault of ours                                      -> 4
  kInterrupted,  // Ctrl-C                                               -> 130
};

// A failure that is normal data. `message` is one line without a trailing period or newline;
// `context` holds named details in the order in which they were added.
struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::vector<std::pair<std::string, std::string>> context;

  Error& with(std::string key, std::string value) &;
  Error&& with(std::string key, std::string value) &&;
  // "message (key: value, key: value)", always a single line.
  std::string text() const;
  // {"kind": ..., "message": ..., "context": {...}} as text.
  std::string json_text() const;
};

const char* error_kind_name(ErrorKind kind);
int exit_code(ErrorKind kind);

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message), {}});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace kernelwright::base

namespace kernelwright {
using base::Error;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
}  // namespace kernelwright

// Evaluates a Result; on failure returns its error from the enclosing function, else binds the
// value.
#define KW_CONCAT_INNER(a, b) a##b
#define KW_CONCAT(a, b) KW_CONCAT_INNER(a, b)
#define KW_TRY(declaration, expression)                                        \
  auto KW_CONCAT(kw_result_, __LINE__) = (expression);                         \
  if (!KW_CONCAT(kw_result_, __LINE__))                                        \
    return tl::unexpected(std::move(KW_CONCAT(kw_result_, __LINE__).error())); \
  declaration = std::move(*KW_CONCAT(kw_result_, __LINE__))
#define KW_CHECK_OK(expression)                                                              \
  if (auto KW_CONCAT(kw_status_, __LINE__) = (expression); !KW_CONCAT(kw_status_, __LINE__)) \
  return tl::unexpected(std::move(KW_CONCAT(kw_status_, __LINE__).error()))
