#include "capf/rpc/convert_configuration.h"

#include <botan/mem_ops.h>

#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"

namespace capf::rpc {
namespace {

std::string_view word_of(ConfigurationKind kind) { return kind == ConfigurationKind::kPhone ? "imported" : "template"; }

std::string_view word_of(service::ConfigurationPlan::Key key) {
  using Key = service::ConfigurationPlan::Key;
  switch (key) {
    case Key::kNone: return "";
    case Key::kLsc: return "lsc";
    case Key::kMic: return "mic";
  }
  CAPF_INVARIANT(false);
}

}  // namespace

std::vector<service::ImportedConfiguration> take_configurations(const v1::ImportConfigurationsRequest& request) {
  std::vector<service::ImportedConfiguration> files;
  for (const v1::ConfigurationFile& file : request.files()) {
    files.push_back({file.name(), Secret(std::string_view(file.xml()))});
    // gRPC hands the message out as const but owns it for this call alone.
    auto& xml = const_cast<std::string&>(file.xml());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    Botan::secure_scrub_memory(xml.data(), xml.size());
  }
  return files;
}

Result<files::Form> form_from(const std::string& text) {
  if (text == "plain") return files::Form::kPlain;
  if (text == "signed") return files::Form::kSigned;
  if (text == "encrypted") return files::Form::kEncrypted;
  return fail(Reason::kInvalidRequest, "a file is plain, signed or encrypted");
}

void to_proto(const service::ConfigurationImport& outcome, v1::ImportConfigurationsResponse& out) {
  out.set_added(outcome.added);
  out.set_changed(outcome.changed);
  out.set_unchanged(outcome.unchanged);
  for (const auto& problem : outcome.problems) {
    v1::ConfigurationProblem& each = *out.add_problems();
    each.set_place(static_cast<int>(problem.place));
    each.set_reason(std::string(to_string(problem.error.reason)));
    each.set_message(to_utf8(problem.error.message));
  }
  for (const std::string& warning : outcome.warnings) out.add_warnings(to_utf8(warning));
}

void to_proto(const DeviceName& device, const service::ConfigurationView& view, v1::Configuration& out) {
  const service::ConfigurationPlan& plan = view.plan;
  out.set_device(device.text());
  out.set_generation(plan.generation);
  out.set_source("built-in");
  if (view.source) {
    out.set_source(std::string(word_of(view.source->kind)));
    out.set_revision(view.source->revision);
    to_proto(view.source->imported_at, *out.mutable_imported_at());
    out.set_imported_by(to_utf8(view.source->imported_by));
  }
  out.set_mode(std::string(to_string(plan.mode.mode)));
  if (plan.mode.reason != ModeReason::kNone) out.set_mode_reason(std::string(to_string(plan.mode.reason)));
  out.set_encrypted_for(std::string(word_of(plan.key)));
  out.set_passwords(plan.values.secrets);
  out.set_fault(to_utf8(view.fault));
  for (const std::string& warning : plan.warnings) out.add_warnings(to_utf8(warning));
}

}  // namespace capf::rpc
