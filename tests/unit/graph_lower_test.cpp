// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graph/analysis.h"
#include "graph/import.h"
#include "graph/interpreter.h"
#include "graph/op_table.h"
#include "graph/safetensors.h"
#include "rewrite/partition.h"
#include "support/graph_builder.h"

namespace kernelwright::graph {
namespace {

using kernelwright::testing::GraphBuilder;
using kernelwright::testing::Json;
using kernelwright::testing::lowered;
using kernelwright::testing::ref;
using Builder = GraphBuilder;

Builder relu() {
  Builder b;
  b.input("x", {2, 3}).node("aten.relu.default", {{"self", ref("x")}}, "y", {2, 3}).output("y");
  return b;
}

TEST(Import, PrintsWhatItReads) {
  Builder b = relu();
  b.weight("w", {3}).node("aten.mul.Tensor", {{"self", ref("y")}, {"other", ref("w")}}, "z",
                          {2, 3});
  b.json["nodes"][1]["args"]["extra"] = {
      nullptr, true, 3, 0.5, "text", {{"dtype", "bf16"}}, {{"float", "-inf"}}, {1, 2}};
  b.json["outputs"].push_back({{"const", {1, "a"}}});
  b.json["mutations"].push_back({{"name", "w.w"}, {"value", "z"}});
  const Graph graph = b.graph();
  const std::string printed = graph_json(graph);
  auto again = parse_graph(printed);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(graph_json(*again), printed);
  EXPECT_NE(printed.find("\"-inf\""), std::string::npos);
}

TEST(Import, ErrorsNameThePlace) {
  auto broken = [](const std::function<void(Json&)>& change) {
    Builder b = relu();
    change(b.json);
    return b.error();
  };
  EXPECT_EQ(broken([](Json& j) { j["format"] = 2; }), "graph.json: format: only format 1 is known");
  EXPECT_EQ(broken([](Json& j) { j.erase("nodes"); }), "graph.json: nodes: missing");
  EXPECT_EQ(broken([](Json& j) { j["surprise"] = 1; }),
            "graph.json: top level: unknown field \"surprise\"");
  EXPECT_EQ(broken([](Json& j) { j["values"]["x"]["dtype"] = "f8"; }),
            "graph.json: values.x.dtype: unknown dtype \"f8\"");
  EXPECT_EQ(broken([](Json& j) { j["values"]["x"]["shape"] = {1 << 30, 1 << 30}; }),
            "graph.json: values.x.shape: more than 2^40 elements");
  EXPECT_EQ(broken([](Json& j) { j["values"]["x"]["shape"] = {-1}; }),
            "graph.json: values.x.shape: negative extent");
  EXPECT_EQ(broken([](Json& j) { j["nodes"][0]["args"]["self"]["value"] = "q"; }),
            "graph.json: nodes[0].args.self: unknown value \"q\"");
  EXPECT_EQ(broken([](Json& j) { j["nodes"][0]["args"]["self"]["value"] = "y"; }),
            "graph.json: nodes[0].args.self: value \"y\" is used before it is made");
  EXPECT_EQ(broken([](Json& j) { j["nodes"].push_back(j["nodes"][0]); }),
            "graph.json: nodes[1].name: \"y\" is used twice");
  EXPECT_EQ(broken([](Json& j) { j["values"]["z"] = j["values"]["x"]; }),
            "graph.json: values.z: nothing makes this value");
  EXPECT_EQ(broken([](Json& j) { j["mutations"].push_back({{"name", "w"}, {"value", "y"}}); }),
            "graph.json: mutations[0].name: no weight is named \"w\"");
  EXPECT_FALSE(parse_graph("{\"format\": 1").has_value());
  EXPECT_FALSE(parse_graph("[]").has_value());
}

TEST(Lower, Relu) {
  EXPECT_EQ(lowered(relu().graph()).text(),
            "t0: input f32[2,3] x\nt1: output f32[2,3] y\nt1 = max(t0[i0, i1], 0.0)  # y\n");
}

TEST(Lower, RefusesTypesThatTheGraphContradicts) {
  Builder b;
  b.input("x", {2, 3}).node("aten.relu.default", {{"self", ref("x")}}, "y", {3, 2}).output("y");
  const auto partition = rewrite::partition(b.graph());
  ASSERT_EQ(partition.eager.size(), 1u);
  EXPECT_EQ(partition.eager[0].reason,
            "y: output 0 should be f32[2,3] but the graph says f32[3,2] (op: aten.relu.default, "
            "module: m)");
}

TEST(Lower, ArgumentsThatDoNotFitAreErrors) {
  auto reason = [](const Json& bias, Shape bias_shape) {
    Builder b;
    b.input("x", {2, 3}).weight("w", {4, 3}).weight("c", std::move(bias_shape));
    b.node("aten.addmm.default",
           {{"self", bias}, {"mat1", ref("x")}, {"mat2", ref("x")}, {"beta", 1}, {"alpha", 1}}, "y",
           {2, 4});
    b.json["nodes"][0]["args"]["mat2"] = ref("wt");
    b.json["nodes"].insert(b.json["nodes"].begin(), Json{{"name", "t"},
                                                         {"op", "aten.t.default"},
                                                         {"args", {{"self", ref("w")}}},
                                                         {"outputs", {"wt"}},
                                                         {"module", ""}});
    b.value("wt", "f32", {3, 4}).output("y");
    const auto partition = rewrite::partition(b.graph());
    return partition.eager.empty() ? std::string("none") : partition.eager.back().reason;
  };
  EXPECT_EQ(reason(ref("c"), {4}), "none");
  EXPECT_EQ(reason(nullptr, {4}),
            "y: arguments do not fit the op (op: aten.addmm.default, module: m)");
  EXPECT_EQ(reason(ref("c"), {1, 2, 4}),
            "y: arguments do not fit the op (op: aten.addmm.default, module: m)");
}

TEST(Lower, ViewsBecomeAffineIndices) {
  Builder b;
  b.input("x", {2, 12})
      .node("aten.view.default", {{"self", ref("x")}, {"size", {2, 3, 4}}}, "v", {2, 3, 4})
      .node("aten.permute.default", {{"self", ref("v")}, {"dims", {0, 2, 1}}}, "p", {2, 4, 3})
      .output("p");
  const StageGraph stages = lowered(b.graph());
  EXPECT_EQ(text(stages.stages.at(0).body), "t0[i0, ((i1 * 4) + i2)]");
  EXPECT_EQ(text(stages.stages.at(1).body), "t1[i0, i2, i1]");
}

TEST(Lower, ConvolutionGuardsItsPadding) {
  Builder b;
  b.input("x", {1, 2, 5, 5}).weight("w", {3, 2, 3, 3});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", nullptr},
          {"stride", {1, 1}},
          {"padding", {1, 0}},
          {"dilation", {1, 1}},
          {"transposed", false},
          {"output_padding", {0, 0}},
          {"groups", 1}},
         "y", {1, 3, 5, 3})
      .output("y");
  const StageGraph stages = lowered(b.graph());
  EXPECT_EQ(text(stages.stages.at(0).body),
            "((((((i2 + i5) - 1) >= 0) && (((i2 + i5) - 1) < 5)) ? t0[0, i4, ((i2 + i5) - 1), (i3 "
            "+ i6)] : 0.0)"
            " * t1[i1, i4, i5, i6])");
}

TEST(Lower, DropsWhatNothingReads) {
  Builder b;
  b.input("x", {4, 5})
      .value("i", "i64", {4})
      .node("aten.max.dim", {{"self", ref("x")}, {"dim", 1}, {"keepdim", false}}, "y", {4});
  b.json["nodes"][0]["outputs"] = {"y", "i"};
  b.output("y");
  EXPECT_EQ(lowered(b.graph()).stages.size(), 1u);
}

TEST(Lower, MutatedBuffersAreStatesWrittenLast) {
  Builder b;
  b.input("x", {3}).weight("count", {3}, "buffer");
  b.node("aten.add.Tensor", {{"self", ref("count")}, {"other", 1}, {"alpha", 1}}, "next", {3})
      .node("aten.mul.Tensor", {{"self", ref("x")}, {"other", ref("count")}}, "y", {3})
      .output("y");
  b.json["mutations"].push_back({{"name", "w.count"}, {"value", "next"}});
  const StageGraph stages = lowered(b.graph());
  ASSERT_EQ(stages.tensors[1].role, TensorRole::kState);
  EXPECT_EQ(stages.stages.back().output, 1);
  auto result = interpret(
      stages, {{0, {stages.tensors[0].type, {1, 2, 3}}}, {1, {stages.tensors[1].type, {5, 6, 7}}}});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ((*result)[1].data, (std::vector<double>{6, 7, 8}));
  EXPECT_EQ((*result)[static_cast<size_t>(stages.stages[1].output)].data,
            (std::vector<double>{5, 12, 21}));
}

// The drop-in hands an input back itself, and a value that stands twice is made once.
TEST(Lower, OnlyWhatIsMadeIsAnOutputAndOnce) {
  Builder b = relu();
  b.output("x").output("y");
  const StageGraph stages = lowered(b.graph());
  std::vector<int> indices;
  for (const auto& tensor : stages.tensors)
    if (tensor.role == TensorRole::kOutput) indices.push_back(tensor.index);
  EXPECT_EQ(indices, (std::vector<int>{0}));
}

TEST(Interpreter, LoadsOutOfRangeAreErrors) {
  Builder b;
  b.input("i", {2}, "i64").weight("w", {4, 3});
  b.node("aten.embedding.default", {{"weight", ref("w")}, {"indices", ref("i")}}, "y", {2, 3})
      .output("y");
  const StageGraph stages = lowered(b.graph());
  auto run = [&](double last) {
    return interpret(stages, {{0, {stages.tensors[0].type, {0, last}}},
                              {1, {stages.tensors[1].type, std::vector<double>(12, 1)}}});
  };
  EXPECT_TRUE(run(3));
  ASSERT_FALSE(run(4));
  EXPECT_EQ(run(4).error().text(), "y: index 4 of dimension 0 is out of range for w [4,3]");
}

TEST(Interpreter, RoundsToTheStagesDtype) {
  Builder b;
  b.input("x", {1}, "f16")
      .node("aten.add.Tensor", {{"self", ref("x")}, {"other", 1}, {"alpha", 1}}, "y", {1}, "f16")
      .output("y");
  const StageGraph stages = lowered(b.graph());
  EXPECT_EQ((*interpret(stages, {{0, {stages.tensors[0].type, {2048}}}}))[1].data[0], 2048);
  EXPECT_EQ((*interpret(stages, {{0, {stages.tensors[0].type, {2048}}}}, false))[1].data[0], 2049);
}

// relu - sort (unknown) - relu, and a third that depends on neither.
TEST(Partition, CutsRoundUnknownOps) {
  Builder b;
  b.input("x", {4})
      .node("aten.relu.default", {{"self", ref("x")}}, "a", {4})
      .node("aten.mystery.default", {{"self", ref("a")}}, "u", {4})
      .node("aten.relu.default", {{"self", ref("u")}}, "c", {4})
      .node("aten.add.Tensor", {{"self", ref("c")}, {"other", ref("a")}, {"alpha", 1}}, "d", {4})
      .node("aten.neg.default", {{"self", ref("x")}}, "e", {4})
      .output("d")
      .output("e");
  const Graph graph = b.graph();
  const auto partition = rewrite::partition(graph);
  ASSERT_EQ(partition.eager.size(), 1u);
  EXPECT_EQ(partition.eager[0].reason, "op outside the table: aten.mystery.default");
  ASSERT_EQ(partition.regions.size(), 2u);
  EXPECT_EQ(partition.regions[0].nodes, (std::vector<int>{0, 4}));
  EXPECT_EQ(partition.regions[1].nodes, (std::vector<int>{2, 3}));
  auto names = [&](const std::vector<int>& ids) {
    std::string out;
    for (int id : ids) out += graph.value(id).name;
    return out;
  };
  EXPECT_EQ(names(partition.regions[0].outputs), "ae");
  EXPECT_EQ(names(partition.regions[1].inputs), "ua");
  EXPECT_FALSE(partition.regions[0].whole);
  for (const auto& region : partition.regions) EXPECT_TRUE(lower(graph, region));
}

// The drop-in hands back the tensor that came in; a program has no business with it.
TEST(Partition, AnInputAmongTheResultsIsNotMade) {
  Builder b;
  b.input("x", {4}).node("aten.relu.default", {{"self", ref("x")}}, "a", {4});
  b.output("x").output("a").output("x");
  const Graph graph = b.graph();
  const auto partition = rewrite::partition(graph);
  ASSERT_EQ(partition.regions.size(), 1u);
  EXPECT_TRUE(partition.regions[0].whole);
  ASSERT_EQ(partition.regions[0].outputs.size(), 1u);
  EXPECT_EQ(graph.value(partition.regions[0].outputs[0]).name, "a");
}

TEST(Partition, MovesAloneStayInEager) {
  Builder b;
  b.input("x", {4, 2})
      .node("aten.t.default", {{"self", ref("x")}}, "a", {2, 4})
      .node("aten.mystery.default", {{"self", ref("a")}}, "u", {4})
      .output("u");
  const auto partition = rewrite::partition(b.graph());
  EXPECT_TRUE(partition.regions.empty());
  EXPECT_EQ(partition.eager.size(), 2u);
}

TEST(Analysis, CountsAMatrixProduct) {
  Builder b;
  b.input("x", {8, 16}).weight("w", {4, 16}).weight("c", {4});
  b.node("aten.linear.default", {{"input", ref("x")}, {"weight", ref("w")}, {"bias", ref("c")}},
         "y", {8, 4})
      .output("y");
  const Work work = count_work(lowered(b.graph()));
  EXPECT_EQ(work.contraction_flops, 2.0 * 8 * 4 * 16);
  EXPECT_EQ(work.other_flops, 8 * 4);
  EXPECT_EQ(work.bytes, 4.0 * (8 * 16 + 4 * 16 + 4 + 8 * 4));
}

TEST(Analysis, PaddingIsNoWork) {
  Builder b;
  b.input("x", {1, 1, 4}).weight("w", {1, 1, 3});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", nullptr},
          {"stride", {1}},
          {"padding", {1}},
          {"dilation", {1}},
          {"transposed", false},
          {"output_padding", {0}},
          {"groups", 1}},
         "y", {1, 1, 4})
      .output("y");
  EXPECT_DOUBLE_EQ(count_work(lowered(b.graph())).contraction_flops, 2 * (4 * 3 - 2));
}

// Taps per dimension that the sum goes over, and the stages, of a transposed convolution of 5
// points.
std::pair<int64_t, size_t> phases_of(int64_t kernel, int64_t stride, int64_t padding, int64_t extra,
                                     int64_t dilation = 1) {
  const int64_t out = 4 * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra;
  Builder b;
  b.input("x", {1, 2, 5}).weight("w", {2, 3, kernel});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", nullptr},
          {"stride", {stride}},
          {"padding", {padding}},
          {"dilation", {dilation}},
          {"transposed", true},
          {"output_padding", {extra}},
          {"groups", 1}},
         "y", {1, 3, out})
      .output("y");
  const StageGraph graph = lowered(b.graph());
  return {graph.stages.at(0).reduce.at(1), graph.stages.size()};
}

TEST(Lower, TransposedConvolutionsGoByThePhasesOfTheirStride) {
  using Found = std::pair<int64_t, size_t>;
  EXPECT_EQ(phases_of(3, 1, 1, 0), Found(3, 1));  // no phases
  EXPECT_EQ(phases_of(3, 2, 1, 1), Found(2, 1));  // 9 of 16 taps in two dimensions are of use
  EXPECT_EQ(phases_of(3, 2, 1, 0), Found(2, 2));  // an odd size: cut out of whole phases
  EXPECT_EQ(phases_of(4, 2, 1, 0), Found(2, 2));  // shifted: 2 taps, 3 without
  EXPECT_EQ(phases_of(2, 2, 0, 0), Found(1, 1));
  EXPECT_EQ(phases_of(1, 3, 0, 2), Found(1, 1));     // most outputs hear nothing
  EXPECT_EQ(phases_of(3, 2, 1, 0, 2), Found(3, 1));  // dilated: as before
}

TEST(Analysis, AGatherReadsOnlyItsRows) {
  Builder b;
  b.input("i", {2}, "i64").weight("w", {1000, 3});
  b.node("aten.embedding.default", {{"weight", ref("w")}, {"indices", ref("i")}}, "y", {2, 3})
      .output("y");
  EXPECT_EQ(count_work(lowered(b.graph())).bytes, 2 * 8 + 2 * (2 * 3 * 4));
}

TEST(Analysis, SpeedOfLightIsTheLargerBound) {
  const Work work{100, 100, 1000};
  EXPECT_STREQ(speed_of_light(work, {10, 1000}).bound, "memory");
  EXPECT_EQ(speed_of_light(work, {10, 1000}).seconds, 100);
  EXPECT_STREQ(speed_of_light(work, {1000, 1}).bound, "compute");
}

TEST(Graph, NodesReadAsCalls) {
  Builder b = relu();
  b.node("aten.mean.dim",
         {{"self", ref("y")}, {"dim", {-1}}, {"keepdim", true}, {"dtype", nullptr}}, "m", {2, 1})
      .output("m");
  const Graph graph = b.graph();
  EXPECT_EQ(node_text(graph, graph.nodes[1]),
            "m f32[2,1] = mean.dim(dim=[-1], keepdim=true, self=y)  # m");
}

TEST(Safetensors, RoundTripAndMalformed) {
  std::map<std::string, HostTensor> tensors;
  for (DType dtype :
       {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI8, DType::kBool})
    tensors[dtype_name(dtype)] = {{dtype, {2}, {}}, {1, 0}};
  tensors["f16"].data = {-0.333251953125, 6.103515625e-05 / 4};
  const std::string path = ::testing::TempDir() + "/kw_round_trip.safetensors";
  ASSERT_TRUE(write_safetensors(path, tensors));
  SafetensorsFile file;
  ASSERT_TRUE(read_safetensors(path, file));
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(to_host(file.tensors.at(name)).data, tensor.data) << name;
    EXPECT_EQ(file.tensors.at(name).type, tensor.type);
  }
  auto malformed = [](const std::string& header, const std::string& data) {
    std::string content(8, '\0');
    content[0] = static_cast<char>(header.size());
    SafetensorsFile out;
    auto status = parse_safetensors(content + header + data, out);
    return status ? std::string("none") : status.error().text();
  };
  EXPECT_EQ(malformed(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"), "none");
  EXPECT_EQ(malformed(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
            "safetensors: a: data does not fit the shape");
  EXPECT_EQ(malformed(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "123"),
            "safetensors: a: data lies outside the file");
  EXPECT_EQ(malformed("[", ""), "safetensors: header: not a JSON object");
  EXPECT_EQ(malformed(R"({"a":{"dtype":"X","shape":[1],"data_offsets":[0,4]}})", "1234"),
            "safetensors: a: unknown dtype \"X\"");
}

}  // namespace
}  // namespace kernelwright::graph
