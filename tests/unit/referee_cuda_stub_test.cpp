// SPDX-License-Identifier: Apache-2.0
// The referee on a GPU end to end, with bench workers of their own, against the stub driver: its
// memory is the host's, its kernels are few, and everything between them is the real thing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>

#include "program/parse.h"
#include "referee/cuda/cuda_arena.h"
#include "referee/referee.h"
#include "support/small_ops.h"

namespace kernelwright::referee {
namespace {

using ::testing::HasSubstr;

// Builds nothing: the stub knows its kernels by name.
class StubTarget final : public target::Target {
 public:
  explicit StubTarget(std::filesystem::path object) : object_(std::move(object)) {}
  std::string name() const override { return "cuda"; }
  std::string absent_reason() const override { return ""; }
  std::string device_name() const override { return "stub"; }
  std::string toolchain_identity() const override { return "stub"; }
  std::string toolchain_version() const override { return "stub"; }
  bool supports(target::Policy) const override { return true; }
  Result<tl::expected<target::BuiltObject, target::BuildFailure>> build(const program::Candidate&,
                                                                        target::Policy) override {
    std::ofstream(object_) << "cubin";
    target::BuiltObject object;
    object.path = object_;
    object.key = "key";
    return object;
  }
  std::optional<std::string> screen(const target::BuiltObject&,
                                    const program::Program&) const override {
    return std::nullopt;
  }
  Result<target::MachineModel> machine_model(bool) override {
    return fail(ErrorKind::kInternal, "none");
  }

 private:
  std::filesystem::path object_;
};

tests::SmallOp plus_one() {
  tests::SmallOp op;
  op.name = "plus_one";
  const graph::TensorType type{graph::DType::kF32, {1000}, {}};
  op.interface.inputs = {{"", type}};
  op.interface.outputs = {{"", type}};
  op.evaluate = [](const tests::SmallOp::Call& call) {
    tests::SmallOp::Results results;
    auto& y = results.outputs.emplace_back();
    for (double x : call.inputs[0]) y.push_back(call.round(x + 1));
    return results;
  };
  return op;
}

// y = x + 10 w
tests::SmallOp weighted() {
  tests::SmallOp op = plus_one();
  op.interface.weights = {{"w", op.interface.inputs[0].type}};
  op.evaluate = [](const tests::SmallOp::Call& call) {
    tests::SmallOp::Results results;
    auto& y = results.outputs.emplace_back();
    for (size_t i = 0; i < 1000; ++i)
      y.push_back(call.round(call.inputs[0][i] + call.round(10 * call.weights.at("w")[i])));
    return results;
  };
  return op;
}

// Does what the torch worker does on a GPU: maps the coordinator's memory and draws into it. The
// stub's memory is the host's.
class DeviceSource final : public DrawSource {
 public:
  explicit DeviceSource(const tests::SmallOp& op) : inner_(tests::small_op_source(op)) {}
  ~DeviceSource() override { EXPECT_TRUE(memory_.empty()) << "memory was not unmapped"; }
  Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) override {
    return fail(ErrorKind::kInternal, "draws on the device alone");
  }
  Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) override {
    return inner_->prepare_baseline(name);
  }
  Result<torch::Samples> time_baseline(const std::string& name, int calls,
                                       size_t flush_bytes) override {
    return inner_->time_baseline(name, calls, flush_bytes);
  }
  bool draws_on_device() const override { return true; }
  Status map_memory(const torch::DeviceMemory& memory, const std::vector<int>& fds) override {
    EXPECT_EQ(memory.segments.size(), fds.size());
    auto& segments = memory_[memory.id];
    for (size_t i = 0; i < fds.size(); ++i) {
      void* place =
          mmap(nullptr, memory.segments[i], PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
      EXPECT_NE(place, MAP_FAILED);
      segments.emplace_back(static_cast<std::byte*>(place), memory.segments[i]);
    }
    return {};
  }
  Status unmap_memory(const std::vector<int>& ids) override {
    for (int id : ids) {
      for (const auto& [place, bytes] : memory_.at(id)) munmap(place, bytes);
      memory_.erase(id);
    }
    return {};
  }
  Result<std::optional<torch::DeviceDraw>> draw_on(torch::DrawKind kind, uint64_t seed,
                                                   const torch::DevicePlaces& places) override {
    KW_TRY(auto drawn, inner_->draw(kind, seed));
    if (!drawn) return std::optional<torch::DeviceDraw>();
    const torch::Draw& draw = *drawn;
    auto put = [&](const torch::DevicePlace& place, const std::byte* from, size_t bytes) {
      EXPECT_EQ(place.offset % 64, 0u);
      const auto& [base, size] = memory_.at(place.memory).at(static_cast<size_t>(place.segment));
      ASSERT_LE(place.offset + bytes, size);
      std::memcpy(base + place.offset, from, bytes);
    };
    for (size_t i = 0; i < draw.inputs.size(); ++i)
      put(places.inputs.at(i), draw.given.data() + draw.inputs[i].offset,
          static_cast<size_t>(draw.inputs[i].type.bytes()));
    weights_written += places.write_weights ? 1 : 0;
    if (places.write_weights)
      put(places.weights.at(0).second, draw.given.data() + draw.weights.at(0).second.offset, 4000);
    torch::DeviceDraw out;
    out.exact = draw.exact;
    out.scalars = draw.scalars;
    for (size_t a = 0; a < draw.answers.size(); ++a) {
      const torch::Draw::Answer& from = draw.answers[a];
      const auto* eager = reinterpret_cast<const float*>(draw.expected.data() + from.eager.offset);
      const auto* oracle =
          reinterpret_cast<const double*>(draw.expected.data() + from.oracle.offset);
      const auto* scale = reinterpret_cast<const double*>(draw.expected.data() + from.scale.offset);
      std::vector<float> delta, beside;
      for (size_t i = 0; i < 1000; ++i) {
        delta.push_back(static_cast<float>(oracle[i] - static_cast<double>(eager[i])));
        beside.push_back(static_cast<float>(scale[i]));
      }
      const torch::DevicePlaces::Answer& to = places.answers.at(a);
      put(to.eager, reinterpret_cast<const std::byte*>(eager), 4000);
      put(to.delta, reinterpret_cast<const std::byte*>(delta.data()), 4000);
      put(to.scale, reinterpret_cast<const std::byte*>(beside.data()), 4000);
      torch::Draw::Answer answer;
      answer.name = from.name;
      answer.index = from.index;
      out.answers.push_back(std::move(answer));
    }
    return std::optional<torch::DeviceDraw>(std::move(out));
  }
  static inline int weights_written = 0;

 private:
  std::unique_ptr<DrawSource> inner_;
  std::map<int, std::vector<std::pair<std::byte*, size_t>>> memory_;
};

class RefereeCudaStub : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("KERNELWRIGHT_CUDA_DRIVER",
           (std::string(KW_BINARY_DIR) + "/lib/libkw_stub_cuda.so").c_str(), 1);
  }
  Result<Verdict> judge(const std::string& run, bool promote = false,
                        const std::string& more_buffers = "") {
    const tests::SmallOp op = plus_one();
    return judge(op, tests::small_op_source(op), run, promote, more_buffers);
  }
  Result<Verdict> judge(const tests::SmallOp& op, std::unique_ptr<DrawSource> source,
                        const std::string& run, bool promote, const std::string& more_buffers) {
    // Tests run side by side: a file for each process.
    StubTarget target(std::filesystem::path(::testing::TempDir()) /
                      ("kw_stub_referee_" + std::to_string(::getpid()) + ".cubin"));
    Subject subject;
    subject.region = "whole";
    subject.interface = op.interface;
    RefereeOptions options;
    options.search_time_s = 0.02;
    options.promotion_time_s = 0.05;
    options.flush_bytes = 1 << 20;
    options.bench_worker = std::string(KW_BINARY_DIR) + "/bin/kernelwright";
    KW_TRY(auto referee, Referee::open_with(subject, target, std::move(source), options));
    program::Candidate candidate;
    KW_TRY(candidate.program,
           program::parse_program(
               R"({"format": 1, "target": "cuda", "source": "k.cu", "buffers": {)"
               R"("x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0})" +
               more_buffers + R"(}, "run": [)" + run + "]}"));
    candidate.source = "// none";
    KW_TRY(auto prepared, referee->prepare({candidate}));
    if (promote) return referee->promote(prepared.at(0));
    return referee->judge(prepared.at(0), nullptr);
  }
  static std::string add(double value, int count) {
    return R"({"kernel": "add_value", "grid": [1], "block": [32], "args": ["x", {"out": "y"}, {"f32": )" +
           std::to_string(value) + R"(}, {"i32": )" + std::to_string(count) + "}]}";
  }
};

TEST_F(RefereeCudaStub, ARightProgramIsAcceptedInBothTiers) {
  for (bool promote : {false, true}) {
    const auto verdict = judge(add(1, 1000), promote);
    ASSERT_TRUE(verdict) << verdict.error().text();
    EXPECT_EQ(verdict->kind, VerdictKind::kAccepted) << verdict->reason;
    EXPECT_GE(verdict->draws, 4);
    ASSERT_TRUE(verdict->timing);
    EXPECT_GT(verdict->timing->ms, 0);
    EXPECT_GT(verdict->timing->latency_ms, 0);
  }
}

TEST_F(RefereeCudaStub, WrongResultsAreToldApart) {
  const auto off = judge(add(1.5, 1000));
  ASSERT_TRUE(off) << off.error().text();
  EXPECT_EQ(off->kind, VerdictKind::kWrong);
  EXPECT_THAT(off->reason, HasSubstr(" of 1000 elements wrong"));
  const auto missing = judge(add(1, 999));
  ASSERT_TRUE(missing) << missing.error().text();
  EXPECT_EQ(missing->kind, VerdictKind::kWrong);
  EXPECT_THAT(missing->reason, HasSubstr("[999]"));
  const auto beyond = judge(add(1, 1003));
  ASSERT_TRUE(beyond) << beyond.error().text();
  EXPECT_EQ(beyond->kind, VerdictKind::kWrong);
  EXPECT_THAT(beyond->reason, HasSubstr("wrote out of bounds: output 0"));
}

TEST_F(RefereeCudaStub, DrawsMadeInTheCoordinatorsMemoryAreJudged) {
  const tests::SmallOp op = weighted();
  const std::string weight = R"(, "w": {"role": "weight", "name": "w"})";
  auto mix = [](const char* w) {
    return std::string(R"({"kernel": "mix", "grid": [1], "block": [32], "args": ["x", ")") + w +
           R"(", {"out": "y"}, {"i32": 1000}]})";
  };
  for (bool promote : {false, true}) {
    DeviceSource::weights_written = 0;
    const auto right = judge(op, std::make_unique<DeviceSource>(op), mix("w"), promote, weight);
    ASSERT_TRUE(right) << right.error().text();
    EXPECT_EQ(right->kind, VerdictKind::kAccepted) << right->reason;
    // The usual weights once, and those of the draws that change them.
    EXPECT_EQ(DeviceSource::weights_written, promote ? 3 : 2);
  }
  const auto wrong = judge(op, std::make_unique<DeviceSource>(op), mix("x"), false, weight);
  ASSERT_TRUE(wrong) << wrong.error().text();
  EXPECT_EQ(wrong->kind, VerdictKind::kWrong) << wrong->reason;
}

// Beyond the band nothing is mapped.
TEST_F(RefereeCudaStub, AnAccessFarOutsideCrashes) {
  const auto far = judge(add(1, 1 << 20));
  ASSERT_TRUE(far) << far.error().text();
  EXPECT_EQ(far->kind, VerdictKind::kCrashed) << far->reason;
  EXPECT_THAT(far->reason, HasSubstr("kernel 'add_value'"));
}

TEST_F(RefereeCudaStub, ASyncBufferLeftSetIsWrong) {
  const auto verdict = judge(
      add(1, 1000) +
          R"(, {"kernel": "leave_dirty", "grid": [1], "block": [32], "args": [{"inout": "lock"}, {"out": "h"}]})",
      false,
      R"(, "lock": {"role": "sync", "dtype": "u32", "shape": [1]}, "h": {"role": "scratch", "dtype": "f32", "shape": [8]})");
  ASSERT_TRUE(verdict) << verdict.error().text();
  EXPECT_EQ(verdict->kind, VerdictKind::kWrong);
  EXPECT_THAT(verdict->reason, HasSubstr("sync"));
}

TEST_F(RefereeCudaStub, AnArenaFindsStrayWritesAndHashes) {
  auto device = JudgeDevice::open(0);
  ASSERT_TRUE(device) << device.error().text();
  for (Flush flush : {Flush::kEnd, Flush::kStart}) {
    auto arena = CudaArena::create(*device, {1000, 7}, flush, 3);
    ASSERT_TRUE(arena) << arena.error().text();
    EXPECT_EQ((*arena)->fds().size(), 2u);
    std::vector<std::byte> content(1000, std::byte{5});
    ASSERT_TRUE((*arena)->write(0, content.data()));
    const uint64_t before = (*arena)->hash(0).value();
    EXPECT_FALSE((*arena)->damage(0).value());
    // Flush with the start, what lies before is not mapped at all.
    if (flush == Flush::kEnd) {
      (*arena)->tensor(0)[-2] ^= std::byte{1};
      EXPECT_EQ((*arena)->damage(0).value(), "2 byte(s) before its start");
    }
    (*arena)->tensor(1)[8] ^= std::byte{1};
    EXPECT_EQ((*arena)->damage(1).value(), "2 byte(s) past its end");
    EXPECT_EQ((*arena)->hash(0).value(), before);
    (*arena)->tensor(0)[999] = std::byte{6};
    EXPECT_NE((*arena)->hash(0).value(), before);
  }
}

}  // namespace
}  // namespace kernelwright::referee
