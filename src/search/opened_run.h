// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive/archive.h"
#include "graph/stage.h"
#include "program/proposer.h"
#include "referee/referee.h"
#include "search/artifact.h"
#include "search/contest.h"
#include "search/final_check.h"
#include "search/run.h"
#include "search/run_result.h"
#include "search/session.h"

namespace kernelwright::search {

// One region of an opened run: what it is, who judges it, what was found.
struct OpenedRegion {
  RegionResult result;
  graph::StageGraph stages;
  std::string subject;
  std::string ops;                // op names, space-separated
  archive::SubjectRecord record;  // of the two, and what similar regions are found by
  graph::Work work;
  graph::SpeedOfLight light;
  std::unique_ptr<referee::Referee> referee;
  referee::Baselines baselines;
  std::unique_ptr<Contest> contest;
  std::optional<referee::Prepared> winner;
};

// A run between its set-up and its artifact: the workload is open, each region has its referee and
// its contest, and whoever proposes programs may enter them. finish() makes the artifact of the
// best. Lives in one thread, with which its worker processes end.
class OpenedRun {
 public:
  // As optimize(): folder, session, archive, baselines, draws. `options.stop` is asked between
  // steps (kInterrupted).
  static Result<std::unique_ptr<OpenedRun>> open(const RunOptions& options);

  const RunOptions& options() const { return options_; }
  const std::string& id() const { return id_; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  const std::filesystem::path& out() const { return folder_.out(); }
  Session& session() { return session_; }
  archive::Archive& archive() { return archive_; }
  std::vector<OpenedRegion>& regions() { return regions_; }
  uint64_t seed() const { return seed_; }

  // The built-in proposer for a region.
  Result<std::unique_ptr<program::Proposer>> expert(const OpenedRegion& region) const;
  // Every supported graph has a correct program: the naive loop nest.
  Result<program::Proposal> naive(const OpenedRegion& region) const;
  // The folder's own program of a region, when the archive does not know it.
  std::optional<program::Proposal> left_behind(const OpenedRegion& region) const;

  // Promotes the best of every region, writes the drop-in, lets the final check have the last word,
  // publishes the folder. On an error before that it may be called again.
  Result<RunResult> finish(double search_s);
  // What the agents took, for result.json.
  void tell_agents(std::string summary_json) { begun_.agents_json = std::move(summary_json); }
  // Marks the run as failed in the archive; the folder goes with this object.
  void failed(const Error& error);

 private:
  OpenedRun(RunOptions options, ArtifactFolder folder, Session session, archive::Archive archive);
  double elapsed() const;
  Status go_on() const;  // kInterrupted when told to stop
  Status begin();
  Status check_resumed() const;
  Status open_regions();
  // Why it cannot be judged and stays in eager; nullopt: it is open.
  Result<std::optional<std::string>> open_region(OpenedRegion& run);
  void leave_in_eager(const graph::Region& region, const std::string& reason);
  Status enter_contest(OpenedRegion& run);
  Status promote_regions();
  Status promote(OpenedRegion& run);
  // The rules that a program came by.
  Result<std::vector<rewrite::Applied>> rewrites_of(const std::string& program);
  Status record_promotion(OpenedRegion& run, const referee::Prepared& prepared,
                          const referee::Verdict& verdict);
  Status write_artifact();
  void take_region_results();
  double whole_eager_ms();
  std::string why_nothing_was_accepted() const;
  torch::Worker::Traffic traffic() const;
  Status take_final_check(const FinalCheck& check, const std::string& programs);
  Status keep_baseline(const std::string& reason);
  void take_region_baseline();
  Status publish();
  Status write_verdicts();

  RunOptions options_;
  ArtifactFolder folder_;
  Session session_;
  archive::Archive archive_;
  std::chrono::steady_clock::time_point start_;
  uint64_t seed_;
  std::string id_;
  RunResult begun_;   // what is known when it opens
  RunResult result_;  // of finish()
  std::vector<OpenedRegion> regions_;
  std::string unjudged_;  // why the first region that cannot be judged stays in eager
  std::optional<double> whole_eager_ms_;
};

}  // namespace kernelwright::search
