// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/pool.h"

#include <pthread.h>

#include <algorithm>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kernelwright::runtime {
namespace {

// About 300 microseconds of pause instructions: longer than the gap between two launches, and than
// what Python does between two calls on cold caches (some 150); far shorter than OpenMP's workers
// spin.
constexpr int kIdleSpins = 12000;
// Ranges a worker's own part is cut into, so that others can help out.
constexpr int64_t kRangesPerPart = 8;

// The caller's rounding mode and denormal flags, so that all workers compute alike.
uint32_t float_control() {
#if defined(__x86_64__)
  return _mm_getcsr();
#else
  return 0;
#endif
}
void set_float_control([[maybe_unused]] uint32_t value) {
#if defined(__x86_64__)
  _mm_setcsr(value);
#endif
}

std::atomic<Pool*> g_pool{nullptr};
std::mutex g_pool_mutex;
int g_threads_at_fork = 1;

void before_fork() {
  g_pool_mutex.lock();
  Pool* pool = g_pool.load();
  g_threads_at_fork = pool ? pool->threads() : 1;
}
void after_fork_parent() {
  g_pool_mutex.unlock();
}
// The workers exist in the parent only: forget that pool and start over.
void after_fork_child() {
  auto* fresh = new Pool;
  fresh->set_threads(g_threads_at_fork);
  g_pool.store(fresh);
  g_pool_mutex.unlock();
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Pool& process_pool() {
  if (Pool* pool = g_pool.load(std::memory_order_acquire)) return *pool;
  std::lock_guard guard(g_pool_mutex);
  if (Pool* pool = g_pool.load(std::memory_order_acquire)) return *pool;
  pthread_atfork(before_fork, after_fork_parent, after_fork_child);
  // Never destroyed: threads may still be in it while the process ends.
  auto* pool = new Pool;
  g_pool.store(pool, std::memory_order_release);
  return *pool;
}

Pool::~Pool() {
  stop_workers();
}

void Pool::set_threads(int count) {
  std::lock_guard guard(mutex_);
  if (count == threads()) return;
  stop_workers();
  threads_.store(count, std::memory_order_relaxed);
}

void Pool::start_workers() {
  int count = threads();
  if (static_cast<int>(workers_.size()) == count - 1) return;
  // Spinning only helps where every thread has a core.
  spins_ = count <= available_cores() ? kIdleSpins : 0;
  parts_ = std::make_unique<Part[]>(static_cast<size_t>(count));
  try {
    for (int worker = 1; worker < count; ++worker)
      workers_.emplace_back([this, worker] { worker_main(worker); });
  } catch (...) {
    stop_workers();
    throw;
  }
}

void Pool::wake() {
  std::lock_guard guard(mutex_);
  // Only workers that run at the same time get past the barrier. The first may share a core with
  // the caller until the scheduler moves it.
  for (int round = 0; round < 3; ++round)
    run_team([](void* pool, int, int64_t, int64_t) { static_cast<Pool*>(pool)->team_barrier(); },
             this, 1);
}

void Pool::stop_workers() {
  if (workers_.empty()) return;
  stopping_.store(true);
  generation_.fetch_add(1);
  futex_wake(generation_, INT_MAX);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  stopping_.store(false);
}

void Pool::wait_for_job(uint32_t last) {
  uint32_t parked = park_requests_.load(std::memory_order_acquire);
  for (int i = 0; i < spins_; ++i) {
    if (generation_.load(std::memory_order_acquire) != last) return;
    if (park_requests_.load(std::memory_order_relaxed) != parked) break;
    cpu_relax();
  }
  // seq_cst with publish(): either it sees this worker asleep, or the wait sees the new generation.
  asleep_.fetch_add(1);
  while (generation_.load() == last) futex_wait(generation_, last);
  asleep_.fetch_sub(1);
}

void Pool::worker_main(int worker) {
  // `seen` is the last generation looked at, `done` the last job taken part in.
  uint32_t seen = 0, done = 0;
  while (true) {
    wait_for_job(seen);
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    // seq_cst with finish(): either it sees this worker inside, or the worker sees the job closed.
    inside_.fetch_add(1);
    if (open_.load() && job_.generation != done) {
      done = job_.generation;
      work(worker);
      if (job_.team) team_left_.fetch_sub(1, std::memory_order_release);
    }
    inside_.fetch_sub(1, std::memory_order_release);
  }
}

void Pool::publish(int wanted_workers) {
  uint32_t generation = generation_.load(std::memory_order_relaxed) + 1;
  job_.generation = generation;
  job_.float_control = float_control();
  open_.store(true);
  generation_.store(generation);
  if (asleep_.load() > 0) futex_wake(generation_, wanted_workers);
}

void Pool::finish() {
  if (job_.team)
    spin_until([&] { return team_left_.load(std::memory_order_acquire) == 0; }, spins_);
  // Workers that have not entered by now are not needed: every range is taken.
  open_.store(false);
  spin_until([&] { return inside_.load() == 0; }, spins_);
}

void Pool::work(int worker) {
  set_float_control(job_.float_control);
  if (job_.team) {
    job_.body(job_.context, worker, 0, job_.total);
  } else {
    int count = threads();
    for (int k = 0; k < count; ++k) {
      int owner = worker + k < count ? worker + k : worker + k - count;
      Part& part = parts_[static_cast<size_t>(owner)];
      while (part.next.load(std::memory_order_relaxed) < part.end) {
        int64_t begin = part.next.fetch_add(job_.chunk, std::memory_order_relaxed);
        if (begin >= part.end) break;
        job_.body(job_.context, worker, begin, std::min(begin + job_.chunk, part.end));
      }
    }
  }
  set_float_control(job_.float_control);
}

void Pool::run_ranges(Body body, void* context, int64_t total, int64_t grain) {
  if (total <= 0) return;
  int count = threads();
  int64_t share = (total + count - 1) / count;
  int64_t chunk = std::max({share / kRangesPerPart, grain, int64_t{1}});
  // Whole cache lines of elements per range keep two workers from writing one line.
  if (chunk >= 1024) chunk = (chunk + 63) / 64 * 64;
  if (count == 1 || chunk >= total) {
    uint32_t control = float_control();
    body(context, 0, 0, total);
    set_float_control(control);
    return;
  }
  start_workers();
  job_ = Job{body, context, total, chunk, false, 0, 0};
  int64_t ranges = (total + chunk - 1) / chunk;
  int64_t base = ranges / count, extra = ranges % count, next = 0;
  for (int i = 0; i < count; ++i) {
    Part& part = parts_[static_cast<size_t>(i)];
    int64_t end = std::min(total, next + (base + (i < extra ? 1 : 0)) * chunk);
    part.next.store(next, std::memory_order_relaxed);
    part.end = end;
    next = end;
  }
  publish(static_cast<int>(std::min<int64_t>(count, ranges) - 1));
  work(0);
  finish();
}

void Pool::run_team(Body body, void* context, int64_t total) {
  int count = threads();
  if (count > 1) start_workers();
  barrier_.reset(count, count > 1 ? spins_ : 0);
  if (count == 1) {
    uint32_t control = float_control();
    body(context, 0, 0, total);
    set_float_control(control);
    return;
  }
  job_ = Job{body, context, total, 1, true, 0, 0};
  team_left_.store(count - 1, std::memory_order_relaxed);
  publish(count - 1);
  work(0);
  finish();
}

}  // namespace kernelwright::runtime
