// SPDX-License-Identifier: Apache-2.0
#include "graph/import.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "base/file.h"

namespace kernelwright::graph {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxValues = 1'000'000;
constexpr size_t kMaxRank = 8;
constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr int kMaxListDepth = 8;

tl::unexpected<Error> bad(const std::string& place, const std::string& what) {
  return fail(ErrorKind::kInput, fmt::format("graph.json: {}: {}", place, what));
}

Result<const Json*> field(const Json& object, const std::string& place, const char* key,
                          Json::value_t kind, const char* kind_name) {
  if (!object.is_object()) return bad(place, "not an object");
  auto it = object.find(key);
  const std::string where = place.empty() ? key : place + "." + key;
  if (it == object.end()) return bad(where, "missing");
  bool right = it->type() == kind;
  if (kind == Json::value_t::number_integer) right = it->is_number_integer();
  if (!right) return bad(where, fmt::format("must be {}", kind_name));
  return &*it;
}

Result<const Json*> array_field(const Json& o, const std::string& place, const char* key) {
  return field(o, place, key, Json::value_t::array, "a list");
}

Result<std::string> text_field(const Json& o, const std::string& place, const char* key) {
  KW_TRY(const Json* found, field(o, place, key, Json::value_t::string, "a string"));
  return found->get<std::string>();
}

Result<int64_t> integer_from(const Json& json, const std::string& place) {
  if (!json.is_number_integer()) return bad(place, "must be an integer");
  if (json.is_number_unsigned() &&
      json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return bad(place, "integer out of range");
  return json.get<int64_t>();
}

Status known_keys(const Json& object, const std::string& place,
                  std::initializer_list<const char*> keys) {
  if (!object.is_object()) return bad(place, "not an object");
  for (const auto& [key, unused] : object.items()) {
    bool known = false;
    for (const char* k : keys) known = known || key == k;
    if (!known) return bad(place, fmt::format("unknown field \"{}\"", key));
  }
  return {};
}

Result<std::vector<int64_t>> integers(const Json& list, const std::string& place) {
  if (!list.is_array()) return bad(place, "must be a list");
  std::vector<int64_t> out;
  for (size_t i = 0; i < list.size(); ++i) {
    KW_TRY(int64_t value, integer_from(list[i], fmt::format("{}[{}]", place, i)));
    out.push_back(value);
  }
  return out;
}

Result<TensorType> tensor_type(const Json& json, const std::string& place) {
  KW_CHECK_OK(known_keys(json, place, {"dtype", "shape", "strides"}));
  TensorType type;
  KW_TRY(std::string dtype, text_field(json, place, "dtype"));
  auto known = dtype_from_name(dtype);
  if (!known) return bad(place + ".dtype", fmt::format("unknown dtype \"{}\"", dtype));
  type.dtype = *known;
  KW_TRY(const Json* shape, array_field(json, place, "shape"));
  KW_TRY(type.shape, integers(*shape, place + ".shape"));
  if (type.shape.size() > kMaxRank)
    return bad(place + ".shape",
               fmt::format("rank {} is over the limit of {}", type.shape.size(), kMaxRank));
  int64_t count = 1;
  for (int64_t extent : type.shape) {
    if (extent < 0) return bad(place + ".shape", "negative extent");
    if (extent > kMaxElements || (extent > 0 && count > kMaxElements / extent))
      return bad(place + ".shape", "more than 2^40 elements");
    count *= extent;
  }
  if (json.contains("strides")) {
    KW_TRY(type.strides, integers(json["strides"], place + ".strides"));
    if (type.strides.size() != type.shape.size())
      return bad(place + ".strides", "one stride per dimension, please");
    for (int64_t stride : type.strides)
      if (stride < 0 || stride > kMaxElements)
        return bad(place + ".strides", "stride out of range");
    if (type.strides == contiguous_strides(type.shape)) type.strides.clear();
  }
  return type;
}

class GraphReader {
 public:
  Result<Graph> read(const Json& json) {
    KW_CHECK_OK(known_keys(
        json, "top level",
        {"format", "workload", "class", "training", "torch", "values", "inputs", "weights", "nodes",
         "outputs", "mutations", "eager", "parts", "call", "drawn"}));
    KW_TRY(const Json* format,
           field(json, "", "format", Json::value_t::number_integer, "an integer"));
    if (*format != 1) return bad("format", "only format 1 is known");
    KW_TRY(graph_.workload, text_field(json, "", "workload"));
    KW_TRY(graph_.class_name, text_field(json, "", "class"));
    KW_TRY(const Json* training,
           field(json, "", "training", Json::value_t::boolean, "true or false"));
    graph_.training = training->get<bool>();
    KW_TRY(graph_.torch_version, text_field(json, "", "torch"));
    if (json.contains("drawn")) {
      KW_TRY(const Json* drawn, field(json, "", "drawn", Json::value_t::object, "an object"));
      for (const auto& [name, value] : drawn->items()) {
        KW_TRY(graph_.drawn[name], integer_from(value, "drawn." + name));
      }
    }
    KW_CHECK_OK(read_values(json));
    KW_CHECK_OK(read_inputs(json));
    KW_CHECK_OK(read_weights(json));
    KW_CHECK_OK(read_nodes(json));
    KW_CHECK_OK(read_outputs(json));
    KW_CHECK_OK(read_mutations(json));
    KW_CHECK_OK(read_eager(json));
    KW_CHECK_OK(read_parts(json));
    return std::move(graph_);
  }

 private:
  Result<int> value_named(const Json& json, const std::string& place) {
    if (!json.is_string()) return bad(place, "must be the name of a value");
    auto it = ids_.find(json.get<std::string>());
    if (it == ids_.end())
      return bad(place, fmt::format("unknown value \"{}\"", json.get<std::string>()));
    return it->second;
  }

  Status read_values(const Json& json) {
    KW_TRY(const Json* values, field(json, "", "values", Json::value_t::object, "an object"));
    if (values->size() > kMaxValues) return bad("values", "too many values");
    for (const auto& [name, type_json] : values->items()) {
      Value value;
      value.name = name;
      KW_TRY(value.type, tensor_type(type_json, "values." + name));
      ids_[name] = static_cast<int>(graph_.values.size());
      graph_.values.push_back(std::move(value));
    }
    made_.assign(graph_.values.size(), false);
    return {};
  }

  Status make(int id, const std::string& place) {
    if (made_[static_cast<size_t>(id)])
      return bad(place, fmt::format("value \"{}\" is made twice", graph_.value(id).name));
    made_[static_cast<size_t>(id)] = true;
    return {};
  }

  Status read_inputs(const Json& json) {
    KW_TRY(const Json* inputs, array_field(json, "", "inputs"));
    for (size_t i = 0; i < inputs->size(); ++i) {
      const std::string place = fmt::format("inputs[{}]", i);
      KW_TRY(int id, value_named((*inputs)[i], place));
      KW_CHECK_OK(make(id, place));
      graph_.values[static_cast<size_t>(id)].role = ValueRole::kInput;
      graph_.inputs.push_back(id);
    }
    return {};
  }

  Status read_weights(const Json& json) {
    KW_TRY(const Json* weights, array_field(json, "", "weights"));
    for (size_t i = 0; i < weights->size(); ++i) {
      const std::string place = fmt::format("weights[{}]", i);
      const Json& weight = (*weights)[i];
      KW_CHECK_OK(known_keys(weight, place, {"value", "name", "kind"}));
      if (!weight.contains("value")) return bad(place + ".value", "missing");
      KW_TRY(int id, value_named(weight["value"], place + ".value"));
      KW_CHECK_OK(make(id, place));
      Value& value = graph_.values[static_cast<size_t>(id)];
      value.role = ValueRole::kWeight;
      KW_TRY(value.weight_name, text_field(weight, place, "name"));
      KW_TRY(value.weight_kind, text_field(weight, place, "kind"));
      if (value.weight_kind != "parameter" && value.weight_kind != "buffer" &&
          value.weight_kind != "constant")
        return bad(place + ".kind", fmt::format("unknown kind \"{}\"", value.weight_kind));
      if (!weight_names_.insert(value.weight_name).second)
        return bad(place + ".name",
                   fmt::format("weight \"{}\" is listed twice", value.weight_name));
      graph_.weights.push_back(id);
    }
    return {};
  }

  Result<Argument> argument(const Json& json, const std::string& place, int depth) {
    Argument arg;
    if (json.is_null()) return arg;
    if (json.is_boolean()) {
      arg.data = json.get<bool>();
    } else if (json.is_number_integer()) {
      KW_TRY(int64_t value, integer_from(json, place));
      arg.data = value;
    } else if (json.is_number_float()) {
      arg.data = json.get<double>();
    } else if (json.is_string()) {
      arg.data = json.get<std::string>();
    } else if (json.is_array()) {
      if (depth >= kMaxListDepth) return bad(place, "lists nested too deeply");
      Argument::List list;
      for (size_t i = 0; i < json.size(); ++i) {
        KW_TRY(Argument item, argument(json[i], fmt::format("{}[{}]", place, i), depth + 1));
        list.push_back(std::move(item));
      }
      arg.data = std::move(list);
    } else {
      if (json.size() != 1) return bad(place, "expected one of \"value\", \"dtype\", \"float\"");
      if (json.contains("value")) {
        KW_TRY(int id, value_named(json["value"], place));
        if (!made_[static_cast<size_t>(id)])
          return bad(place,
                     fmt::format("value \"{}\" is used before it is made", graph_.value(id).name));
        arg.data = ValueRef{id};
      } else if (json.contains("dtype")) {
        KW_TRY(std::string name, text_field(json, place, "dtype"));
        auto dtype = dtype_from_name(name);
        if (!dtype) return bad(place, fmt::format("unknown dtype \"{}\"", name));
        arg.data = *dtype;
      } else if (json.contains("float")) {
        KW_TRY(std::string name, text_field(json, place, "float"));
        if (name == "inf")
          arg.data = std::numeric_limits<double>::infinity();
        else if (name == "-inf")
          arg.data = -std::numeric_limits<double>::infinity();
        else if (name == "nan")
          arg.data = std::numeric_limits<double>::quiet_NaN();
        else
          return bad(place, fmt::format("unknown float \"{}\"", name));
      } else {
        return bad(place, "expected one of \"value\", \"dtype\", \"float\"");
      }
    }
    return arg;
  }

  Status read_nodes(const Json& json) {
    KW_TRY(const Json* nodes, array_field(json, "", "nodes"));
    if (nodes->size() > kMaxValues) return bad("nodes", "too many nodes");
    std::set<std::string> names;
    for (size_t i = 0; i < nodes->size(); ++i) {
      const std::string place = fmt::format("nodes[{}]", i);
      const Json& node_json = (*nodes)[i];
      KW_CHECK_OK(
          known_keys(node_json, place, {"name", "op", "args", "outputs", "module", "part"}));
      Node node;
      KW_TRY(node.name, text_field(node_json, place, "name"));
      if (!names.insert(node.name).second)
        return bad(place + ".name", fmt::format("\"{}\" is used twice", node.name));
      KW_TRY(node.op, text_field(node_json, place, "op"));
      if (node_json.contains("module")) {
        KW_TRY(node.module_path, text_field(node_json, place, "module"));
      }
      if (node_json.contains("part")) {
        KW_TRY(int64_t part, integer_from(node_json["part"], place + ".part"));
        if (part < 0 || part >= static_cast<int64_t>(kMaxValues))
          return bad(place + ".part", "out of range");
        node.part = static_cast<int>(part);
      }
      KW_TRY(const Json* args, field(node_json, place, "args", Json::value_t::object, "an object"));
      for (const auto& [name, arg_json] : args->items()) {
        KW_TRY(Argument arg, argument(arg_json, place + ".args." + name, 0));
        node.args.emplace(name, std::move(arg));
      }
      KW_TRY(const Json* outputs, array_field(node_json, place, "outputs"));
      for (size_t j = 0; j < outputs->size(); ++j) {
        const std::string out_place = fmt::format("{}.outputs[{}]", place, j);
        if ((*outputs)[j].is_null()) {
          node.outputs.push_back(-1);
          continue;
        }
        KW_TRY(int id, value_named((*outputs)[j], out_place));
        KW_CHECK_OK(make(id, out_place));
        graph_.values[static_cast<size_t>(id)].producer = static_cast<int>(i);
        node.outputs.push_back(id);
      }
      graph_.nodes.push_back(std::move(node));
    }
    for (size_t i = 0; i < made_.size(); ++i)
      if (!made_[i]) return bad("values." + graph_.values[i].name, "nothing makes this value");
    return {};
  }

  Result<std::vector<Output>> outputs_of(const Json& owner, const std::string& owner_place) {
    KW_TRY(const Json* list, array_field(owner, owner_place, "outputs"));
    std::vector<Output> outputs;
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string place =
          fmt::format("{}outputs[{}]", owner_place.empty() ? "" : owner_place + ".", i);
      const Json& out = (*list)[i];
      Output output;
      if (!out.is_object() || out.size() != 1 || !(out.contains("value") || out.contains("const")))
        return bad(place, "expected {\"value\": name} or {\"const\": ...}");
      if (out.contains("value")) {
        KW_TRY(output.value, value_named(out["value"], place + ".value"));
      } else {
        output.constant_json = out["const"].dump();
      }
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  Status read_outputs(const Json& json) {
    KW_TRY(graph_.outputs, outputs_of(json, ""));
    return {};
  }

  Status read_mutations(const Json& json) {
    KW_TRY(const Json* mutations, array_field(json, "", "mutations"));
    std::set<std::string> seen;
    for (size_t i = 0; i < mutations->size(); ++i) {
      const std::string place = fmt::format("mutations[{}]", i);
      const Json& item = (*mutations)[i];
      KW_CHECK_OK(known_keys(item, place, {"name", "value"}));
      Mutation mutation;
      KW_TRY(mutation.weight_name, text_field(item, place, "name"));
      if (!weight_names_.contains(mutation.weight_name))
        return bad(place + ".name", fmt::format("no weight is named \"{}\"", mutation.weight_name));
      if (!seen.insert(mutation.weight_name).second)
        return bad(place + ".name", fmt::format("\"{}\" is listed twice", mutation.weight_name));
      if (!item.contains("value")) return bad(place + ".value", "missing");
      KW_TRY(mutation.value, value_named(item["value"], place + ".value"));
      graph_.mutations.push_back(std::move(mutation));
    }
    return {};
  }

  Status read_eager(const Json& json) {
    KW_TRY(const Json* notes, array_field(json, "", "eager"));
    for (size_t i = 0; i < notes->size(); ++i) {
      const std::string place = fmt::format("eager[{}]", i);
      EagerNote note;
      KW_TRY(note.what, text_field((*notes)[i], place, "what"));
      KW_TRY(note.reason, text_field((*notes)[i], place, "reason"));
      graph_.eager_notes.push_back(std::move(note));
    }
    return {};
  }

  Status read_parts(const Json& json) {
    graph_.whole = !json.contains("parts");
    if (!graph_.whole) {
      KW_TRY(const Json* parts, array_field(json, "", "parts"));
      for (size_t i = 0; i < parts->size(); ++i) {
        const std::string place = fmt::format("parts[{}]", i);
        const Json& item = (*parts)[i];
        KW_CHECK_OK(known_keys(
            item, place, {"module_path", "inputs", "outputs", "mutations", "training", "call"}));
        Part part;
        KW_TRY(part.module_path, text_field(item, place, "module_path"));
        KW_TRY(const Json* inputs, array_field(item, place, "inputs"));
        for (size_t j = 0; j < inputs->size(); ++j) {
          KW_TRY(int id, value_named((*inputs)[j], fmt::format("{}.inputs[{}]", place, j)));
          part.inputs.push_back(id);
        }
        KW_TRY(part.outputs, outputs_of(item, place));
        graph_.parts.push_back(std::move(part));
      }
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const int part = graph_.nodes[i].part;
      if (graph_.whole ? part != -1 : part < 0 || part >= static_cast<int>(graph_.parts.size()))
        return bad(fmt::format("nodes[{}].part", i), "names no part");
    }
    return {};
  }

  Graph graph_;
  std::unordered_map<std::string, int> ids_;
  std::vector<bool> made_;
  std::set<std::string> weight_names_;
};

Json argument_json(const Graph& graph, const Argument& arg) {
  struct Printer {
    const Graph& graph;
    Json operator()(const Argument::None&) const { return nullptr; }
    Json operator()(bool v) const { return v; }
    Json operator()(int64_t v) const { return v; }
    Json operator()(double v) const {
      if (std::isnan(v)) return {{"float", "nan"}};
      if (std::isinf(v)) return {{"float", v > 0 ? "inf" : "-inf"}};
      return v;
    }
    Json operator()(const std::string& v) const { return v; }
    Json operator()(DType v) const { return {{"dtype", dtype_name(v)}}; }
    Json operator()(ValueRef v) const { return {{"value", graph.value(v.id).name}}; }
    Json operator()(const Argument::List& list) const {
      Json out = Json::array();
      for (const auto& item : list) out.push_back(argument_json(graph, item));
      return out;
    }
  };
  return std::visit(Printer{graph}, arg.data);
}

Json output_json(const Graph& graph, const Output& output) {
  if (output.value >= 0) return {{"value", graph.value(output.value).name}};
  return {{"const", Json::parse(output.constant_json, nullptr, false)}};
}

}  // namespace

Result<Graph> parse_graph(std::string_view json_text) {
  Json json = Json::parse(json_text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorKind::kInput, "graph.json is not valid JSON");
  try {
    return GraphReader().read(json);
  } catch (const Json::exception& error) {
    return fail(ErrorKind::kInput, fmt::format("graph.json: {}", error.what()));
  }
}

Result<Graph> read_graph(const std::filesystem::path& path) {
  KW_TRY(std::string text, base::read_file(path));
  return parse_graph(text);
}

std::string graph_json(const Graph& graph) {
  Json values = Json::object();
  for (const auto& value : graph.values) {
    Json type = {{"dtype", dtype_name(value.type.dtype)}, {"shape", value.type.shape}};
    if (!value.type.contiguous()) type["strides"] = value.type.strides;
    values[value.name] = type;
  }
  Json inputs = Json::array(), weights = Json::array(), nodes = Json::array(),
       outputs = Json::array(), mutations = Json::array(), eager = Json::array();
  for (int id : graph.inputs) inputs.push_back(graph.value(id).name);
  for (int id : graph.weights) {
    const Value& value = graph.value(id);
    weights.push_back(
        {{"value", value.name}, {"name", value.weight_name}, {"kind", value.weight_kind}});
  }
  for (const auto& node : graph.nodes) {
    Json args = Json::object();
    for (const auto& [name, arg] : node.args) args[name] = argument_json(graph, arg);
    Json outs = Json::array();
    for (int id : node.outputs) outs.push_back(id < 0 ? Json(nullptr) : Json(graph.value(id).name));
    nodes.push_back({{"name", node.name},
                     {"op", node.op},
                     {"args", args},
                     {"outputs", outs},
                     {"module", node.module_path}});
    if (node.part >= 0) nodes.back()["part"] = node.part;
  }
  for (const auto& output : graph.outputs) outputs.push_back(output_json(graph, output));
  for (const auto& mutation : graph.mutations)
    mutations.push_back(
        {{"name", mutation.weight_name}, {"value", graph.value(mutation.value).name}});
  for (const auto& note : graph.eager_notes)
    eager.push_back({{"what", note.what}, {"reason", note.reason}});
  Json out = {{"format", 1},
              {"workload", graph.workload},
              {"class", graph.class_name},
              {"training", graph.training},
              {"torch", graph.torch_version},
              {"values", values},
              {"inputs", inputs},
              {"weights", weights},
              {"nodes", nodes},
              {"outputs", outputs},
              {"mutations", mutations},
              {"eager", eager}};
  if (!graph.drawn.empty()) out["drawn"] = graph.drawn;
  if (!graph.whole) {
    Json parts = Json::array();
    for (const auto& part : graph.parts) {
      Json part_inputs = Json::array(), part_outputs = Json::array();
      for (int id : part.inputs) part_inputs.push_back(graph.value(id).name);
      for (const auto& output : part.outputs) part_outputs.push_back(output_json(graph, output));
      parts.push_back(
          {{"module_path", part.module_path}, {"inputs", part_inputs}, {"outputs", part_outputs}});
    }
    out["parts"] = parts;
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kernelwright::graph
