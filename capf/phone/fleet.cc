#include "capf/phone/fleet.h"

#include <algorithm>
#include <charconv>
#include <istream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "capf/client/argument.h"
#include "capf/phone/pause.h"
#include "capf/phone/site_link.h"

namespace capf::phone {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";
constexpr std::size_t kMostDigits = 15;

}  // namespace

Result<std::string> device_at(const std::string& first, std::uint64_t index) {
  std::size_t begin = first.size();
  while (begin > 0 && first.size() - begin < kMostDigits && kDigits.find(first[begin - 1]) != std::string::npos)
    --begin;
  const std::size_t digits = first.size() - begin;
  std::uint64_t number = 0;
  if (digits == 0 || !is_device_name(first)) {
    return fail(Reason::kInvalidDeviceName, "the first name must end in upper-case hexadecimal digits");
  }
  std::from_chars(first.data() + begin, first.data() + first.size(), number, 16);
  number += index;
  if (number < index || number >> (4 * digits) != 0) {
    return fail(Reason::kInvalidDeviceName, "there are not so many names after " + first);
  }
  std::string name = first;
  for (std::size_t i = 0; i < digits; ++i, number >>= 4U) name[name.size() - 1 - i] = kDigits[number & 0xFU];
  return name;
}

std::map<std::string, Secret> parse_strings(std::istream& lines) {
  std::map<std::string, Secret> strings;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string device;
    std::string digits;
    if (!(words >> device >> digits) || digits == "-") continue;
    if (auto secret = client::read_auth_string(digits)) strings[device] = *std::move(secret);
  }
  return strings;
}

std::optional<Arrivals::Arrival> Arrivals::next() {
  const std::uint64_t index = next_++;
  if (index >= load_.count) return std::nullopt;
  auto due = Clock::now();
  if (load_.rate > 0) {  // so that waiting for a free line is part of the latency
    const std::chrono::duration<double> after(static_cast<double>(index) / load_.rate);
    due = begin_ + std::chrono::duration_cast<Clock::duration>(after);
  }
  return Arrival{device_at(load_.first, index), due};
}

void Arrivals::finish(const Arrival& arrival, const Status& visited) const {
  tally_.add(visited ? "done" : std::string(to_string(visited.error().reason)), Clock::now() - arrival.due);
  if (!visited) on_refusal_(arrival.device.value_or(load_.first), visited.error());
}

std::chrono::duration<double> run(const Load& load, const PhoneOf& phone_of, const Folder& folder, KeySource& keys,
                                  Tally& tally, const OnRefusal& on_refusal) {
  Arrivals arrivals(load, tally, on_refusal);
  const auto visit_as = [&](const Result<std::string>& device, std::optional<SiteLink>& kept) -> Status {
    CAPF_TRY(device);
    CAPF_LET(const Phone phone, phone_of(*device));
    if (load.keep_connections && !kept) kept.emplace(phone.server, phone.tries);
    CAPF_TRY(visit(phone, folder, keys, kept ? &*kept : nullptr));
    return {};
  };
  const auto work = [&] {
    std::optional<SiteLink> kept;
    while (const auto arrival = arrivals.next()) {
      wait_until(arrival->due);
      arrivals.finish(*arrival, visit_as(arrival->device, kept));
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(load.concurrency, load.count); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return arrivals.elapsed();
}

}  // namespace capf::phone
