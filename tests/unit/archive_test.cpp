// SPDX-License-Identifier: Apache-2.0
#include "archive/archive.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive/lessons.h"
#include "base/file.h"

namespace kernelwright::archive {
namespace {

program::Proposal proposal(int number, const std::string& parent = "") {
  program::Proposal p;
  p.candidate.program.target = "cpu";
  p.candidate.program.source = "kernels.cpp";
  p.candidate.source = "// program " + std::to_string(number);
  p.proposer = "expert";
  p.idea = "idea " + std::to_string(number);
  p.parent = parent;
  p.schedule = {{"tile", number}};
  return p;
}

referee::Verdict verdict(referee::VerdictKind kind, double ms,
                         referee::Tier tier = referee::Tier::kSearch) {
  referee::Verdict v;
  v.kind = kind;
  v.tier = tier;
  v.reason = "because";
  if (ms > 0) {
    v.timing.emplace();
    v.timing->ms = ms;
  }
  return v;
}

class ArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = base::TempDir::create("kw-archive");
    ASSERT_TRUE(dir) << dir.error().text();
    dir_.emplace(std::move(*dir));
    open();
  }
  void open() {
    archive_.reset();
    auto opened = Archive::open(path());
    ASSERT_TRUE(opened) << opened.error().text();
    archive_.emplace(std::move(*opened));
    ASSERT_TRUE(archive_->record_subject(
        {"s", "relu", "r0", "cpu", "device", "strict", "aten.relu.default"}));
    ASSERT_TRUE(
        archive_->begin_run({"run", "relu", "runs/relu", "optimize", "running", utc_now(), ""}));
  }
  std::filesystem::path path() const { return dir_->path() / "archive.sqlite"; }
  Archive& archive() { return *archive_; }

  std::optional<base::TempDir> dir_;
  std::optional<Archive> archive_;
};

TEST_F(ArchiveTest, AVerdictComesBackWithItsLineage) {
  ASSERT_TRUE(archive().record("run", "s", proposal(1), "aaa1",
                               verdict(referee::VerdictKind::kAccepted, 2)));
  ASSERT_TRUE(archive().record("run", "s", proposal(2, "aaa1"), "bbb2",
                               verdict(referee::VerdictKind::kWrong, 0)));
  open();
  auto records = archive().verdicts_of_run("run");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ(records->at(1).parent, "aaa1");
  EXPECT_EQ(records->at(1).idea, "idea 2");
  EXPECT_EQ(records->at(1).verdict.kind, referee::VerdictKind::kWrong);
  EXPECT_DOUBLE_EQ(records->at(0).verdict.timing->ms, 2);
  auto candidate = archive().load("bbb");
  ASSERT_TRUE(candidate) << candidate.error().text();
  EXPECT_EQ(candidate->source, "// program 2");
}

TEST_F(ArchiveTest, BestMeansPromotedAndAcceptedFastestFirst) {
  const auto promotion = referee::Tier::kPromotion;
  ASSERT_TRUE(
      archive().record("run", "s", proposal(1), "a", verdict(referee::VerdictKind::kAccepted, 1)));
  ASSERT_TRUE(archive().record("run", "s", proposal(2), "b",
                               verdict(referee::VerdictKind::kAccepted, 3, promotion)));
  ASSERT_TRUE(archive().record("run", "s", proposal(3), "c",
                               verdict(referee::VerdictKind::kAccepted, 2, promotion)));
  ASSERT_TRUE(archive().record("run", "s", proposal(4), "d",
                               verdict(referee::VerdictKind::kSlower, 1, promotion)));
  auto best = archive().best("relu", 10);
  ASSERT_TRUE(best);
  ASSERT_EQ(best->size(), 2u);
  EXPECT_EQ(best->at(0).program, "c");
  auto of_subject = archive().verdicts_of_subject("s");
  ASSERT_TRUE(of_subject);
  EXPECT_EQ(of_subject->back().program, "d");
  EXPECT_TRUE(archive().verdicts_of_subject("other")->empty());
}

TEST_F(ArchiveTest, AnUnknownOrAmbiguousIdIsInput) {
  ASSERT_TRUE(archive().record("run", "s", proposal(1), "ab1",
                               verdict(referee::VerdictKind::kAccepted, 1)));
  ASSERT_TRUE(archive().record("run", "s", proposal(2), "ab2",
                               verdict(referee::VerdictKind::kAccepted, 1)));
  EXPECT_EQ(archive().load("zz").error().kind, ErrorKind::kInput);
  EXPECT_NE(archive().load("ab").error().message.find("ambiguous"), std::string::npos);
  EXPECT_FALSE(archive().load("%"));
  EXPECT_FALSE(archive().load(""));
}

TEST_F(ArchiveTest, ANewerSchemaIsRefused) {
  archive_.reset();
  {
    auto database = Database::open(path());
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("PRAGMA user_version=999"));
  }
  auto opened = Archive::open(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kEnvironment);
}

// What was recorded before structures were known stays, and gets one when its region is met again.
TEST_F(ArchiveTest, AnArchiveOfSchema1IsTakenOver) {
  const auto old = dir_->path() / "old.sqlite";
  {
    auto database = Database::open(old);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute(
        "CREATE TABLE subject(id TEXT PRIMARY KEY, workload TEXT NOT NULL, region TEXT NOT NULL, "
        "target TEXT NOT NULL, device TEXT NOT NULL, policy TEXT NOT NULL, ops TEXT NOT NULL) "
        "STRICT; INSERT INTO subject VALUES('a','w','r0','cpu','d','strict','o'); "
        "INSERT INTO subject VALUES('b','w','r0','cpu','d','strict','o'); PRAGMA user_version=1;"));
  }
  const SubjectRecord b = {"b", "w", "r0", "cpu", "d", "strict", "o", "relu", {8}};
  for (int time = 0; time < 2; ++time) {
    auto opened = Archive::open(old);
    ASSERT_TRUE(opened) << opened.error().text();
    ASSERT_TRUE(opened->record_subject(b));
    EXPECT_EQ(opened->subjects_like(b)->size(), static_cast<size_t>(time));
    ASSERT_TRUE(
        opened->record_subject({"a", "w", "r0", "cpu", "d", "strict", "o", "relu", {4, 2}}));
    const auto like = opened->subjects_like(b);
    ASSERT_TRUE(like && like->size() == 1);
    EXPECT_EQ(like->front().id, "a");
    EXPECT_EQ(like->front().extents, (std::vector<int64_t>{4, 2}));
  }
}

TEST_F(ArchiveTest, AFileThatIsNoArchiveIsSaidSo) {
  const auto junk = dir_->path() / "junk.sqlite";
  ASSERT_TRUE(base::write_file_atomic(junk, std::string(5000, 'x')));
  auto opened = Archive::open(junk);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kEnvironment);
}

Lesson lesson(const std::string& ops, const std::string& target, const std::string& bottleneck,
              double gain, const std::string& program) {
  return {0, ops, target, bottleneck, "change " + program, program, gain, ""};
}

TEST(Lessons, SimilarRegionsAreThoseThatShareOpKinds) {
  EXPECT_EQ(op_kind("aten.add.Tensor"), "add");
  EXPECT_EQ(op_kind("aten.relu.default"), "relu");
  EXPECT_EQ(op_kind("relu"), "relu");
  EXPECT_DOUBLE_EQ(op_overlap("aten.add.Tensor aten.relu.default", "aten.add.Scalar"), 0.5);
  EXPECT_DOUBLE_EQ(op_overlap("", ""), 0);
}

TEST(Lessons, TheSameTargetComesFirstThenTheClosestRegion) {
  const std::vector<Lesson> all = {
      lesson("aten.mm.default", "cpu", "compute", 9, "unrelated"),
      lesson("aten.add.Tensor aten.relu.default", "cuda", "memory", 5, "elsewhere"),
      lesson("aten.add.Tensor", "cpu", "memory", 2, "half"),
      lesson("aten.add.Tensor aten.relu.default", "cpu", "compute", 3, "other bound"),
      lesson("aten.add.Scalar aten.relu.default", "cpu", "memory", 1.5, "alike"),
  };
  const LessonQuery query{"aten.add.Tensor aten.relu.default", "cpu", "memory"};
  std::vector<std::string> order;
  for (const auto& found : similar_lessons(all, query, 10)) order.push_back(found.program);
  EXPECT_EQ(order, (std::vector<std::string>{"alike", "other bound", "half", "elsewhere"}));
  EXPECT_EQ(similar_lessons(all, query, 2).size(), 2u);
}

TEST_F(ArchiveTest, ALessonIsAShortNotePerProgram) {
  ASSERT_TRUE(archive().record_lesson(lesson("aten.mm.default", "cpu", "compute", 2, "p1")));
  ASSERT_TRUE(archive().record_lesson(lesson("aten.mm.default", "cpu", "compute", 1.5, "p1")));
  ASSERT_TRUE(archive().record_lesson(lesson("aten.mm.default", "cuda", "compute", 1.2, "p1")));
  auto wordy = lesson("aten.mm.default", "cpu", "compute", 3, "p2");
  wordy.change = "one\ntwo\x1b[31m " + std::string(5000, 'x');
  ASSERT_TRUE(archive().record_lesson(wordy));
  open();
  auto lessons = archive().lessons("", 10);
  ASSERT_TRUE(lessons);
  ASSERT_EQ(lessons->size(), 3u);
  EXPECT_EQ(lessons->at(0).change.substr(0, 8), "one two ");
  EXPECT_LE(lessons->at(0).change.size(), kChangeBytes);
  EXPECT_EQ(lessons->at(0).change.find('\x1b'), std::string::npos);
  EXPECT_DOUBLE_EQ(lessons->at(1).gain, 2);
}

// A writer is killed at many points; whatever it had been told is recorded must be there.
TEST_F(ArchiveTest, KillingTheProcessLosesNoRecordedVerdict) {
  archive_.reset();
  for (int round = 0; round < 12; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto writer = Archive::open(path());
      for (int i = 0; writer && i < 100000; ++i) {
        const auto id = writer->record("run", "s", proposal(i),
                                       "p" + std::to_string(round) + "-" + std::to_string(i),
                                       verdict(referee::VerdictKind::kAccepted, 1));
        if (!id || write(pipe_fds[1], &*id, sizeof *id) != sizeof *id) break;
      }
      _exit(1);
    }
    close(pipe_fds[1]);
    int64_t last = 0;
    for (int i = 0; i <= 3 * round; ++i)
      ASSERT_EQ(read(pipe_fds[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    kill(child, SIGKILL);
    for (int64_t id = 0; read(pipe_fds[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id);)
      last = id;
    close(pipe_fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    auto reader = Archive::open(path());
    ASSERT_TRUE(reader) << reader.error().text();
    auto records = reader->verdicts_of_run("run");
    ASSERT_TRUE(records);
    ASSERT_FALSE(records->empty());
    EXPECT_GE(records->back().id, last);
    EXPECT_EQ(records->back().id, static_cast<int64_t>(records->size()));
    EXPECT_TRUE(reader->load(records->back().program));
  }
}

}  // namespace
}  // namespace kernelwright::archive
