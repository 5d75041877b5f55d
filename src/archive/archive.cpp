// SPDX-License-Identifier: Apache-2.0
#include "archive/archive.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "archive/lessons.h"
#include "base/file.h"
#include "base/hash.h"

namespace kernelwright::archive {
namespace {

constexpr int kSchema = 2;

const char* const kCreate = R"sql(
CREATE TABLE IF NOT EXISTS subject(
  id TEXT PRIMARY KEY, workload TEXT NOT NULL, region TEXT NOT NULL, target TEXT NOT NULL,
  device TEXT NOT NULL, policy TEXT NOT NULL, ops TEXT NOT NULL,
  structure TEXT NOT NULL DEFAULT '', extents TEXT NOT NULL DEFAULT '[]') STRICT;
CREATE TABLE IF NOT EXISTS run(
  id TEXT PRIMARY KEY, workload TEXT NOT NULL, out_dir TEXT NOT NULL, command TEXT NOT NULL,
  status TEXT NOT NULL, started TEXT NOT NULL, finished TEXT, result TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS source(sha TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS program(
  id TEXT PRIMARY KEY, json TEXT NOT NULL, source TEXT NOT NULL REFERENCES source(sha)) STRICT;
CREATE TABLE IF NOT EXISTS verdict(
  id INTEGER PRIMARY KEY, program TEXT NOT NULL REFERENCES program(id),
  subject TEXT NOT NULL REFERENCES subject(id), run TEXT NOT NULL REFERENCES run(id),
  proposer TEXT NOT NULL, idea TEXT NOT NULL, parent TEXT NOT NULL, predicted_s REAL NOT NULL,
  schedule TEXT NOT NULL, kind TEXT NOT NULL, tier TEXT NOT NULL, ms REAL, json TEXT NOT NULL,
  created TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS verdict_by_run ON verdict(run);
CREATE INDEX IF NOT EXISTS verdict_by_subject ON verdict(subject, kind, ms);
CREATE INDEX IF NOT EXISTS verdict_by_program ON verdict(program);
CREATE TABLE IF NOT EXISTS lesson(
  id INTEGER PRIMARY KEY, ops TEXT NOT NULL, target TEXT NOT NULL, bottleneck TEXT NOT NULL,
  change TEXT NOT NULL, gain REAL NOT NULL, program TEXT NOT NULL, created TEXT NOT NULL) STRICT;
)sql";

// What a subject of schema 1 lacks.
const char* const kToSchema2 = R"sql(
ALTER TABLE subject ADD COLUMN structure TEXT NOT NULL DEFAULT '';
ALTER TABLE subject ADD COLUMN extents TEXT NOT NULL DEFAULT '[]';
)sql";
const char* const kSubjectsByStructure =
    "CREATE INDEX IF NOT EXISTS subject_by_structure ON subject(structure)";

// 0: no archive yet.
Result<int64_t> schema_of(Database& database) {
  KW_TRY(Statement version, database.prepare("PRAGMA user_version"));
  KW_TRY(const bool row, version.step());
  return row ? version.integer(0) : 0;
}

const char* tier_name(referee::Tier tier) {
  return tier == referee::Tier::kPromotion ? "promotion" : "search";
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

Result<std::filesystem::path> Archive::default_path() {
  KW_TRY(std::filesystem::path dir, base::data_dir());
  return dir / "archive.sqlite";
}

Result<Archive> Archive::open(const std::filesystem::path& path) {
  KW_TRY(Database database, Database::open(path));
  KW_TRY(int64_t schema, schema_of(database));
  if (schema > kSchema)
    return fail(
        Error{ErrorKind::kEnvironment, "the archive was written by a newer kernelwright", {}}
            .with("archive", path.string())
            .with("schema", std::to_string(schema)));
  if (schema < kSchema) {
    KW_CHECK_OK(database.transaction([&]() -> Status {
      // Another process may have done it meanwhile.
      KW_TRY(schema, schema_of(database));
      if (schema >= kSchema) return {};
      KW_CHECK_OK(database.execute(schema == 1 ? kToSchema2 : kCreate));
      KW_CHECK_OK(database.execute(kSubjectsByStructure));
      return database.execute(fmt::format("PRAGMA user_version={}", kSchema));
    }));
  }
  return Archive(std::move(database));
}

Status Archive::record_subject(const SubjectRecord& subject) {
  KW_TRY(Statement insert,
         database_.prepare("INSERT INTO subject(id,workload,region,target,device,policy,ops,"
                           "structure,extents) VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE "
                           "SET structure=excluded.structure, extents=excluded.extents "
                           "WHERE structure=''"));
  insert << subject.id << subject.workload << subject.region << subject.target << subject.device
         << subject.policy << subject.ops << subject.structure
         << nlohmann::json(subject.extents).dump();
  return insert.run();
}

Result<std::vector<SubjectRecord>> Archive::subjects_like(const SubjectRecord& subject) {
  KW_TRY(Statement query,
         database_.prepare("SELECT id,workload,region,target,device,policy,ops,structure,extents "
                           "FROM subject WHERE structure=? AND structure<>'' AND target=? AND "
                           "policy=? AND id<>? ORDER BY id"));
  query << subject.structure << subject.target << subject.policy << subject.id;
  std::vector<SubjectRecord> out;
  while (true) {
    KW_TRY(bool row, query.step());
    if (!row) return out;
    SubjectRecord other{query.text(0), query.text(1), query.text(2), query.text(3),
                        query.text(4), query.text(5), query.text(6), query.text(7)};
    const auto extents = nlohmann::json::parse(query.text(8), nullptr, false);
    const bool numbers = extents.is_array() &&
                         std::all_of(extents.begin(), extents.end(),
                                     [](const auto& extent) { return extent.is_number_integer(); });
    if (numbers) other.extents = extents.get<std::vector<int64_t>>();
    out.push_back(std::move(other));
  }
}

Status Archive::begin_run(const RunRecord& run) {
  KW_TRY(Statement insert,
         database_.prepare("INSERT OR REPLACE INTO run(id,workload,out_dir,command,"
                           "status,started) VALUES(?,?,?,?,?,?)"));
  insert << run.id << run.workload << run.out_dir << run.command << run.status << run.started;
  return insert.run();
}

Status Archive::finish_run(const std::string& id, const std::string& status,
                           const std::string& result_json) {
  KW_TRY(Statement update,
         database_.prepare("UPDATE run SET status=?, finished=?, result=? WHERE id=?"));
  update << status << utc_now() << result_json << id;
  return update.run();
}

Status Archive::bury_runs(const std::string& out_dir) {
  KW_TRY(Statement update, database_.prepare("UPDATE run SET status='killed', finished=? WHERE "
                                             "out_dir=? AND status='running'"));
  update << utc_now() << out_dir;
  return update.run();
}

Result<int64_t> Archive::record(const std::string& run, const std::string& subject,
                                const program::Proposal& proposal, const std::string& candidate_id,
                                const referee::Verdict& verdict) {
  int64_t id = 0;
  KW_CHECK_OK(database_.transaction([&]() -> Status {
    const std::string sha = base::sha256_hex(proposal.candidate.source);
    KW_TRY(Statement source,
           database_.prepare("INSERT OR IGNORE INTO source VALUES(?,CAST(? AS BLOB))"));
    source << sha << proposal.candidate.source;
    KW_CHECK_OK(source.run());
    KW_TRY(Statement program, database_.prepare("INSERT OR IGNORE INTO program VALUES(?,?,?)"));
    program << candidate_id << program::print_program(proposal.candidate.program) << sha;
    KW_CHECK_OK(program.run());
    KW_TRY(Statement insert,
           database_.prepare(
               "INSERT INTO verdict(program,subject,run,proposer,idea,parent,predicted_s,"
               "schedule,kind,tier,ms,json,created) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) "
               "RETURNING id"));
    std::optional<double> ms;
    if (verdict.timing) ms = verdict.timing->ms;
    insert << candidate_id << subject << run << proposal.proposer << proposal.idea
           << proposal.parent << proposal.predicted_s << nlohmann::json(proposal.schedule).dump()
           << referee::verdict_name(verdict.kind) << tier_name(verdict.tier) << ms
           << referee::verdict_json(verdict).dump(-1, ' ', false,
                                                  nlohmann::json::error_handler_t::replace)
           << utc_now();
    KW_TRY(bool row, insert.step());
    if (row) id = insert.integer(0);
    return insert.run();
  }));
  return id;
}

Status Archive::record_lesson(const Lesson& lesson) {
  return database_.transaction([&]() -> Status {
    KW_TRY(Statement worse, database_.prepare("DELETE FROM lesson WHERE program=? AND target=? "
                                              "AND gain<=?"));
    worse << lesson.program << lesson.target << lesson.gain;
    KW_CHECK_OK(worse.run());
    KW_TRY(
        Statement insert,
        database_.prepare("INSERT INTO lesson(ops,target,bottleneck,change,gain,program,created) "
                          "SELECT ?,?,?,?,?,?,? WHERE NOT EXISTS "
                          "(SELECT 1 FROM lesson WHERE program=? AND target=?)"));
    insert << lesson.ops << lesson.target << lesson.bottleneck << short_change(lesson.change)
           << lesson.gain << lesson.program << utc_now() << lesson.program << lesson.target;
    return insert.run();
  });
}

Result<std::vector<RunRecord>> Archive::runs(int limit) {
  KW_TRY(Statement query,
         database_.prepare("SELECT id,workload,out_dir,command,status,started,result "
                           "FROM run ORDER BY started DESC, id DESC LIMIT ?"));
  query << limit;
  std::vector<RunRecord> out;
  while (true) {
    KW_TRY(bool row, query.step());
    if (!row) return out;
    out.push_back({query.text(0), query.text(1), query.text(2), query.text(3), query.text(4),
                   query.text(5), query.text(6)});
  }
}

Result<std::vector<VerdictRecord>> Archive::select(const std::string& where_and_order,
                                                   const std::vector<std::string>& texts,
                                                   int limit) {
  KW_TRY(Statement query,
         database_.prepare(
             "SELECT v.id,v.program,v.subject,s.workload,s.region,v.run,v.proposer,v.idea,"
             "v.parent,v.predicted_s,v.schedule,v.created,v.json FROM verdict v JOIN "
             "subject s ON s.id=v.subject " +
             where_and_order + " LIMIT ?"));
  for (const auto& text : texts) query << text;
  query << limit;
  std::vector<VerdictRecord> out;
  while (true) {
    KW_TRY(bool row, query.step());
    if (!row) return out;
    VerdictRecord record;
    record.id = query.integer(0);
    record.program = query.text(1);
    record.subject = query.text(2);
    record.workload = query.text(3);
    record.region = query.text(4);
    record.run = query.text(5);
    record.proposer = query.text(6);
    record.idea = query.text(7);
    record.parent = query.text(8);
    record.predicted_s = query.real(9);
    record.schedule_json = query.text(10);
    record.created = query.text(11);
    const auto json = nlohmann::json::parse(query.text(12), nullptr, false);
    KW_TRY(record.verdict, referee::parse_verdict(json));
    out.push_back(std::move(record));
  }
}

Result<std::vector<VerdictRecord>> Archive::verdicts_of_run(const std::string& run) {
  return select("WHERE v.run=? ORDER BY v.id", {run}, 1'000'000);
}

Result<std::vector<VerdictRecord>> Archive::verdicts_of_program(const std::string& id_prefix) {
  KW_TRY(std::string id, resolve(id_prefix));
  return select("WHERE v.program=? ORDER BY v.id", {id}, 10'000);
}

Result<std::vector<VerdictRecord>> Archive::best(const std::string& workload, int limit) {
  return select("WHERE s.workload=? AND v.kind='accepted' AND v.tier='promotion' ORDER BY v.ms",
                {workload}, limit);
}

Result<std::vector<VerdictRecord>> Archive::verdicts_of_subject(const std::string& subject) {
  return select("WHERE v.subject=? ORDER BY v.id", {subject}, 1'000'000);
}

Result<std::vector<Lesson>> Archive::lessons(const std::string& ops_substring, int limit) {
  KW_TRY(
      Statement query,
      database_.prepare("SELECT id,ops,target,bottleneck,change,gain,program,created FROM lesson "
                        "WHERE instr(ops,?)>0 OR ?='' ORDER BY gain DESC LIMIT ?"));
  query << ops_substring << ops_substring << limit;
  std::vector<Lesson> out;
  while (true) {
    KW_TRY(bool row, query.step());
    if (!row) return out;
    Lesson lesson;
    lesson.id = query.integer(0);
    lesson.ops = query.text(1);
    lesson.target = query.text(2);
    lesson.bottleneck = query.text(3);
    lesson.change = query.text(4);
    lesson.gain = query.real(5);
    lesson.program = query.text(6);
    lesson.created = query.text(7);
    out.push_back(std::move(lesson));
  }
}

Result<std::string> Archive::resolve(const std::string& id_prefix) {
  KW_TRY(Statement query,
         database_.prepare("SELECT id FROM program WHERE substr(id,1,length(?))=? LIMIT 2"));
  query << id_prefix << id_prefix;
  KW_TRY(bool row, query.step());
  if (!row || id_prefix.empty())
    return fail(ErrorKind::kInput, fmt::format("no program '{}' in the archive", id_prefix));
  std::string id = query.text(0);
  KW_TRY(bool second, query.step());
  if (second)
    return fail(ErrorKind::kInput,
                fmt::format("program id '{}' is ambiguous: give more of it", id_prefix));
  return id;
}

Result<program::Candidate> Archive::load(const std::string& id_prefix) {
  KW_TRY(std::string id, resolve(id_prefix));
  KW_TRY(Statement query,
         database_.prepare("SELECT p.json, s.content FROM program p JOIN source s ON "
                           "s.sha=p.source WHERE p.id=?"));
  query << id;
  KW_TRY(bool row, query.step());
  if (!row) return fail(ErrorKind::kInternal, "archive: program without its source");
  program::Candidate candidate;
  KW_TRY(candidate.program, program::parse_program(query.text(0)));
  candidate.source = query.text(1);
  return candidate;
}

}  // namespace kernelwright::archive
