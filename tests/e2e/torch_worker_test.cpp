// SPDX-License-Identifier: Apache-2.0
// The real worker: a Python with PyTorch. Without one, every test is skipped with the reason.
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/file.h"
#include "torch/worker.h"

namespace kernelwright::torch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRelu = R"(import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)

def get_inputs():
    return [torch.randn(64, 100)]
)";

class TorchWorker : public ::testing::Test {
 protected:
  // PyTorch takes seconds to load: one worker for all the tests that leave it whole.
  static void SetUpTestSuite() {
    auto python = find_python();
    if (!python) {
      reason_ = python.error().text();
      return;
    }
    folder_ = new base::TempDir(*base::TempDir::create("kw-torch"));
    auto worker = Worker::start(options());
    ASSERT_TRUE(worker) << worker.error().text();
    worker_ = new Worker(std::move(*worker));
  }
  static void TearDownTestSuite() {
    if (worker_ != nullptr) worker_->stop();
    delete worker_;
    delete folder_;
    worker_ = nullptr;
    folder_ = nullptr;
  }
  void SetUp() override {
    if (worker_ == nullptr) GTEST_SKIP() << reason_;
  }

  static WorkerOptions options() {
    WorkerOptions out;
    out.threads = 1;
    out.log_path = folder_->path() / "torch.log";
    return out;
  }
  static WorkloadSpec spec(const std::string& name, const std::string& text) {
    const fs::path path = folder_->path() / name;
    std::ofstream(path) << text;
    return WorkloadSpec{path.string(), "", "", "cpu", "strict", "cpu"};
  }

  static inline std::string reason_;
  static inline base::TempDir* folder_ = nullptr;
  static inline Worker* worker_ = nullptr;
};

const float* floats(const base::SharedMemory& memory, const Draw::Tensor& tensor) {
  return reinterpret_cast<const float*>(memory.data() + tensor.offset);
}
const double* doubles(const base::SharedMemory& memory, const Draw::Tensor& tensor) {
  return reinterpret_cast<const double*>(memory.data() + tensor.offset);
}

TEST_F(TorchWorker, SaysHello) {
  EXPECT_EQ(worker_->threads(), 1);
  EXPECT_EQ(worker_->versions().count("torch"), 1u);
}

TEST_F(TorchWorker, ReluGoesAllTheWay) {
  auto imported = worker_->import(spec("relu.py", kRelu), folder_->path() / "relu");
  ASSERT_TRUE(imported) << imported.error().text();
  EXPECT_EQ(imported->name, "relu");
  ASSERT_EQ(imported->graph.inputs.size(), 1u);
  ASSERT_EQ(imported->graph.nodes.size(), 1u);

  graph::Region region;
  region.id = "r0";
  region.whole = true;
  region.nodes = {0};
  region.inputs = imported->graph.inputs;
  region.outputs = {imported->graph.outputs.at(0).value};
  ASSERT_TRUE(worker_->set_regions(imported->graph, {region}));

  auto draw = worker_->draw("r0", DrawKind::kOwn, 0xfedcba9876543210u);
  ASSERT_TRUE(draw) << draw.error().text();
  ASSERT_TRUE(draw->has_value());
  const Draw& own = **draw;
  ASSERT_EQ(own.inputs.size(), 1u);
  ASSERT_EQ(own.answers.size(), 1u);
  const Draw::Answer& answer = own.answers[0];
  EXPECT_EQ(answer.index, 0);
  EXPECT_TRUE(answer.exact_bits);
  const float *x = floats(own.given, own.inputs[0]), *y = floats(own.expected, answer.eager);
  const double *o = doubles(own.expected, answer.oracle), *s = doubles(own.expected, answer.scale);
  int negative = 0;
  for (int i = 0; i < 6400; ++i) {
    negative += x[i] < 0;
    EXPECT_EQ(y[i], std::max(x[i], 0.0f));
    EXPECT_EQ(o[i], static_cast<double>(y[i]));
    EXPECT_GE(s[i], std::fabs(o[i]) * 0x1p-24);
    EXPECT_LE(s[i], std::max(std::fabs(o[i]) * 0x1p-18, 0x1p-126));
  }
  EXPECT_GT(negative, 1000);

  // The same seed gives the same inputs, another one gives others.
  auto again = worker_->draw("r0", DrawKind::kOwn, 0xfedcba9876543210u);
  auto other = worker_->draw("r0", DrawKind::kOwn, 7);
  ASSERT_TRUE(again && *again && other && *other);
  EXPECT_EQ(std::memcmp(x, floats((*again)->given, (*again)->inputs[0]), 25600), 0);
  EXPECT_NE(std::memcmp(x, floats((*other)->given, (*other)->inputs[0]), 25600), 0);

  auto zeros = worker_->draw("r0", DrawKind::kZeros, 1);
  ASSERT_TRUE(zeros && *zeros);
  EXPECT_EQ(floats((*zeros)->given, (*zeros)->inputs[0])[17], 0.0f);
  auto weights = worker_->draw("r0", DrawKind::kWeights, 1);
  ASSERT_TRUE(weights) << weights.error().text();
  EXPECT_FALSE(weights->has_value());

  auto ready = worker_->prepare_baseline("r0", "eager");
  ASSERT_TRUE(ready) << ready.error().text();
  EXPECT_TRUE(ready->available);
  auto ms = worker_->time_baseline("r0", "eager", 5, 1 << 16);
  ASSERT_TRUE(ms) << ms.error().text();
  EXPECT_EQ(ms->ms.size(), 5u);
  for (double sample : ms->ms) EXPECT_GT(sample, 0.0);
  auto unknown = worker_->prepare_baseline("r0", "no-such");
  ASSERT_TRUE(unknown) << unknown.error().text();
  EXPECT_FALSE(unknown->available);
}

TEST_F(TorchWorker, ErrorInTheUsersFileNamesItsPlace) {
  auto imported =
      worker_->import(spec("broken.py", "import torch\n\nraise ValueError('no luck')\n"),
                      folder_->path() / "broken");
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().kind, ErrorKind::kInput);
  EXPECT_NE(imported.error().text().find("ValueError: no luck"), std::string::npos)
      << imported.error().text();
  EXPECT_NE(imported.error().text().find("broken.py:3"), std::string::npos)
      << imported.error().text();
}

TEST_F(TorchWorker, UnknownRegionIsAnError) {
  ASSERT_TRUE(worker_->import(spec("relu2.py", kRelu), folder_->path() / "relu2"));
  auto draw = worker_->draw("nowhere", DrawKind::kOwn, 1);
  ASSERT_FALSE(draw);
  EXPECT_EQ(draw.error().kind, ErrorKind::kInternal);
  // The worker is still there.
  EXPECT_TRUE(worker_->prepare_baseline("whole", "eager"));
}

TEST_F(TorchWorker, DeathIsAnErrorWithTheLastWords) {
  auto worker = Worker::start(options());
  ASSERT_TRUE(worker) << worker.error().text();
  auto imported = worker->import(spec("dies.py",
                                      "import os, sys\nprint('last words', file=sys.stderr, "
                                      "flush=True)\nos.kill(os.getpid(), 9)\n"),
                                 folder_->path() / "dies");
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().kind, ErrorKind::kEnvironment);
  EXPECT_NE(imported.error().text().find("signal 9"), std::string::npos) << imported.error().text();
  EXPECT_NE(imported.error().text().find("last words"), std::string::npos)
      << imported.error().text();
  EXPECT_FALSE(worker->draw("whole", DrawKind::kOwn, 1));  // and stays one
}

TEST_F(TorchWorker, SecretsStayHere) {
  ::setenv("SOME_API_KEY", "hush", 1);
  ::setenv("KERNELWRIGHT_MODEL_KEY", "hush", 1);
  auto worker = Worker::start(options());
  ::unsetenv("SOME_API_KEY");
  ::unsetenv("KERNELWRIGHT_MODEL_KEY");
  ASSERT_TRUE(worker) << worker.error().text();
  auto imported = worker->import(spec("spy.py",
                                      "import os\nraise ValueError('seen' if any(v == 'hush' for v "
                                      "in os.environ.values()) else 'clean')\n"),
                                 folder_->path() / "spy");
  ASSERT_FALSE(imported);
  EXPECT_NE(imported.error().text().find("clean"), std::string::npos) << imported.error().text();
}

TEST(FindPython, BadOverrideIsNamed) {
  const char* old = std::getenv("KERNELWRIGHT_PYTHON");
  const std::string kept = old != nullptr ? old : "";
  ::setenv("KERNELWRIGHT_PYTHON", "/nonexistent/python", 1);
  auto python = find_python();
  if (old != nullptr)
    ::setenv("KERNELWRIGHT_PYTHON", kept.c_str(), 1);
  else
    ::unsetenv("KERNELWRIGHT_PYTHON");
  ASSERT_FALSE(python);
  EXPECT_EQ(python.error().kind, ErrorKind::kEnvironment);
  EXPECT_NE(python.error().message.find("/nonexistent/python"), std::string::npos);
}

}  // namespace
}  // namespace kernelwright::torch
