// SPDX-License-Identifier: Apache-2.0
#include "report/roofline.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/markup.h"
#include "report/svg.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

constexpr double kNamedLength = 110;  // pixels that a ceiling's name takes along it

struct Point {
  std::string name;  // escaped
  double flops = 0, bytes = 0;
  double seconds = 0, eager_s = 0;
  double bytes_per_s = 0, flops_per_s = 0;  // ceilings

  double intensity() const { return flops / bytes; }
  double limit_s() const {
    return std::max(bytes / bytes_per_s, flops_per_s > 0 ? flops / flops_per_s : 0);
  }
};

// A ceiling beside the one that bounds a region: caches, other arithmetic.
struct Ceiling {
  std::string name;
  double rate = 0;    // B/s or FLOP/s
  bool main = false;  // bounds some region
};

// Letters in a chart do not wrap.
std::string label_at(const json& object, const char* key) {
  return escape_html(shortened(text_at(object, key), 12));
}

// In alternation with the program; else when the region was opened.
double eager_ms(const json& region) {
  for (const auto& one : list_at(object_at(region, "promotion"), "baselines"))
    if (text_at(one, "reference") == "eager") return number_at(one, "reference_ms");
  return number_at(region, "eager_ms");
}

std::vector<Point> points_of(const json& result) {
  std::vector<Point> out;
  for (const auto& region : list_at(result, "regions")) {
    if (html_at(region, "accepted") != "true") continue;
    const json& work = object_at(region, "work");
    const json& ceilings = object_at(region, "ceilings");
    Point point;
    point.name = label_at(region, "id");
    point.flops = number_at(work, "contraction_flops") + number_at(work, "other_flops");
    point.bytes = number_at(work, "bytes");
    point.seconds = number_at(object_at(object_at(region, "promotion"), "timing"), "ms") / 1e3;
    point.eager_s = eager_ms(region) / 1e3;
    point.bytes_per_s = number_at(ceilings, "bytes_per_s");
    point.flops_per_s = number_at(ceilings, "flops_per_s");
    if (point.bytes > 0 && point.seconds > 0 && point.bytes_per_s > 0) out.push_back(point);
  }
  return out;
}

void add_ceiling(std::vector<Ceiling>& all, Ceiling one) {
  for (auto& known : all)
    if (std::fabs(known.rate / one.rate - 1) < 0.01) {
      known.main |= one.main;
      return;
    }
  all.push_back(std::move(one));
}

// Slopes: what the memory and the caches give; the last level is what bounds.
std::vector<Ceiling> slopes_of(const json& result, const std::vector<Point>& points) {
  std::vector<Ceiling> out;
  for (const auto& level : list_at(object_at(result, "machine"), "levels"))
    if (const double rate = number_at(level, "copy_bytes_per_s"); rate > 0)
      add_ceiling(out, {label_at(level, "name"), rate, false});
  for (const auto& point : points) add_ceiling(out, {"memory", point.bytes_per_s, true});
  return out;
}

std::vector<Ceiling> roofs_of(const json& result, const std::vector<Point>& points) {
  std::vector<Ceiling> out;
  for (const auto& rate : list_at(object_at(result, "machine"), "rates"))
    if (const double flops = number_at(rate, "flops_per_s"); flops > 0)
      add_ceiling(out, {label_at(rate, "unit") + " " + label_at(rate, "dtype"), flops, false});
  for (const auto& point : points)
    if (point.flops_per_s > 0) add_ceiling(out, {"arithmetic", point.flops_per_s, true});
  return out;
}

class Drawing {
 public:
  Drawing(std::vector<Point> points, std::vector<Ceiling> slopes, std::vector<Ceiling> roofs)
      : points_(std::move(points)), slopes_(std::move(slopes)), roofs_(std::move(roofs)) {
    std::erase_if(points_, [](const Point& point) { return point.flops <= 0; });
    for (const auto& roof : roofs_) top_ = std::max(top_, roof.rate);
  }

  std::string draw(double width, double height) {
    if (points_.empty()) return "";
    Frame frame{"Roofline: arithmetic rate over arithmetic intensity", "FLOP per byte of memory",
                "GFLOP/s", width, height + 60};
    x_ = Axis{.log = true};
    y_ = Axis{.log = true};
    for (const auto& point : points_) {
      x_.include(point.intensity() / 4);
      x_.include(point.intensity() * 4);
      y_.include(point.flops / point.seconds / 1e9);
      if (point.eager_s > 0) y_.include(point.flops / point.eager_s / 1e9 / 1.5);
    }
    // The ridge of what bounds: both ceilings are in sight.
    for (const auto& point : points_)
      if (point.flops_per_s > 0) {
        const double ridge = point.flops_per_s / point.bytes_per_s;
        x_.include(ridge * 3);
        x_.include(ridge / 10);
        y_.include(point.flops_per_s / 1e9 * 1.6);
        y_.include(point.flops_per_s / 1e9 / 10);
      }
    if (x_.empty() || y_.empty()) return "";
    x_.close();
    y_.close();
    place_axes(frame, x_, y_);
    taken_.clear();
    std::string body;
    for (const auto& roof : roofs_) body += drawn_roof(roof);
    for (const auto& slope : slopes_) body += drawn_slope(slope, top_ > 0 ? top_ / 1e9 : y_.high);
    for (const auto& point : points_) body += drawn_point(point);
    return framed(frame, x_, y_, body);
  }

 private:
  // Where something is written already, nothing else is.
  bool free_at(double x, double y) {
    for (const auto& [ox, oy] : taken_)
      if (std::fabs(ox - x) < 60 && std::fabs(oy - y) < 12) return false;
    taken_.emplace_back(x, y);
    return true;
  }

  std::string drawn_roof(const Ceiling& roof) {
    const double rate = roof.rate / 1e9;
    if (rate < y_.low || rate > y_.high) return "";
    // From where the fastest slope meets it.
    double fastest = 0;
    for (const auto& slope : slopes_) fastest = std::max(fastest, slope.rate / 1e9);
    const double from = std::max(x_.low, fastest > 0 ? rate / fastest : x_.low);
    if (from >= x_.high) return "";
    std::string out = fmt::format(
        "<line class=\"ceiling{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
        roof.main ? " main" : "", x_.at(from), x_.to, y_.at(rate), y_.at(rate));
    if (free_at(x_.to - 60, y_.at(rate) - 5))
      out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{} {}</text>",
                         x_.to - 4, y_.at(rate) - 5, roof.name, scaled(roof.rate, "FLOP/s"));
    return out;
  }

  std::string drawn_slope(const Ceiling& slope, double roof) {
    const double rate = slope.rate / 1e9;
    const double from = std::max(x_.low, y_.low / rate);
    const double to = std::min({x_.high, y_.high / rate, roof / rate});
    if (from >= to) return "";
    const double x1 = x_.at(from), y1 = y_.at(from * rate);
    const double x2 = x_.at(to), y2 = y_.at(to * rate);
    const double length = std::hypot(x2 - x1, y2 - y1), degrees = std::atan2(y2 - y1, x2 - x1);
    const bool named = length > kNamedLength && free_at(x1 + 60, y1 - 60);
    if (!named && !slope.main) return "";  // a line without a name says nothing
    std::string out = fmt::format(
        "<line class=\"ceiling{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
        slope.main ? " main" : "", x1, x2, y1, y2);
    if (named)
      out += fmt::format(
          "<text transform=\"translate({:.1f} {:.1f}) rotate({:.1f})\" x=\"6\" y=\"-4\">{} "
          "{}</text>",
          x1, y1, degrees * 180 / 3.14159265358979, slope.name, scaled(slope.rate, "B/s"));
    return out;
  }

  std::string drawn_point(const Point& point) {
    if (!x_.holds(point.intensity()) || !y_.holds(point.flops / point.seconds / 1e9)) return "";
    const double x = x_.at(point.intensity());
    const double y = y_.at(point.flops / point.seconds / 1e9);
    std::string out;
    if (point.eager_s > 0 && y_.holds(point.flops / point.eager_s / 1e9)) {
      const double eager = y_.at(point.flops / point.eager_s / 1e9);
      out += fmt::format(
          "<line class=\"gain\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
          "<circle class=\"eager\" cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"4\"><title>{3}, eager: "
          "{4}</title></circle>",
          x, eager, y, point.name, ms_text(point.eager_s * 1e3));
    }
    const double limit = y_.at(point.flops / point.limit_s() / 1e9);
    if (limit >= y_.to && limit <= y_.from)
      out += fmt::format(
          "<line class=\"limit\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", x - 6,
          x + 6, limit, limit);
    out += fmt::format(
        "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}: {} FLOP per byte, "
        "{} at {}</title></circle>",
        x, y, point.name, tick_text(point.intensity()),
        scaled(point.flops / point.seconds, "FLOP/s"), ms_text(point.seconds * 1e3));
    if (free_at(x + 9, y + 4))
      out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 9, y + 4,
                         point.name);
    return out;
  }

  std::vector<Point> points_;
  std::vector<Ceiling> slopes_, roofs_;
  double top_ = 0;
  Axis x_, y_;
  std::vector<std::pair<double, double>> taken_;
};

}  // namespace

std::string roofline_html(const json& result) {
  const auto points = points_of(result);
  if (points.empty()) return "";
  Drawing drawing(points, slopes_of(result, points), roofs_of(result, points));
  std::string out = "<h2 id=\"roofline\">Roofline</h2>";
  out += for_both_widths([&](double width, double height) { return drawing.draw(width, height); });
  std::vector<std::vector<std::string>> rows;
  for (const auto& point : points)
    rows.push_back({"<code>" + point.name + "</code>", scaled(point.flops, "FLOP"),
                    scaled(point.bytes, "B"), fmt::format("{:.3g}", point.intensity()),
                    ms_text(point.seconds * 1e3), scaled(point.flops / point.seconds, "FLOP/s"),
                    scaled(point.bytes / point.seconds, "B/s"),
                    percent(point.limit_s() / point.seconds)});
  out += html_table({{"program", Column::kBrief},
                     {"work", Column::kNumber},
                     {"least bytes", Column::kNumber},
                     {"FLOP per byte", Column::kNumber},
                     {"time", Column::kNumber},
                     {"arithmetic", Column::kNumber},
                     {"traffic", Column::kNumber},
                     {"of the limit", Column::kNumber}},
                    rows);
  return out +
         "<p class=\"note\">● accepted program, ○ eager at the same work, the short bar is the "
         "limit at that intensity. Work and bytes are the least known for the region: every input "
         "and weight read once, every output written once. Ceilings are measured on this machine "
         "with all threads in use; a program that moves more than the least is further from them "
         "than it seems. Times are with cold caches.</p>";
}

}  // namespace kernelwright::report
