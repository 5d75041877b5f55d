// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/dialects/kernel_arguments.h"
#include "expert/dialects/spelling.h"
#include "expert/family.h"
#include "graph/scan.h"

namespace kernelwright::expert {

// Running values (graph/scan.h): one pass over each row. Several rows advance together, so that a
// step need not wait for the one before: lanes along the innermost axis when the pass runs along
// another, else neighbouring rows; or a block of steps of one row, by prefixes of vectors
// (kw_scan.h). Knobs: lanes, block.
class ScanFamily : public Family {
 public:
  std::string name() const override { return "scan"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

// A nest as a scan, when it is one.
std::optional<graph::Scan> scan_of(const rewrite::Nest& nest);

// How many passes it takes: the output's points but for the axis that the pass runs along.
int64_t rows_of(const rewrite::Nest& nest, const graph::Scan& scan);

// What the kernels of a scan are printed from.
struct ScanText {
  const rewrite::Nest& nest;
  const graph::Scan& scan;
  code::Real real;       // of elements
  code::Real wide;       // of the running value: sums and products want more digits
  std::string type;      // of the running value
  std::string identity;  // what it begins with
  const code::Spelling& spelling;

  ScanText(const OpContext& context, const rewrite::Nest& nest, const graph::Scan& scan,
           const code::Spelling& spelling);
  // The output axes besides the one that the pass runs along.
  std::vector<int> rows() const;
  int64_t row_count() const { return rows_of(nest, scan); }
  int64_t length() const { return nest.extents[static_cast<size_t>(scan.along)]; }
  int64_t terms() const { return nest.extents[static_cast<size_t>(scan.over)]; }
  std::string combine(const std::string& a, const std::string& b) const;
  // "i2 = step" or "i2 = 99 - step": the positions of a step on either axis.
  std::string position(const std::string& step) const;
  std::string term(const std::string& step) const;
};

// Statements that make row number `point`, a variable of the spelling's index type, one element
// after the other. For every dialect.
std::string scan_row(const OpContext& context, const rewrite::Nest& nest, const graph::Scan& scan,
                     KernelArguments& kernel, const code::Spelling& spelling);

}  // namespace kernelwright::expert
