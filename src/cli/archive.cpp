// SPDX-License-Identifier: Apache-2.0
#include "archive/archive.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "report/table.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;

constexpr int kListed = 50;

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

Status lessons(archive::Archive& archive, const std::string& ops, const GlobalOptions& global) {
  KW_TRY(auto found, archive.lessons(ops, 1000));
  json out = json::array();
  for (const auto& lesson : found) {
    out.push_back({{"ops", lesson.ops},
                   {"target", lesson.target},
                   {"bottleneck", lesson.bottleneck},
                   {"change", lesson.change},
                   {"gain", lesson.gain},
                   {"program", lesson.program}});
    if (!global.json)
      fmt::print("{} on {}: {} ({}, {})\n", report::ratio_text(lesson.gain), lesson.target,
                 lesson.change, lesson.bottleneck, lesson.ops);
  }
  if (global.json)
    fmt::print("{}\n", out.dump());
  else if (found.empty())
    fmt::print("no lessons yet\n");
  return {};
}

Status export_program(archive::Archive& archive, const ArchiveOptions& options,
                      const GlobalOptions& global) {
  if (options.format != "dir")
    return fail(
        ErrorKind::kUsage,
        fmt::format(
            "format {} needs target cuda, which is not part of this build: use --format dir",
            options.format));
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
        return lessons(archive, options.id, global);
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
