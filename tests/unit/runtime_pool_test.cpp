// SPDX-License-Identifier: Apache-2.0
// The pool, its ranges and its barrier; also meant for the tsan build.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/sanitizers.h"
#include "target/cpu/runtime/pool.h"

namespace kernelwright::runtime {
namespace {

struct Count {
  explicit Count(int64_t total) : hits(static_cast<size_t>(total)) {}
  std::vector<int> hits;  // plain: two workers on one index would be a race
  std::atomic<int64_t> shortest{INT64_MAX};
  static void body(void* context, int, int64_t begin, int64_t end) {
    auto& self = *static_cast<Count*>(context);
    for (int64_t i = begin; i < end; ++i) ++self.hits[static_cast<size_t>(i)];
    int64_t seen = self.shortest.load();
    while (end - begin < seen && end != static_cast<int64_t>(self.hits.size()) &&
           !self.shortest.compare_exchange_weak(seen, end - begin)) {
    }
  }
};

TEST(RuntimePool, RangesCoverEveryIndexOnce) {
  Pool pool;
  for (int threads : {1, 2, 3, 5}) {
    pool.set_threads(threads);
    auto held = pool.lock();
    for (int64_t total : {1, 2, 3, 7, 64, 1000, 4099})
      for (int64_t grain : {0, 1, 3, 1000, 100000}) {
        Count count(total);
        pool.run_ranges(Count::body, &count, total, grain);
        ASSERT_EQ(count.hits, std::vector<int>(static_cast<size_t>(total), 1))
            << threads << " " << total << " " << grain;
        ASSERT_GE(count.shortest.load(), grain);
      }
  }
}

TEST(RuntimePool, NothingToDoIsFine) {
  Pool pool;
  pool.set_threads(2);
  auto held = pool.lock();
  Count count(0);
  pool.run_ranges(Count::body, &count, 0, 0);
}

TEST(RuntimePool, ResultsOfOneLaunchAreSeenByTheNext) {
  Pool pool;
  pool.set_threads(3);
  auto held = pool.lock();
  Count count(513);
  for (int i = 0; i < 300; ++i) {
    if (i % 50 == 0) pool.park();
    pool.run_ranges(Count::body, &count, 513, 1);
  }
  EXPECT_EQ(count.hits, std::vector<int>(513, 300));
}

TEST(RuntimePool, WakingCountsAsNoLaunchOfAnyones) {
  for (int threads : {1, 3}) {
    Pool pool;
    pool.set_threads(threads);
    pool.wake();  // also starts them
    pool.park();
    pool.wake();
    auto held = pool.lock();
    Count count(100);
    pool.run_ranges(Count::body, &count, 100, 1);
    EXPECT_EQ(count.hits, std::vector<int>(100, 1));
  }
}

struct Team {
  Pool* pool;
  std::vector<int> value, calls;
  bool right = true;
  std::atomic<int> wrong{0};
  static void body(void* context, int worker, int64_t begin, int64_t end) {
    auto& self = *static_cast<Team*>(context);
    auto w = static_cast<size_t>(worker);
    ++self.calls[w];
    if (begin != 0 || end != 17) ++self.wrong;
    // Each round everybody writes, meets, reads its neighbour, and meets again.
    for (int round = 1; round <= 20; ++round) {
      self.value[w] = round;
      self.pool->team_barrier();
      if (self.value[(w + 1) % self.value.size()] != round) ++self.wrong;
      self.pool->team_barrier();
    }
  }
};

TEST(RuntimePool, TeamsRunEveryWorkerOnceAndMeet) {
  Pool pool;
  for (int threads : {1, 2, 4}) {
    pool.set_threads(threads);
    auto held = pool.lock();
    Team team{&pool,
              std::vector<int>(static_cast<size_t>(threads)),
              std::vector<int>(static_cast<size_t>(threads)),
              true,
              {}};
    for (int i = 0; i < 10; ++i) pool.run_team(Team::body, &team, 17);
    EXPECT_EQ(team.calls, std::vector<int>(static_cast<size_t>(threads), 10));
    EXPECT_EQ(team.wrong, 0);
  }
}

TEST(RuntimePool, RangesAndTeamsAlternate) {
  Pool pool;
  pool.set_threads(2);
  auto held = pool.lock();
  Count count(100);
  Team team{&pool, std::vector<int>(2), std::vector<int>(2), true, {}};
  for (int i = 0; i < 50; ++i) {
    pool.run_ranges(Count::body, &count, 100, 1);
    pool.run_team(Team::body, &team, 17);
  }
  EXPECT_EQ(count.hits, std::vector<int>(100, 50));
  EXPECT_EQ(team.calls, std::vector<int>(2, 50));
  EXPECT_EQ(team.wrong, 0);
}

TEST(RuntimePool, AChildOfForkHasWorkersOfItsOwn) {
  if (base::kThreadSanitizer)
    GTEST_SKIP() << "the thread sanitizer does not follow a fork of a threaded process";
  process_pool().set_threads(2);
  Count before(1000);
  {
    auto held = process_pool().lock();
    process_pool().run_ranges(Count::body, &before, 1000, 1);
  }
  pid_t child = fork();
  if (child == 0) {
    Count count(1000);
    auto held = process_pool().lock();
    process_pool().run_ranges(Count::body, &count, 1000, 1);
    bool right = process_pool().threads() == 2 && count.hits == std::vector<int>(1000, 1);
    _exit(right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace kernelwright::runtime
