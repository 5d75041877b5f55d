// SPDX-License-Identifier: Apache-2.0
#include "target/build_cache.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "base/hash.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kDefaultLimitMb = 2048;
constexpr uint64_t kSweepEveryBytes = 64ull << 20;
// An entry this young may be about to be loaded by whoever published it.
constexpr auto kInUse = std::chrono::minutes(10);
constexpr uint64_t kLargestObject = 64ull << 20;

struct Found {
  fs::path folder;
  fs::file_time_type used;
  uint64_t bytes = 0;
};

uint64_t folder_bytes(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code size_ec;
    const uint64_t size = it->file_size(size_ec);
    if (!size_ec) bytes += size;
  }
  return bytes;
}

std::vector<Found> list_entries(const fs::path& root) {
  std::vector<Found> entries;
  std::error_code ec;
  for (fs::directory_iterator shard(root, ec), end; !ec && shard != end; shard.increment(ec)) {
    std::error_code inner;
    for (fs::directory_iterator it(shard->path(), inner); !inner && it != end;
         it.increment(inner)) {
      std::error_code time_ec;
      const auto used = fs::last_write_time(it->path(), time_ec);
      if (!time_ec) entries.push_back({it->path(), used, folder_bytes(it->path())});
    }
  }
  return entries;
}

Error environment(const std::string& what, const std::error_code& ec) {
  return Error{ErrorKind::kEnvironment, fmt::format("build cache: {}: {}", what, ec.message()), {}};
}

}  // namespace

BuildCache::BuildCache(fs::path root, uint64_t limit_bytes)
    : root_(std::move(root)), limit_bytes_(limit_bytes) {}

Result<BuildCache> BuildCache::open_default() {
  KW_TRY(const fs::path cache, base::cache_dir());
  uint64_t limit_mb = kDefaultLimitMb;
  if (const char* text = std::getenv("KERNELWRIGHT_CACHE_LIMIT_MB");
      text != nullptr && *text != 0) {
    const std::string value = text;
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), limit_mb);
    if (ec != std::errc() || end != value.data() + value.size() || limit_mb > (1ull << 32))
      return fail(
          ErrorKind::kUsage,
          fmt::format("KERNELWRIGHT_CACHE_LIMIT_MB: expected a number of megabytes, got '{}'",
                      value.substr(0, 40)));
  }
  return BuildCache(cache / "objects", limit_mb << 20);
}

fs::path BuildCache::folder(const std::string& key) const {
  return root_ / key.substr(0, 2) / key;
}

std::optional<BuildCache::Entry> BuildCache::find(const std::string& key) {
  const fs::path where = folder(key);
  std::error_code ec;
  if (!fs::exists(where, ec)) return std::nullopt;
  const auto meta = base::read_file(where / "entry.json", 1 << 20);
  const auto json = nlohmann::json::parse(meta.value_or(""), nullptr, false);
  if (json.is_object() && json.contains("object") && json["object"].is_string()) {
    const auto text = [&](const char* field) {
      return json.contains(field) && json[field].is_string() ? json[field].get<std::string>() : "";
    };
    // A plain name: an entry leads nowhere else.
    const std::string name = fs::path(json["object"].get<std::string>()).filename().string();
    const auto object = base::read_file(where / name, kLargestObject);
    if (object && json.value("key", nlohmann::json()) == key &&
        json.value("sha256", nlohmann::json()) == base::sha256_hex(*object) &&
        json.contains("log") && json["log"].is_string() && json.contains("seconds") &&
        json["seconds"].is_number()) {
      fs::last_write_time(where, fs::file_time_type::clock::now(), ec);
      return Entry{where / name, json["log"].get<std::string>(), json["seconds"].get<double>(),
                   text("facts")};
    }
  }
  // Damaged, by a full disk or by hand: whoever asked will build it again.
  fs::remove_all(where, ec);
  return std::nullopt;
}

Result<BuildCache::Entry> BuildCache::publish(const std::string& key, const fs::path& object,
                                              const std::string& source,
                                              const std::string& compiler_log, double seconds,
                                              const EntryFiles& names) {
  KW_TRY(const std::string content, base::read_file(object, kLargestObject));
  const fs::path where = folder(key);
  std::error_code ec;
  fs::create_directories(where.parent_path(), ec);
  if (ec) return fail(environment("cannot create " + where.parent_path().string(), ec));

  const auto stamp = std::chrono::steady_clock::now().time_since_epoch().count();
  const fs::path staging =
      where.parent_path() / fmt::format(".new-{}-{}-{}", key.substr(0, 16), ::getpid(), stamp);
  fs::create_directory(staging, ec);
  if (ec) return fail(environment("cannot create " + staging.string(), ec));
  const nlohmann::json meta = {{"key", key},           {"sha256", base::sha256_hex(content)},
                               {"log", compiler_log},  {"object", names.object},
                               {"facts", names.facts}, {"seconds", seconds}};
  const std::pair<const char*, std::string> files[] = {
      {names.object.c_str(), content},
      {names.source.c_str(), source},
      {"entry.json", meta.dump(1, ' ', false, nlohmann::json::error_handler_t::replace)}};
  for (const auto& [name, text] : files) {
    if (auto written = base::write_file_atomic(staging / name, text); !written) {
      fs::remove_all(staging, ec);
      return fail(written.error());
    }
  }
  fs::rename(staging, where, ec);
  if (ec) {
    // Another builder of the same key was first; its object serves as well.
    std::error_code ignored;
    fs::remove_all(staging, ignored);
    if (auto theirs = find(key)) return *theirs;
    return fail(environment("cannot publish " + where.string(), ec));
  }
  unswept_bytes_ += content.size() + source.size();
  if (!swept_ || unswept_bytes_ >= std::min(kSweepEveryBytes, limit_bytes_ / 16)) evict();
  return Entry{where / names.object, compiler_log, seconds, names.facts};
}

void BuildCache::evict() {
  swept_ = true;
  unswept_bytes_ = 0;
  auto entries = list_entries(root_);
  uint64_t total = 0;
  for (const auto& entry : entries) total += entry.bytes;
  if (total <= limit_bytes_) return;
  std::sort(entries.begin(), entries.end(),
            [](const Found& a, const Found& b) { return a.used < b.used; });
  const auto now = fs::file_time_type::clock::now();
  // A tenth below the limit, so that the next publish does not sweep again.
  const uint64_t goal = limit_bytes_ - limit_bytes_ / 10;
  for (const auto& entry : entries) {
    if (total <= goal || now - entry.used < kInUse) break;
    std::error_code ec;
    fs::remove_all(entry.folder, ec);
    if (!ec) total -= entry.bytes;
  }
}

BuildCache::Usage BuildCache::usage() const {
  Usage usage{root_, 0, 0, limit_bytes_};
  for (const auto& entry : list_entries(root_)) {
    usage.bytes += entry.bytes;
    ++usage.entries;
  }
  return usage;
}

Result<BuildCache::Usage> BuildCache::clear() {
  const Usage before = usage();
  std::error_code ec;
  fs::remove_all(root_, ec);
  if (ec) return fail(environment("cannot remove " + root_.string(), ec));
  return before;
}

}  // namespace kernelwright::target
