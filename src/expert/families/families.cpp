// SPDX-License-Identifier: Apache-2.0
#include "expert/families/contraction.h"
#include "expert/families/general.h"
#include "expert/families/pointwise.h"
#include "expert/families/row.h"
#include "expert/families/window.h"

namespace kernelwright::expert {

const std::vector<const Family*>& families() {
  static const ContractionFamily contraction;
  static const PointwiseFamily pointwise;
  static const RowFamily row;
  static const WindowFamily window;
  static const GeneralFamily general;
  static const std::vector<const Family*> all = {&contraction, &pointwise, &row, &window, &general};
  return all;
}

}  // namespace kernelwright::expert
