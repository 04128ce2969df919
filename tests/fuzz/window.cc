#include "capf/domain/campaign.h"

using namespace capf;

namespace {

/// Zones with another offset, other rules, and a day that was skipped.
constexpr std::array kZones{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"};

void check_window(std::string_view text, std::string_view zone, TimePoint now) {
  const auto window = Window::parse(text, zone);
  if (!window) return;
  const auto again = Window::parse(window->text(), window->zone());
  CAPF_INVARIANT(again && again->text() == window->text());
  CAPF_INVARIANT(again->contains(now) == window->contains(now));
  const auto next = window->next(now);
  CAPF_INVARIANT(!next || (*next >= now && window->contains(*next)));
  CAPF_INVARIANT(window->contains(now) == (next == now));
  // The window is shut until it opens.
  if (next && *next - now > std::chrono::hours(1)) {
    CAPF_INVARIANT(!window->contains(now + (*next - now) / 2));
    CAPF_INVARIANT(!window->contains(*next - std::chrono::seconds(1)));
  }
}

}  // namespace

// Four octets are a time, one the zone, and the rest is a window, a rate or the name of a zone.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  std::uint32_t time = 0;
  for (int i = 0; i < 4; ++i) time = time << 8 | data[i];
  const TimePoint now{std::chrono::seconds{time}};
  const std::string_view text = as_text({data + 5, size - 5});
  check_window(text, kZones[data[4] % kZones.size()], now);
  const auto rate = Rate::parse(text);
  CAPF_INVARIANT(!rate || Rate::parse(rate->text()) == *rate);
  if (data[4] % 16 == 15) static_cast<void>(check_time_zone(text));
  return 0;
}
