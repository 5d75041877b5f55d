// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/channel.h"
#include "base/message.h"
#include "base/shared_memory.h"

namespace kernelwright::base {
namespace {

using namespace std::chrono_literals;

struct Ends {
  Channel near;
  UniqueFd far;
};

Ends make_ends() {
  auto pair = Channel::create_pair();
  EXPECT_TRUE(pair);
  return {std::move(pair->first), std::move(pair->second)};
}

// A frame as bytes, with any lengths one likes.
std::string frame(uint32_t length, uint32_t fds, const std::string& text) {
  std::string bytes;
  for (uint32_t number : {length, fds})
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(number >> (8 * i));
  return bytes + text;
}

std::string receive_error(const std::string& bytes, bool hang_up) {
  Ends ends = make_ends();
  EXPECT_EQ(::send(ends.far.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  if (hang_up) ends.far = UniqueFd();
  auto message = ends.near.receive(10ms);
  if (message) return "";
  EXPECT_EQ(message.error().kind, ErrorKind::kEnvironment);
  EXPECT_FALSE(ends.near.open());
  return message.error().message;
}

TEST(Channel, CarriesTextAndDescriptors) {
  Ends ends = make_ends();
  Channel far(std::move(ends.far));
  auto memory = SharedMemory::create("test", 100);
  ASSERT_TRUE(memory);
  memory->data()[99] = std::byte{42};
  ASSERT_TRUE(ends.near.send({{"op", "grüße"}, {"n", 3}}, {memory->fd(), memory->fd()}));
  ASSERT_TRUE(ends.near.send({{"second", true}}));
  auto first = far.receive(1s);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->body["op"], "grüße");
  ASSERT_EQ(first->fds.size(), 2u);
  EXPECT_NE(::fcntl(first->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  auto mapped = SharedMemory::map(std::move(first->fds[1]), 100, SharedMemory::Access::kRead);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->data()[99], std::byte{42});
  auto second = far.receive(1s);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->body["second"], true);
  EXPECT_TRUE(second->fds.empty());
}

TEST(Channel, CarriesMoreThanTheSocketHolds) {
  Ends ends = make_ends();
  Channel far(std::move(ends.far));
  const std::string large(5 << 20, 'x');
  std::thread sender([&] { EXPECT_TRUE(ends.near.send({{"text", large}})); });
  auto message = far.receive(10s);
  sender.join();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->body["text"].get<std::string>(), large);
}

TEST(Channel, TimesOutAndStaysUsable) {
  Ends ends = make_ends();
  Channel far(std::move(ends.far));
  auto nothing = far.receive(1ms);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().message, "timed out");
  ASSERT_TRUE(ends.near.send({{"late", 1}}));
  EXPECT_TRUE(far.receive(1s));
}

TEST(Channel, TellsThatThePeerIsGone) {
  Ends ends = make_ends();
  ends.far = UniqueFd();
  auto message = ends.near.receive(1s);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().message, "closed");
  auto sent = ends.near.send({{"op", 1}});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().message, "closed");
}

TEST(Channel, RefusesMalformedFrames) {
  EXPECT_NE(receive_error(frame(0xffffffff, 0, ""), false).find("bytes announced"),
            std::string::npos);
  EXPECT_NE(receive_error(frame((64u << 20) + 1, 0, ""), false).find("bytes announced"),
            std::string::npos);
  EXPECT_NE(receive_error(frame(2, 65, "{}"), false).find("descriptors"), std::string::npos);
  EXPECT_NE(receive_error(frame(2, 1, "{}"), false).find("descriptors"), std::string::npos);
  EXPECT_NE(receive_error(frame(3, 0, "{x}"), false).find("not JSON"), std::string::npos);
  EXPECT_NE(receive_error(frame(0, 0, ""), false).find("not JSON"), std::string::npos);
  EXPECT_NE(receive_error(frame(5, 0, "\"\xff\xfe\xfd\""), false).find("not JSON"),
            std::string::npos);
  EXPECT_EQ(receive_error(frame(100, 0, "{}"), false), "timed out");
  EXPECT_EQ(receive_error(frame(100, 0, "{}"), true), "closed");
  EXPECT_EQ(receive_error("abc", true), "closed");
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_NE(
      receive_error(frame(static_cast<uint32_t>(deep.size()), 0, deep), false).find("too deeply"),
      std::string::npos);
}

TEST(SharedMemory, ReadOnlyDescriptorCannotBeWrittenThrough) {
  auto memory = SharedMemory::create("test", 5000);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->size(), 5000u);
  auto fd = memory->read_only_fd();
  ASSERT_TRUE(fd) << fd.error().text();
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0), MAP_FAILED);
  EXPECT_EQ(::write(fd->get(), "x", 1), -1);
  // Reopening through /proc gives a writable descriptor, but nothing to write with.
  UniqueFd reopened(::open(("/proc/self/fd/" + std::to_string(fd->get())).c_str(), O_RDWR));
  if (reopened) {
    EXPECT_EQ(::write(reopened.get(), "x", 1), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reopened.get(), 0),
              MAP_FAILED);
  }
  // The owner writes on, and the reader sees it.
  auto view = SharedMemory::map(std::move(*fd), 5000, SharedMemory::Access::kRead);
  ASSERT_TRUE(view);
  memory->data()[4999] = std::byte{7};
  EXPECT_EQ(view->data()[4999], std::byte{7});
  EXPECT_TRUE(memory->read_only_fd());
}

TEST(SharedMemory, ChecksTheAnnouncedSize) {
  auto memory = SharedMemory::create("test", 100);
  ASSERT_TRUE(memory);
  auto larger =
      SharedMemory::map(UniqueFd(::dup(memory->fd())), 1 << 20, SharedMemory::Access::kReadWrite);
  ASSERT_FALSE(larger);
  EXPECT_NE(larger.error().message.find("announced"), std::string::npos);
  EXPECT_EQ(::ftruncate(memory->fd(), 0), -1);  // sealed against shrinking
  EXPECT_TRUE(SharedMemory::create("empty", 0));
}

TEST(SharedMemory, MemoryMadeWithoutSealingHasNoReadOnlyDescriptor) {
  UniqueFd fd(::memfd_create("unsealable", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  auto memory = SharedMemory::map(std::move(fd), 4096, SharedMemory::Access::kReadWrite);
  ASSERT_TRUE(memory);
  EXPECT_FALSE(memory->read_only_fd());
}

}  // namespace
}  // namespace kernelwright::base
