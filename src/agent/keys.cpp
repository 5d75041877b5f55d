// SPDX-License-Identifier: Apache-2.0
#include "agent/keys.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/shared_memory.h"

namespace kernelwright::agent {
namespace {

constexpr off_t kLargestFile = 64 << 10;

bool known(const std::string& name) {
  return std::any_of(std::begin(kKeyVariables), std::end(kKeyVariables),
                     [&](const char* variable) { return name == variable; });
}

std::string trimmed(const std::string& text) {
  const char* blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// A key becomes part of a header line.
bool fits_a_header(const std::string& key) {
  return std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Reads through one descriptor, so that what was checked is what is read.
Result<std::string> read_private_file(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0)
    return fail(ErrorKind::kUsage, fmt::format("cannot read the key file '{}'", path));
  if (!S_ISREG(status.st_mode) || status.st_size > kLargestFile)
    return fail(ErrorKind::kUsage, fmt::format("key file '{}' is no small regular file", path));
  if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
    return fail(ErrorKind::kUsage,
                fmt::format("key file '{}' is open to others: chmod 600 it", path));
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + have, text.size() - have);
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  text.resize(have);
  return text;
}

// Traffic to our own machine needs no encryption.
bool is_loopback_url(const std::string& url) {
  const size_t host = url.find("://") + 3;
  const std::string authority = url.substr(host, url.find('/', host) - host);
  const std::string name = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                                      : authority.substr(0, authority.find(':'));
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

}  // namespace

Result<KeyRing> KeyRing::load(const std::string& key_file) {
  KeyRing ring;
  if (!key_file.empty()) {
    KW_TRY(const std::string text, read_private_file(key_file));
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      line = trimmed(line);
      if (line.empty() || line.front() == '#') continue;
      const size_t equals = line.find('=');
      const std::string name = trimmed(line.substr(0, equals));
      if (equals == std::string::npos || !known(name))
        return fail(
            ErrorKind::kUsage,
            fmt::format("key file '{}', line {}: expected {}=KEY, {}=KEY or {}=KEY", key_file,
                        number, kKeyVariables[0], kKeyVariables[1], kKeyVariables[2]));
      ring.keys_[name] = {trimmed(line.substr(equals + 1)), key_file};
    }
  }
  for (const char* variable : kKeyVariables)
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0')
      ring.keys_[variable] = {trimmed(value), "the environment"};
  std::erase_if(ring.keys_, [](const auto& entry) { return entry.second.value.empty(); });
  for (const auto& [name, key] : ring.keys_)
    if (!fits_a_header(key.value))
      return fail(ErrorKind::kUsage,
                  fmt::format("{} from {} holds characters that no key has", name, key.source));
  return ring;
}

std::string KeyRing::source(const std::string& variable) const {
  const auto it = keys_.find(variable);
  return it == keys_.end() ? "" : it->second.source;
}

Result<std::string> KeyRing::key_for(const ModelSpec& spec) const {
  const auto it = keys_.find(spec.key_variable);
  if (it == keys_.end()) {
    if (!spec.key_required) return std::string();
    return fail(ErrorKind::kEnvironment,
                fmt::format("model {} needs a key: set {}", spec.text, spec.key_variable));
  }
  if (spec.base_url.starts_with("http://") && !is_loopback_url(spec.base_url))
    return fail(ErrorKind::kEnvironment,
                fmt::format("{} would travel unencrypted to {}: use https, or unset it",
                            spec.key_variable, spec.base_url));
  return it->second.value;
}

void KeyRing::redact(std::string& text) const {
  for (const auto& [name, key] : keys_) {
    // A word that short is no secret, and would garble any text.
    if (key.value.size() < 8) continue;
    for (size_t at = 0; (at = text.find(key.value, at)) != std::string::npos;)
      text.replace(at, key.value.size(), "[key]");
  }
}

}  // namespace kernelwright::agent
