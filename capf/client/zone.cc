#include "capf/client/zone.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace capf::client {
namespace {

constexpr std::size_t kLongestName = 64;

/// Of letters, digits, '_', '-', '+' and single slashes between them: it stays below the folder of the zones.
bool is_zone_name(const std::string& name) {
  const bool ends = name.empty() || name.size() > kLongestName || name.front() == '/' || name.back() == '/';
  return !ends && name.find("//") == std::string::npos && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  });
}

/// RFC 8536: a file of a zone begins with "TZif".
bool is_zone_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  char magic[4] = {};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic, sizeof magic) && std::string(magic, sizeof magic) == "TZif";
}

}  // namespace

Status check_zone(const std::string& name) {
  const char* folder = std::getenv("TZDIR");
  const std::filesystem::path zones = folder == nullptr || *folder == '\0' ? "/usr/share/zoneinfo" : folder;
  if (is_zone_name(name) && is_zone_file(zones / name)) return {};
  return fail(Reason::kInvalidTime,
              "this machine knows no such time zone: it is written as Europe/Berlin or UTC, and "
              "'timedatectl list-timezones' has them all");
}

void use_zone(const std::string& name) {
  ::setenv("TZ", name.c_str(), 1);
  ::tzset();
}

std::string to_local(TimePoint time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return to_rfc3339(time);
  char text[96];
  const int offset = static_cast<int>(local.tm_gmtoff / 60);
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", local.tm_year + 1900, local.tm_mon + 1,
                local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, offset < 0 ? '-' : '+', std::abs(offset) / 60,
                std::abs(offset) % 60);
  return text;
}

}  // namespace capf::client
