#include "capf/exports/export.h"

#include "capf/exports/formats.h"

namespace capf::exports {
namespace {

Dialect dialect_of(Format format) {
  switch (format) {
    case Format::kAsteriskPjsip: return asterisk_pjsip();
    case Format::kAsteriskPjsipDigests: return asterisk_pjsip_digests();
    case Format::kAsteriskChanSip: return asterisk_chan_sip();
    case Format::kFreeswitch: return freeswitch();
    case Format::kKamailioSql: return kamailio_sql();
    case Format::kKamailioCsv: return kamailio_csv();
    case Format::kKamailioHtableCsv: return kamailio_htable_csv();
    case Format::kOpensipsSql: return opensips_sql();
    case Format::kOpensipsCsv: return opensips_csv();
    case Format::kOpensipsPreferencesCsv: return opensips_preferences_csv();
    case Format::kJson: return json();
  }
  CAPF_INVARIANT(false);
}

}  // namespace

std::string_view to_string(Format format) { return dialect_of(format).name; }

std::optional<Format> parse_format(std::string_view text) {
  for (const Format format : kFormats) {
    if (to_string(format) == text) return format;
  }
  return std::nullopt;
}

std::string_view begin_of(Format format) { return dialect_of(format).begin; }
std::string_view end_of(Format format) { return dialect_of(format).end; }

Result<Secret> write_user(Format format, const User& user) {
  const Dialect dialect = dialect_of(format);
  Text out;
  if (const Status written = dialect.write(user, out); !written) {
    return fail(Reason::kInvalidRequest, "the user \"" + user.name + "\" cannot be written as " +
                                             std::string(dialect.name) + ": " + written.error().message);
  }
  return out.take();
}

}  // namespace capf::exports
