// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "referee/arena.h"

namespace kernelwright::referee {
namespace {

std::optional<std::string> damage(const Arena& arena, int region) {
  return arena.damage(region).value();
}

TEST(RefereeArena, TensorsTouchTheirGuardPages) {
  const ArenaLayout end = lay_out_arena({1, 64, 4096, 5000, 0}, Flush::kEnd);
  for (const ArenaRegion& region : end.regions) {
    EXPECT_EQ(region.tensor_offset % 64, 0u);
    EXPECT_LT(region.file_bytes - region.tensor_offset - region.tensor_bytes, 64u);
    EXPECT_GE(region.tensor_offset, 256u);
  }
  for (const ArenaRegion& region : lay_out_arena({1, 64, 4096, 5000, 0}, Flush::kStart).regions) {
    EXPECT_EQ(region.tensor_offset, 0u);
    EXPECT_GE(region.file_bytes - region.tensor_bytes, 256u);
  }
}

TEST(RefereeArena, FindsStrayWrites) {
  for (Flush flush : {Flush::kEnd, Flush::kStart}) {
    auto created = HostArena::create("kw-test", {100, 7, 4096}, flush, 5);
    ASSERT_TRUE(created);
    auto& arena = *created;
    for (int region = 0; region < 3; ++region) {
      ASSERT_TRUE(arena->fill(region, 0xff));
      EXPECT_FALSE(damage(*arena, region)) << *damage(*arena, region);
    }
    auto view = ArenaView::map(arena->fd(), arena->layout(), true);
    ASSERT_TRUE(view);
    view->tensor(0)[flush == Flush::kEnd ? -3 : 102] ^= std::byte{1};
    EXPECT_EQ(damage(*arena, 0),
              flush == Flush::kEnd ? "3 byte(s) before its start" : "3 byte(s) past its end");
    EXPECT_FALSE(damage(*arena, 1));
    view->tensor(1)[7] ^= std::byte{0x80};
    EXPECT_EQ(damage(*arena, 1), "1 byte(s) past its end");
  }
}

TEST(RefereeArena, FrozenMemoryCannotBeMappedForWriting) {
  auto created = HostArena::create("kw-test", {100}, Flush::kEnd, 5);
  ASSERT_TRUE(created);
  auto& arena = *created;
  ASSERT_TRUE(arena->freeze());
  EXPECT_FALSE(ArenaView::map(arena->fd(), arena->layout(), true));
  auto view = ArenaView::map(arena->fd(), arena->layout(), false);
  ASSERT_TRUE(view);
  std::byte* const page = view->tensor(0) + 128 - 4096;  // 100 bytes take 128, flush with the end
  // Ours stays writable, and the reader sees it.
  std::memset(arena->tensor(0), 42, 100);
  EXPECT_EQ(view->tensor(0)[99], std::byte{42});
  EXPECT_NE(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
}

TEST(RefereeArenaDeathTest, GuardPagesAreOutOfReach) {
  auto created = HostArena::create("kw-test", {64, 64}, Flush::kEnd, 5);
  ASSERT_TRUE(created);
  auto& arena = *created;
  auto view = ArenaView::map(arena->fd(), arena->layout(), true);
  ASSERT_TRUE(view);
  EXPECT_DEATH(view->tensor(0)[64] = std::byte{1}, "");
  EXPECT_DEATH(view->tensor(0)[-4096] = std::byte{1}, "");
}

}  // namespace
}  // namespace kernelwright::referee
