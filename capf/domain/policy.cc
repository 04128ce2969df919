#include "capf/domain/policy.h"

#include <algorithm>

namespace capf {

std::string_view to_string(SubjectForm form) {
  switch (form) {
    case SubjectForm::kPlain: return "plain";
    case SubjectForm::kCisco: return "cisco";
  }
  CAPF_INVARIANT(false);
}

std::optional<SubjectForm> parse_subject_form(std::string_view text) {
  for (const SubjectForm form : {SubjectForm::kPlain, SubjectForm::kCisco}) {
    if (to_string(form) == text) return form;
  }
  return std::nullopt;
}

std::vector<Pattern> usual_device_names() {
  std::vector<Pattern> patterns;
  for (const char* text : {"SEP*", "ATA*", "VGC*", "CSF*", "TCT*", "BOT*", "TAB*", "CIPC*", "DEMO*"}) {
    patterns.push_back(Pattern::parse(text).value());
  }
  return patterns;
}

Status check_device_names(const SitePolicy& policy, std::span<const DeviceName> devices) {
  const auto& patterns = policy.device_names;
  std::vector<std::string> strange;
  bool dotted = false;
  for (const DeviceName& device : devices) {
    const bool has_dot = device.text().find('.') != std::string::npos;
    const bool fits = std::any_of(patterns.begin(), patterns.end(), [&](const Pattern& pattern) {
      const bool stands_for_dots = pattern.text() == "*" || pattern.text().find('.') != std::string::npos;
      return (!has_dot || stands_for_dots) && pattern.matches(device.text());
    });
    if (fits) continue;
    strange.push_back(device.text());
    dotted = dotted || has_dot;
  }
  if (strange.empty()) return {};
  std::string allowed;
  for (const Pattern& pattern : patterns) allowed += (allowed.empty() ? "" : ", ") + pattern.text();
  return fail(Reason::kDeviceNameRefused, listed(strange) + (strange.size() == 1 ? " is no name" : " are no names") +
                                              " of this site's devices, which are " + allowed +
                                              " (policy.device_names" +
                                              (dotted ? "; a name with '.' needs a pattern with one)" : ")"));
}

std::string listed(std::span<const std::string> names, std::size_t most) {
  std::string text = names.front();
  for (std::size_t i = 1; i < std::min(names.size(), most); ++i) text += ", " + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

}  // namespace capf
