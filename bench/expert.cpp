// SPDX-License-Identifier: Apache-2.0
// Times the expert's proposals for one op, without the referee: bench_expert CASE [COUNT]
// [THREADS], or bench_expert FILE/graph.json. Prints seconds (median), what the machine model and
// what it learned so far said of them, GFLOP/s, share of the measured peak, and the idea.
// KW_BENCH_SAVE=DIR keeps the fastest candidate, KW_BENCH_SHOW=1 prints the fused ops,
// KW_BENCH_CPU=1 counts processor time (for one thread on a busy machine).
#include "expert/expert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <random>

#include "graph/analysis.h"
#include "graph/import.h"
#include "kernelwright/runtime.h"
#include "rewrite/fuse.h"
#include "rewrite/partition.h"
#include "target/target.h"

using namespace kernelwright;
using graph::axis;
using graph::Combiner;
using graph::constant;
using graph::Expr;
using graph::ExprOp;
using graph::integer;

namespace {

graph::StageGraph g;
int inputs = 0, weights = 0;

int tensor(graph::Shape shape, graph::TensorRole role) {
  graph::StageTensor t;
  t.name = fmt::format("t{}", g.tensors.size());
  t.type.shape = std::move(shape);
  t.role = role;
  t.index = role == graph::TensorRole::kInput ? inputs++ : 0;
  if (role == graph::TensorRole::kWeight) t.weight_name = fmt::format("w{}", weights++);
  g.tensors.push_back(t);
  return static_cast<int>(g.tensors.size()) - 1;
}
int input(graph::Shape shape) {
  return tensor(std::move(shape), graph::TensorRole::kInput);
}
int weight(graph::Shape shape) {
  return tensor(std::move(shape), graph::TensorRole::kWeight);
}
int temporary(graph::Shape shape) {
  return tensor(std::move(shape), graph::TensorRole::kTemporary);
}
int output(graph::Shape shape) {
  return tensor(std::move(shape), graph::TensorRole::kOutput);
}
Expr at(int t, std::vector<Expr> index) {
  return graph::load(t, graph::ScalarKind::kReal, std::move(index));
}

int stage(int to, Expr body, Combiner combiner = Combiner::kNone, std::vector<int64_t> reduce = {},
          Expr finish = nullptr) {
  graph::Stage s;
  s.output = to;
  s.body = std::move(body);
  s.combiner = combiner;
  s.reduce = std::move(reduce);
  s.finish = std::move(finish);
  s.origin = fmt::format("stage{}", g.stages.size());
  g.stages.push_back(std::move(s));
  return to;
}

Expr exp_of(Expr x) {
  return graph::unary(ExprOp::kExp, std::move(x));
}

// softmax(q k^T) v, heads of 64.
void attention(int64_t heads, int64_t rows, int64_t keys, bool causal) {
  const int q = input({heads, rows, 64}), k = input({heads, keys, 64}),
            v = input({heads, keys, 64}), s = temporary({heads, rows, keys}),
            m = temporary({heads, rows}), z = temporary({heads, rows}),
            w = temporary({heads, rows, keys});
  const Expr h = axis(0), i = axis(1), j = axis(2), l = axis(3);
  Expr score = graph::reduced(graph::ScalarKind::kReal) * constant(0.125);
  if (causal) score = graph::select(graph::binary(ExprOp::kLe, j, i), score, constant(-HUGE_VAL));
  stage(s, at(q, {h, i, l}) * at(k, {h, j, l}), Combiner::kSum, {64}, score);
  stage(m, at(s, {h, i, j}), Combiner::kMax, {keys});
  stage(z, exp_of(at(s, {h, i, j}) - at(m, {h, i})), Combiner::kSum, {keys});
  stage(w, graph::binary(ExprOp::kDiv, exp_of(at(s, {h, i, j}) - at(m, {h, i})), at(z, {h, i})));
  stage(output({heads, rows, 64}), at(w, {h, i, l}) * at(v, {h, l, j}), Combiner::kSum, {keys});
}

bool make_case(const std::string& name) {
  const Expr i = axis(0), j = axis(1), k = axis(2);
  if (name == "matmul") {
    const int a = input({1024, 1024}), b = input({1024, 1024});
    stage(output({1024, 1024}), at(a, {i, k}) * at(b, {k, j}), Combiner::kSum, {1024});
  } else if (name == "linear") {
    const int a = input({512, 1024}), b = weight({1024, 1024}), c = weight({1024});
    const int t = temporary({512, 1024});
    stage(t, at(a, {i, k}) * at(b, {j, k}), Combiner::kSum, {1024});
    stage(output({512, 1024}), at(t, {i, j}) + at(c, {j}));
  } else if (name == "conv") {
    const int x = input({8, 32, 48, 48}), w = weight({64, 32, 3, 3});
    const Expr h = axis(2) + axis(5) - integer(1), v = axis(3) + axis(6) - integer(1);
    auto in = [](const Expr& e) {
      return graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, e, integer(0)),
                           graph::binary(ExprOp::kLt, e, integer(48)));
    };
    const Expr load = graph::select(graph::binary(ExprOp::kAnd, in(h), in(v)),
                                    at(x, {i, axis(4), h, v}), constant(0));
    stage(output({8, 64, 48, 48}), load * at(w, {j, axis(4), axis(5), axis(6)}), Combiner::kSum,
          {32, 3, 3});
  } else if (name == "relu") {
    const int x = input({4096, 4096});
    stage(output({4096, 4096}), graph::binary(ExprOp::kMax, at(x, {i, j}), constant(0)));
  } else if (name == "gelu") {
    const int x = input({2048, 2048});
    const Expr v = at(x, {i, j});
    stage(output({2048, 2048}),
          v * constant(0.5) *
              (constant(1) + graph::unary(ExprOp::kErf, v * constant(0.70710678118654752))));
  } else if (name == "softmax") {
    const int x = input({512, 8192}), m = temporary({512, 1}), e = temporary({512, 8192}),
              s = temporary({512, 1});
    stage(m, at(x, {i, k}), Combiner::kMax, {8192});
    stage(e, exp_of(at(x, {i, j}) - at(m, {i, integer(0)})));
    stage(s, at(e, {i, k}), Combiner::kSum, {8192});
    stage(output({512, 8192}), graph::binary(ExprOp::kDiv, at(e, {i, j}), at(s, {i, integer(0)})));
  } else if (name == "channel_softmax") {
    const int x = input({8, 64, 46, 46}), m = temporary({8, 46, 46}),
              e = temporary({8, 64, 46, 46}), s = temporary({8, 46, 46});
    stage(m, at(x, {i, axis(3), axis(1), axis(2)}), Combiner::kMax, {64});
    stage(e, exp_of(at(x, {i, j, axis(2), axis(3)}) - at(m, {i, axis(2), axis(3)})));
    stage(s, at(e, {i, axis(3), axis(1), axis(2)}), Combiner::kSum, {64});
    stage(output({8, 64, 46, 46}), graph::binary(ExprOp::kDiv, at(e, {i, j, axis(2), axis(3)}),
                                                 at(s, {i, axis(2), axis(3)})));
  } else if (name == "attention") {
    attention(16, 256, 256, false);
  } else if (name == "causal_attention") {
    attention(16, 512, 512, true);
  } else if (name == "decode") {
    attention(32, 1, 4096, false);
  } else if (name == "layernorm") {
    const int64_t n = 16 * 128 * 128;
    const int x = input({16, n}), w = weight({n}), b = weight({n}), mean = temporary({16}),
              var = temporary({16});
    const Expr total =
        graph::reduced(graph::ScalarKind::kReal) * constant(1.0 / static_cast<double>(n));
    stage(mean, at(x, {i, j}), Combiner::kSum, {n}, total);
    const Expr d = at(x, {i, j}) - at(mean, {i});
    stage(var, d * d, Combiner::kSum, {n}, total);
    stage(
        output({16, n}),
        d * graph::unary(ExprOp::kRsqrt, at(var, {i}) + constant(1e-5)) * at(w, {j}) + at(b, {j}));
  } else if (name == "avgpool") {
    const int x = input({16, 64, 4096});
    const Expr at_in = axis(2) + axis(3) - integer(4);
    const Expr in = graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, at_in, integer(0)),
                                  graph::binary(ExprOp::kLt, at_in, integer(4096)));
    stage(output({16, 64, 4097}), graph::select(in, at(x, {i, j, at_in}), constant(0)),
          Combiner::kSum, {8}, graph::reduced(graph::ScalarKind::kReal) * constant(0.125));
  } else if (name == "maxpool") {
    const int x = input({8, 64, 48, 48});
    stage(output({8, 64, 24, 24}),
          at(x, {i, j, axis(2) * integer(2) + axis(4), axis(3) * integer(2) + axis(5)}),
          Combiner::kMax, {2, 2});
  } else {
    return false;
  }
  return true;
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().text());
    std::exit(2);
  }
  return std::move(*result);
}

struct Block {
  std::vector<float> data;
  float* get() {
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(data.data()) + 63) / 64 * 64);
  }
};

double now() {
  timespec time{};
  clock_gettime(std::getenv("KW_BENCH_CPU") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Median seconds of some calls with the caches swept in between; negative on failure.
double time_program(const std::string& json, const std::string& object, int threads) {
  kw_set_threads(threads);
  kw_program* program = nullptr;
  if (kw_open(json.c_str(), object.c_str(), &program) != 0) {
    fmt::print(stderr, "{}\n", kw_last_error());
    return -1;
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<std::vector<Block>> blocks(4);
  std::vector<std::vector<void*>> pointers(4);
  const char* roles[] = {"input", "weight", "output", "state"};
  for (int r = 0; r < 4; ++r) {
    const int count = kw_buffer_count(program, roles[r]);
    blocks[static_cast<size_t>(r)].resize(static_cast<size_t>(count));
    for (int b = 0; b < count; ++b) {
      Block& block = blocks[static_cast<size_t>(r)][static_cast<size_t>(b)];
      block.data.resize(static_cast<size_t>(kw_buffer_bytes(program, roles[r], b)) / 4 + 32);
      for (float& value : block.data) value = uniform(random);
      pointers[static_cast<size_t>(r)].push_back(block.get());
    }
  }
  kw_prepare(program, pointers[1].data());
  std::vector<float> sweep(std::getenv("KW_BENCH_WARM") ? 16 : (64 << 20) / 4, 1.0f);
  std::vector<double> seconds;
  double spent = 0;
  for (int call = 0; call < 60 && (spent < 0.5 || call < 4); ++call) {
    for (float& value : sweep) value += 1;
    const double begin = now();
    if (kw_run(program, pointers[0].data(), pointers[2].data(), pointers[3].data(), nullptr) != 0) {
      fmt::print(stderr, "{}\n", kw_last_error());
      return -1;
    }
    seconds.push_back(now() - begin);
    spent += seconds.back();
  }
  kw_close(program);
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "matmul";
  const int count = argc > 2 ? std::atoi(argv[2]) : 12;
  const int threads = argc > 3 ? std::atoi(argv[3]) : 2;
  if (name.size() > 5 && name.substr(name.size() - 5) == ".json") {
    const graph::Graph whole = must(graph::read_graph(name));
    g = must(graph::lower(whole, rewrite::partition(whole).regions.at(0)));
  } else if (!make_case(name)) {
    fmt::print(stderr, "unknown case {}\n", name);
    return 2;
  }
  if (std::getenv("KW_BENCH_SHOW")) {
    fmt::print("{}\n--- fused\n", g.text());
    const rewrite::FusedGraph fused = rewrite::fuse(g);
    for (const auto& joined : fused.joined)
      fmt::print("joined: {}\n", fmt::join(joined.parts, " "));
    for (const auto& op : fused.ops) {
      graph::StageGraph one{g.tensors, op.stages};
      fmt::print("anchor {}\n{}\n", static_cast<int>(op.anchor),
                 one.text().substr(one.text().find("\n") + 1));
    }
  }
  auto cpu = must(target::open_target("cpu"));
  const target::MachineModel model = must(cpu->machine_model());
  expert::ExpertOptions options;
  options.threads = threads;
  auto proposer = must(expert::make_expert(g, model, options));
  const graph::Work work = graph::count_work(g);
  const double flops = work.contraction_flops + work.other_flops;
  const double peak = model.peak(graph::DType::kF32);
  fmt::print("{:.3f} GFLOP, {:.1f} MB, peak {:.0f} GFLOP/s, {:.1f} GB/s, at best {:.3f} ms\n",
             flops * 1e-9, work.bytes * 1e-6, peak * 1e-9, model.memory_bytes_per_s() * 1e-9,
             1e3 * std::max(flops / peak, work.bytes / model.memory_bytes_per_s()));
  double best = 0;
  for (int round = 0; round < count; ++round) {
    const auto proposals = must(proposer->propose(1));
    if (proposals.empty()) break;
    const program::Proposal& proposal = proposals[0];
    auto built = must(cpu->build(proposal.candidate, target::Policy::kStrict));
    program::Outcome outcome;
    outcome.candidate_id = program::candidate_id(proposal.candidate);
    if (!built) {
      fmt::print("does not build: {}\n{}\n", proposal.idea, built.error().log.substr(0, 1500));
      continue;
    }
    outcome.seconds =
        time_program(program::print_program(proposal.candidate.program), built->path, threads);
    outcome.correct = outcome.seconds > 0;
    proposer->learn(outcome);
    fmt::print(
        "{:9.3f} ms  predicted {:9.3f}  learned {:9.3f}  {:7.1f} GFLOP/s  {:3.0f} %  {:.1f} s  "
        "{}\n",
        1e3 * outcome.seconds, 1e3 * proposal.predicted_s, 1e3 * proposal.learned_s,
        flops / outcome.seconds * 1e-9, 100 * flops / outcome.seconds / peak, built->seconds,
        proposal.idea);
    const char* save = std::getenv("KW_BENCH_SAVE");
    if (save != nullptr && outcome.correct && (best == 0 || outcome.seconds < best)) {
      if (auto written = program::write_candidate(proposal.candidate, save); !written)
        fmt::print(stderr, "{}\n", written.error().text());
    }
    if (outcome.correct && (best == 0 || outcome.seconds < best)) best = outcome.seconds;
    std::fflush(stdout);
  }
  fmt::print("best {:.3f} ms\n", 1e3 * best);
  return 0;
}
