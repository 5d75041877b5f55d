// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "archive/sqlite.h"
#include "base/result.h"
#include "program/proposer.h"
#include "referee/verdict.h"

namespace kernelwright::archive {

// What verdicts are about: one region of one workload, on one device, under one policy.
struct SubjectRecord {
  std::string id;        // identity of the region's graph, target device and policy
  std::string workload;  // short name
  std::string region;
  std::string target, device, policy;
  std::string ops;  // op names, space-separated, for finding lessons
  // The region without its extents (rewrite::structure_of), and these: regions of one structure
  // take each other's schedules. Empty for what an older kernelwright recorded.
  std::string structure = {};
  std::vector<int64_t> extents = {};
};

struct RunRecord {
  std::string id;  // folder name of the run
  std::string workload;
  std::string out_dir;
  std::string command;
  std::string status;   // "running", "improved", "baseline_kept", "interrupted", "failed", "killed"
  std::string started;  // ISO time, UTC
  std::string result_json;
};

// One judged program, as it is listed.
struct VerdictRecord {
  int64_t id = 0;
  std::string program;
  std::string subject, workload, region;
  std::string run;
  std::string proposer, idea, parent;
  double predicted_s = 0;
  std::string schedule_json;
  std::string created;
  referee::Verdict verdict;
};

// What paid off: a short note, written after a promotion accepted a program (lessons.h finds them).
struct Lesson {
  int64_t id = 0;
  std::string ops;         // of the region, as SubjectRecord::ops
  std::string target;      // "cpu"
  std::string bottleneck;  // "memory", "compute"
  std::string change;      // one line: what made it faster
  std::string program;     // id of the program
  double gain = 1;         // over the fastest baseline
  std::string created;
};

// Everything tried, in one SQLite file (WAL): subjects, runs, programs with their content-addressed
// sources, proposals with lineage, verdicts, lessons. A record that returned survives the death of
// the process at any moment. Several processes may write; each write is one transaction.
class Archive {
 public:
  // Opens or creates; an archive of a newer schema is refused (kEnvironment).
  static Result<Archive> open(const std::filesystem::path& path);
  // The user's archive under the XDG data folder.
  static Result<std::filesystem::path> default_path();

  // What is known of a subject stays; a structure that was not known is added.
  Status record_subject(const SubjectRecord& subject);
  // Other subjects of the same structure, target and policy, by id.
  Result<std::vector<SubjectRecord>> subjects_like(const SubjectRecord& subject);
  Status begin_run(const RunRecord& run);
  Status finish_run(const std::string& id, const std::string& status,
                    const std::string& result_json);
  // Runs into this folder that ended without a word: "killed". For who holds the folder.
  Status bury_runs(const std::string& out_dir);
  // Program, source, proposal and verdict in one transaction. Returns the verdict's id.
  Result<int64_t> record(const std::string& run, const std::string& subject,
                         const program::Proposal& proposal, const std::string& candidate_id,
                         const referee::Verdict& verdict);
  // One note per program and target: a better gain takes the place of an earlier one.
  Status record_lesson(const Lesson& lesson);

  // Newest first.
  Result<std::vector<RunRecord>> runs(int limit);
  Result<std::vector<VerdictRecord>> verdicts_of_run(const std::string& run);
  Result<std::vector<VerdictRecord>> verdicts_of_program(const std::string& id_prefix);
  // Promoted and accepted programs, fastest first, of all workloads whose name matches.
  Result<std::vector<VerdictRecord>> best(const std::string& workload, int limit);
  // Oldest first, of every run.
  Result<std::vector<VerdictRecord>> verdicts_of_subject(const std::string& subject);
  Result<std::vector<Lesson>> lessons(const std::string& ops_substring, int limit);
  // The candidate back from the archive; kInput when no program, or more than one, has this id
  // prefix.
  Result<program::Candidate> load(const std::string& id_prefix);
  Result<std::string> resolve(const std::string& id_prefix);

 private:
  explicit Archive(Database database) : database_(std::move(database)) {}
  Result<std::vector<VerdictRecord>> select(const std::string& where_and_order,
                                            const std::vector<std::string>& texts, int limit);
  Database database_;
};

// "2026-11-21T10:00:00Z", now.
std::string utc_now();

}  // namespace kernelwright::archive
