// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace kernelwright::target {

// How the files of an entry are called, and what else a target wants to keep with it.
struct EntryFiles {
  std::string object = "object.so";
  std::string source = "source.cpp";
  std::string facts;
};

// Content-addressed store of built objects under <root>/<key[0:2]>/<key>/: the object, its source
// and `entry.json` (hash and size of the object, compiler log). An entry appears by rename, so a
// reader sees all of it or none, and concurrent builders of one key are safe: the first one wins.
class BuildCache {
 public:
  struct Entry {
    std::filesystem::path object;
    std::string compiler_log;
    double seconds = 0;
    std::string facts;
  };
  struct Usage {
    std::filesystem::path root;
    uint64_t bytes = 0;
    uint64_t entries = 0;
    uint64_t limit_bytes = 0;
  };

  BuildCache(std::filesystem::path root, uint64_t limit_bytes);
  // <cache dir>/objects, limit from KERNELWRIGHT_CACHE_LIMIT_MB (default 2048).
  static Result<BuildCache> open_default();

  // The entry, marked as used now. One whose object does not match its recorded hash is removed.
  std::optional<Entry> find(const std::string& key);
  // Takes the object at `object` (copied) in; evicts the least recently used entries over the
  // limit.
  Result<Entry> publish(const std::string& key, const std::filesystem::path& object,
                        const std::string& source, const std::string& compiler_log, double seconds,
                        const EntryFiles& files = EntryFiles());
  Usage usage() const;
  // Removes everything; gives what was there.
  Result<Usage> clear();

 private:
  std::filesystem::path folder(const std::string& key) const;
  void evict();

  std::filesystem::path root_;
  uint64_t limit_bytes_;
  uint64_t unswept_bytes_ = 0;  // published since the last sweep
  bool swept_ = false;
};

}  // namespace kernelwright::target
