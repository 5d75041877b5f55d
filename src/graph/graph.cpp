// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <fmt/format.h>

namespace kernelwright::graph {
namespace {

std::optional<int64_t> as_int(const Argument& arg) {
  if (const auto* i = std::get_if<int64_t>(&arg.data)) return *i;
  if (const auto* b = std::get_if<bool>(&arg.data)) return *b ? 1 : 0;
  return std::nullopt;
}

void collect_values(const Argument& arg, std::vector<int>& out) {
  if (const auto* ref = std::get_if<ValueRef>(&arg.data)) out.push_back(ref->id);
  if (const auto* list = std::get_if<Argument::List>(&arg.data))
    for (const auto& item : *list) collect_values(item, out);
}

struct ArgumentPrinter {
  const Graph& graph;
  std::string operator()(const Argument::None&) const { return "None"; }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(int64_t v) const { return fmt::format("{}", v); }
  std::string operator()(double v) const { return fmt::format("{}", v); }
  std::string operator()(const std::string& v) const { return "'" + v + "'"; }
  std::string operator()(DType v) const { return dtype_name(v); }
  std::string operator()(ValueRef v) const { return graph.value(v.id).name; }
  std::string operator()(const Argument::List& list) const {
    std::string out = "[";
    for (size_t i = 0; i < list.size(); ++i)
      out += (i ? ", " : "") + std::visit(*this, list[i].data);
    return out + "]";
  }
};

}  // namespace

const Argument& Node::arg(const std::string& arg_name) const {
  static const Argument none{};
  auto it = args.find(arg_name);
  return it == args.end() ? none : it->second;
}

std::optional<int> Node::value_arg(const std::string& arg_name) const {
  if (const auto* ref = std::get_if<ValueRef>(&arg(arg_name).data)) return ref->id;
  return std::nullopt;
}

int64_t Node::int_arg(const std::string& arg_name, int64_t fallback) const {
  return as_int(arg(arg_name)).value_or(fallback);
}

double Node::float_arg(const std::string& arg_name, double fallback) const {
  const Argument& found = arg(arg_name);
  if (const auto* d = std::get_if<double>(&found.data)) return *d;
  if (auto i = as_int(found)) return static_cast<double>(*i);
  return fallback;
}

bool Node::bool_arg(const std::string& arg_name, bool fallback) const {
  auto i = as_int(arg(arg_name));
  return i ? *i != 0 : fallback;
}

std::vector<int64_t> Node::int_list_arg(const std::string& arg_name) const {
  const Argument& found = arg(arg_name);
  if (auto i = as_int(found)) return {*i};
  std::vector<int64_t> out;
  if (const auto* list = std::get_if<Argument::List>(&found.data))
    for (const auto& item : *list)
      if (auto i = as_int(item)) out.push_back(*i);
  return out;
}

std::vector<int> Node::value_list_arg(const std::string& arg_name) const {
  std::vector<int> out;
  collect_values(arg(arg_name), out);
  return out;
}

std::optional<int> Graph::find_value(const std::string& wanted) const {
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].name == wanted) return static_cast<int>(i);
  return std::nullopt;
}

std::vector<int> node_operands(const Node& node) {
  std::vector<int> out;
  for (const auto& [name, arg] : node.args) collect_values(arg, out);
  return out;
}

std::string node_text(const Graph& graph, const Node& node) {
  std::string results, args, op = node.op.starts_with("aten.") ? node.op.substr(5) : node.op;
  if (op.ends_with(".default")) op.resize(op.size() - 8);
  for (int id : node.outputs) {
    if (!results.empty()) results += ", ";
    results += id < 0 ? std::string("_")
                      : fmt::format("{} {}", graph.value(id).name, graph.value(id).type.text());
  }
  for (const auto& [name, arg] : node.args)
    if (!arg.is_none())
      args += fmt::format("{}{}={}", args.empty() ? "" : ", ", name,
                          std::visit(ArgumentPrinter{graph}, arg.data));
  const std::string module = node.module_path.empty() ? "" : "  # " + node.module_path;
  return fmt::format("{} = {}({}){}", results, op, args, module);
}

}  // namespace kernelwright::graph
