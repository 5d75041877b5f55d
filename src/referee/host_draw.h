// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "referee/compare.h"
#include "referee/space.h"

namespace kernelwright::referee {

// A draw that the source makes in host memory, checked against the interface and laid out in the
// space's arenas. `make_elements` is given each answer as it lies in the draw's memory, which
// BankDraw::expected keeps.
Result<std::unique_ptr<BankDraw>> draw_from_host(
    Space& space, DrawSource& source, const DrawRequest& request,
    const std::function<Result<std::unique_ptr<Elements>>(const Answer&)>& make_elements);

}  // namespace kernelwright::referee
