// SPDX-License-Identifier: Apache-2.0
#include "archive/archive.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "archive/lessons.h"
#include "base/file.h"
#include "cli/commands.h"
#include "report/kernelbench.h"
#include "report/table.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;

constexpr int kListed = 50;
constexpr int kAllRuns = 1'000'000;
constexpr int kAllLessons = 1'000'000;

std::string short_id(const std::string& id) {
  return id.substr(0, 12);
}

json record_json(const archive::VerdictRecord& record) {
  return {{"program", record.program},   {"workload", record.workload},
          {"region", record.region},     {"run", record.run},
          {"proposer", record.proposer}, {"idea", record.idea},
          {"parent", record.parent},     {"predicted_s", record.predicted_s},
          {"created", record.created},   {"verdict", referee::verdict_json(record.verdict)}};
}

std::string time_cell(const archive::VerdictRecord& record) {
  return record.verdict.timing ? report::ms_text(record.verdict.timing->ms) : "–";
}

void print_records(const std::vector<archive::VerdictRecord>& records,
                   const GlobalOptions& global) {
  if (global.json) {
    json out = json::array();
    for (const auto& record : records) out.push_back(record_json(record));
    fmt::print("{}\n", out.dump(-1, ' ', false, json::error_handler_t::replace));
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"program", "verdict", "time", "idea", "when"}};
  for (const auto& record : records)
    rows.push_back({short_id(record.program), referee::verdict_name(record.verdict.kind),
                    time_cell(record), record.idea, record.created});
  fmt::print("{}", report::text_table(rows));
}

Status list(archive::Archive& archive, const GlobalOptions& global) {
  KW_TRY(auto runs, archive.runs(kListed));
  if (global.json) {
    json out = json::array();
    for (const auto& run : runs)
      out.push_back({{"run", run.id},
                     {"workload", run.workload},
                     {"status", run.status},
                     {"started", run.started},
                     {"out", run.out_dir}});
    fmt::print("{}\n", out.dump());
    return {};
  }
  if (runs.empty()) {
    fmt::print("the archive is empty: nothing was optimized yet\n");
    return {};
  }
  std::vector<std::vector<std::string>> rows = {{"run", "workload", "status", "started", "folder"}};
  for (const auto& run : runs)
    rows.push_back({run.id, run.workload, run.status, run.started, run.out_dir});
  fmt::print("{}", report::text_table(rows));
  return {};
}

// A run by its id, else a program by a prefix of its id.
Status show(archive::Archive& archive, const std::string& id, const GlobalOptions& global) {
  KW_TRY(auto of_run, archive.verdicts_of_run(id));
  if (!of_run.empty()) {
    print_records(of_run, global);
    return {};
  }
  KW_TRY(auto records, archive.verdicts_of_program(id));
  KW_TRY(program::Candidate candidate, archive.load(id));
  print_records(records, global);
  if (!global.json)
    fmt::print("\n{}\n{}\n", program::print_program(candidate.program), candidate.source);
  return {};
}

// Best gain first. As JSON lines for other programs and archives.
Status lessons(archive::Archive& archive, const ArchiveOptions& options,
               const GlobalOptions& global) {
  KW_TRY(auto found, archive.lessons("", kAllLessons));
  const auto dump = [](const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  };
  if (options.as_json_lines) {
    for (const auto& lesson : found) fmt::print("{}\n", dump(archive::lesson_json(lesson)));
    return {};
  }
  if (global.json) {
    json out = json::array();
    for (const auto& lesson : found) out.push_back(archive::lesson_json(lesson));
    fmt::print("{}\n", dump(out));
    return {};
  }
  for (const auto& lesson : found)
    fmt::print("{} on {}: {} ({}-bound; {})\n", report::ratio_text(lesson.gain), lesson.target,
               lesson.change, lesson.bottleneck, lesson.ops);
  if (found.empty()) fmt::print("no lessons yet\n");
  return {};
}

// The run folder to export from: a run by its id, else the latest run of a program that is still
// there. `region` is the program's; empty for a run.
Status find_run(archive::Archive& archive, const std::string& id, std::string& folder,
                std::string& region) {
  KW_TRY(auto runs, archive.runs(kAllRuns));
  for (const auto& run : runs)
    if (run.id == id) {
      folder = run.out_dir;
      return {};
    }
  KW_TRY(auto records, archive.verdicts_of_program(id));
  for (auto record = records.rbegin(); record != records.rend(); ++record)
    for (const auto& run : runs)
      if (run.id == record->run && std::filesystem::exists(run.out_dir)) {
        folder = run.out_dir;
        region = record->region;
        return {};
      }
  return fail(
      ErrorKind::kInput,
      "the folder of the run that made this program is gone: the original module is needed");
}

Status export_kernelbench(archive::Archive& archive, const ArchiveOptions& options,
                          const GlobalOptions& global) {
  std::string folder, region, text;
  KW_CHECK_OK(find_run(archive, options.id, folder, region));
  if (region.empty()) {
    KW_TRY(text, report::kernelbench_file(folder, nullptr, ""));
  } else {
    KW_TRY(program::Candidate candidate, archive.load(options.id));
    KW_TRY(text, report::kernelbench_file(folder, &candidate, region));
  }
  const std::string out =
      options.out.empty() ? "kernelbench-" + short_id(options.id) + ".py" : options.out;
  KW_CHECK_OK(base::write_file_atomic(out, text));
  if (global.json)
    fmt::print("{}\n", json{{"id", options.id}, {"file", out}, {"run", folder}}.dump());
  else
    fmt::print("{}\n", out);
  return {};
}

Status export_program(archive::Archive& archive, const ArchiveOptions& options,
                      const GlobalOptions& global) {
  if (options.format == "kernelbench") return export_kernelbench(archive, options, global);
  KW_TRY(std::string id, archive.resolve(options.id));
  KW_TRY(program::Candidate candidate, archive.load(id));
  const std::string out = options.out.empty() ? "program-" + short_id(id) : options.out;
  KW_CHECK_OK(program::write_candidate(candidate, out));
  if (global.json)
    fmt::print("{}\n", json{{"program", id}, {"dir", out}}.dump());
  else
    fmt::print("{}\n", out);
  return {};
}

}  // namespace

int cmd_archive(const ArchiveOptions& options, const GlobalOptions& global) {
  const auto run = [&]() -> Status {
    KW_TRY(auto path, archive::Archive::default_path());
    KW_TRY(auto archive, archive::Archive::open(path));
    switch (options.action) {
      case ArchiveOptions::Action::kList:
        return list(archive, global);
      case ArchiveOptions::Action::kShow:
        return show(archive, options.id, global);
      case ArchiveOptions::Action::kLessons:
        return lessons(archive, options, global);
      case ArchiveOptions::Action::kExport:
        return export_program(archive, options, global);
      case ArchiveOptions::Action::kBest: {
        KW_TRY(auto records, archive.best(options.id, kListed));
        if (records.empty())
          return fail(
              ErrorKind::kInput,
              fmt::format("no accepted program for workload '{}' in the archive", options.id));
        print_records(records, global);
        return {};
      }
    }
    return {};
  };
  const auto done = run();
  return done ? 0 : report_error(done.error(), global);
}

}  // namespace kernelwright::cli
