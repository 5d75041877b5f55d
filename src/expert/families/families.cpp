// SPDX-License-Identifier: Apache-2.0
#include "expert/families/attention.h"
#include "expert/families/contraction.h"
#include "expert/families/cuda/contraction.h"
#include "expert/families/cuda/general.h"
#include "expert/families/cuda/pointwise.h"
#include "expert/families/cuda/row.h"
#include "expert/families/cuda/scan.h"
#include "expert/families/cuda/split.h"
#include "expert/families/cuda/window.h"
#include "expert/families/general.h"
#include "expert/families/pointwise.h"
#include "expert/families/recurrence.h"
#include "expert/families/row.h"
#include "expert/families/scan.h"
#include "expert/families/window.h"
#include "expert/families/winograd.h"

namespace kernelwright::expert {

namespace {

const std::vector<const Family*>& cpu_families() {
  static const AttentionFamily attention;
  static const ContractionFamily contraction;
  static const PointwiseFamily pointwise;
  static const RecurrenceFamily recurrence;
  static const RowFamily row;
  static const ScanFamily scan;
  static const WindowFamily window;
  static const WinogradFamily winograd;
  static const GeneralFamily general;
  static const std::vector<const Family*> all = {
      &attention, &contraction, &winograd, &pointwise, &recurrence, &row, &scan, &window, &general};
  return all;
}

const std::vector<const Family*>& cuda_families() {
  static const cuda::Contraction contraction;
  static const cuda::Pointwise pointwise;
  static const cuda::Row row;
  static const cuda::Scan scan;
  static const cuda::SplitContraction split;
  static const cuda::Window window;
  static const cuda::General general;
  static const std::vector<const Family*> all = {&contraction, &split,  &pointwise, &row,
                                                 &scan,        &window, &general};
  return all;
}

}  // namespace

const std::vector<const Family*>& families(const std::string& target) {
  static const std::vector<const Family*> none;
  if (target == "cpu") return cpu_families();
  return target == "cuda" ? cuda_families() : none;
}

}  // namespace kernelwright::expert
