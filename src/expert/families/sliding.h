// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "rewrite/contraction.h"

namespace kernelwright::expert {

// B of a convolution read where it lies, packed nowhere. Places of an image are numbered as they
// lie in memory, so that the element of B for term k and column n is image[n + offset[k]]:
// neighbouring columns are neighbours whatever the term is. Columns between the end of one row of
// outputs and the start of the next are made too, and not stored.
struct Sliding {
  int tensor = -1;
  std::vector<int> moving;       // axes of n that places count, outermost first
  std::vector<int64_t> pitch;    // places from one point of each to the next; 1 for the last
  std::vector<int> images;       // the other axes of n: each of their points is an image
  int64_t places = 1;            // of an image, up to its last output
  std::vector<int64_t> offsets;  // of every term, in the order of c.k
};

// nullopt when B is anything but a load that moves up its tensor, or too much would be made in
// vain.
std::optional<Sliding> sliding_of(const rewrite::Contraction& c);

}  // namespace kernelwright::expert
