#include <algorithm>
#include <iostream>
#include <map>

#include "capf/base/secret.h"
#include "capf/cli/pages.h"
#include "capf/cli/seals.h"
#include "capf/client/json.h"
#include "capf/client/site.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestExport = 64UL * 1024 * 1024;

Result<int> export_site(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::GetSiteRequest()));
  const std::string text = client::to_json_text(response.site());
  const std::string path = arguments.text("--out");
  if (path.empty()) {
    std::cout << text << std::flush;
  } else {
    CAPF_TRY(write_new_file(path, as_bytes(text)));
  }
  return 0;
}

/// The seal of that number, as the server has it now; empty: there is none.
Result<std::string> seal_sha256(Connection& server, std::int64_t number) {
  v1::ListSealsRequest request;
  request.set_after(number - 1);
  CAPF_LET(const auto response, server.call(request));
  if (response.batches().empty() || response.batches(0).seal().number() != number) return std::string();
  return sha256_of(response.batches(0).seal());
}

/// The parts of the export that the site lacks, in words.
Result<std::vector<std::string>> missing(Connection& server, const v1::Site& before, const v1::Site& now) {
  std::vector<std::string> findings;
  const auto seconds = [](const v1::Site& site) { return site.at().seconds(); };
  if (seconds(now) < seconds(before)) findings.emplace_back("the database's clock is before the time of the export");
  std::map<std::string, std::int64_t> issuers;
  for (const v1::Issuer& issuer : now.issuers()) issuers[issuer.sha256()] = issuer.id();
  for (const v1::Issuer& issuer : before.issuers()) {
    const auto found = issuers.find(issuer.sha256());
    if (found == issuers.end() || found->second != issuer.id()) {
      findings.push_back("issuer " + std::to_string(issuer.id()) + ", " + issuer.subject() + ", is not on record");
    }
  }
  std::map<std::pair<std::int64_t, std::int32_t>, std::int64_t> crls;
  for (const v1::CrlNumber& crl : now.crls()) crls[{crl.issuer(), crl.shard()}] = crl.number();
  for (const v1::CrlNumber& crl : before.crls()) {
    const std::int64_t number = crls[{crl.issuer(), crl.shard()}];
    if (number >= crl.number()) continue;
    findings.push_back("CRL " + std::to_string(crl.number()) + " of issuer " + std::to_string(crl.issuer()) +
                       ", shard " + std::to_string(crl.shard()) + ", was published, and the database ends with " +
                       std::to_string(number));
  }
  std::map<std::string, std::string> administrators;
  for (const v1::Administrator& one : now.administrators()) administrators[one.certificate_sha256()] = one.name();
  for (const v1::Administrator& one : before.administrators()) {
    if (administrators.count(one.certificate_sha256()) == 0) {
      findings.push_back("administrator " + one.name() + " is not on record");
    }
  }
  if (before.last_seal() > 0) {
    CAPF_LET(const std::string sha256, seal_sha256(server, before.last_seal()));
    if (now.last_seal() < before.last_seal()) {
      findings.push_back("seal " + std::to_string(before.last_seal()) + " was given, and the record ends with " +
                         std::to_string(now.last_seal()));
    } else if (!sha256.empty() && sha256 != before.last_seal_sha256()) {
      findings.push_back("seal " + std::to_string(before.last_seal()) + " is not the one that was given");
    }
  }
  return findings;
}

/// Additions and removals since, for a person to judge.
std::vector<std::string> changes(const v1::Site& before, const v1::Site& now) {
  std::vector<std::string> words;
  const auto has = [](const auto& anchors, const std::string& sha256) {
    return std::any_of(anchors.begin(), anchors.end(), [&](const auto& one) { return one.sha256() == sha256; });
  };
  for (const v1::Anchor& anchor : now.anchors()) {
    if (!has(before.anchors(), anchor.sha256()))
      words.push_back("trust anchor that was not there: " + anchor.subject());
  }
  for (const v1::Anchor& anchor : before.anchors()) {
    if (!has(now.anchors(), anchor.sha256())) words.push_back("trust anchor that is gone: " + anchor.subject());
  }
  std::map<std::string, const v1::Administrator*> known;
  for (const v1::Administrator& one : before.administrators()) {
    known[one.certificate_sha256()] = &one;
  }
  for (const v1::Administrator& one : now.administrators()) {
    const auto found = known.find(one.certificate_sha256());
    if (found == known.end()) {
      words.push_back("administrator who was not there: " + one.name() + " (" + one.role() + "), added by " +
                      one.created_by());
      continue;
    }
    const v1::Administrator& was = *found->second;
    if (was.has_disabled_at() != one.has_disabled_at()) {
      words.push_back("administrator " + one.name() + " is " + (one.has_disabled_at() ? "disabled" : "enabled") +
                      " now");
    }
    if (was.role() != one.role()) {
      words.push_back("administrator " + one.name() + " has the role " + one.role() + " now, which was " + was.role());
    }
  }
  return words;
}

Result<int> verify_site(const Arguments& arguments, Connection& server) {
  CAPF_LET(const std::string text, client::read_file(arguments.text("FILE"), kLargestExport));
  v1::Site before;
  CAPF_TRY(client::parse_json(text, before));
  if (!before.has_at() || before.issuers().empty()) {
    return fail(Reason::kInvalidRequest, arguments.text("FILE") + " is not what 'site export' writes");
  }
  CAPF_LET(const auto response, server.call(v1::GetSiteRequest()));
  CAPF_LET(const auto findings, missing(server, before, response.site()));
  Json::Array lacking;
  for (const std::string& words : findings) lacking.emplace_back(words);
  if (!response.behind().empty()) lacking.emplace_back(response.behind());
  Json::Array changed;
  for (const std::string& words : changes(before, response.site())) changed.emplace_back(words);
  const bool whole = lacking.empty();
  show(std::cout, arguments.format(), Json::Object{{"findings", std::move(lacking)}, {"changes", std::move(changed)}});
  return whole ? 0 : 1;
}

Result<int> recover(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::GetSiteRequest()));
  const v1::Site& site = response.site();
  v1::RecoverSiteRequest request;
  if (!response.clock().empty()) {
    warn(response.clock());
    request.set_clock_is_right(arguments.has("--clock-is-right"));
    if (!request.clock_is_right()) {
      return fail(
          Reason::kClockSkew,
          "where a clock was ahead and is right now, '--clock-is-right' goes on; where the clocks are wrong now, set "
          "them");
    }
  }
  if (!response.record().empty()) {
    warn(response.record());
    if (const auto code = confirm(arguments, "Are those seals made up, and is the record to go on after them?")) {
      return *code;
    }
    request.set_seals_are_made_up(true);
  }
  if (response.behind().empty()) {
    if (const auto code = confirm(arguments, "Bring back revocations that the CRLs have and the database has lost?")) {
      return *code;
    }
    CAPF_LET(const auto recovered, server.call(request));
    show(std::cout, arguments.format(), to_json(recovered));
    return 0;
  }
  warn(response.behind());
  warn("whoever was disabled since the backup may do everything again, and what was removed is trusted again:");
  for (const v1::Administrator& administrator : site.administrators()) {
    if (administrator.has_disabled_at()) continue;
    warn("  administrator " + administrator.name() + " (" + administrator.role() + "), certificate " +
         administrator.certificate_sha256());
    request.add_administrators(administrator.name());
  }
  for (const v1::Anchor& anchor : site.anchors()) {
    warn("  trust anchor " + anchor.sha256() + " (" + anchor.store() + "), " + anchor.subject());
    request.add_anchors(anchor.sha256());
  }
  warn("'capfctl administrator disable' and 'capfctl trust remove' work now; every open operation will be cancelled");
  if (const auto code = confirm(arguments, "Are all of these right, and is the site to go on from this backup?")) {
    return *code;
  }
  CAPF_LET(const auto recovered, server.call(request));
  show(std::cout, arguments.format(), to_json(recovered));
  return 0;
}

/// Says what follows. Going back to nonsecure takes security from phones: it is asked.
Result<int> set_security_mode(const Arguments& arguments, Connection& server) {
  v1::SetSecurityModeRequest request;
  request.set_mode(arguments.text("MODE"));
  request.set_anyway(arguments.has("--anyway"));
  request.set_dry_run(true);
  CAPF_LET(const auto effect, server.call(request));
  const std::string secure = std::to_string(effect.secure()) + " phones have a secure profile";
  const std::string changes = std::to_string(effect.changes()) + " of them";
  if (effect.mode() == request.mode()) {
    warn("the site is " + request.mode() + " already");
  } else if (request.mode() == "mixed") {
    warn(secure + ": for " + changes + " it is in effect from now on, and for others once they have a valid LSC");
  } else {
    warn(secure + ": " + changes + " register nonsecure, and their calls can be heard, until the site is mixed again");
  }
  Json::Object done{{"mode", request.mode()}, {"secure", effect.secure()}, {"changes", effect.changes()}};
  if (arguments.has("--dry-run")) {
    warn("nothing was done");
  } else if (effect.mode() != request.mode()) {
    if (request.mode() == "nonsecure") {
      if (const auto code = confirm(arguments, "Make the site nonsecure?", "this takes security from " + changes)) {
        return *code;
      }
    }
    request.set_dry_run(false);
    CAPF_TRY(server.call(request));
  }
  show(std::cout, arguments.format(), done);
  return 0;
}

}  // namespace

std::vector<Command> site_commands() {
  return {
      {"site export",
       "Writes what must not be forgotten of a site, to keep beside a backup",
       "capfctl site export --out site-2030-01-01.json",
       {{"--out", Option::Kind::kFile, "a new file (default: standard output)"}},
       export_site},
      {"site verify",
       "Says what a site lacks of what was exported, and what has changed since",
       "capfctl site verify site-2030-01-01.json",
       {{"FILE", Option::Kind::kFile, "what 'site export' wrote", true}, output_option()},
       verify_site},
      {"site security-mode",
       "Makes the site mixed, so that phones are as their profiles say, or nonsecure, and says what follows",
       "capfctl site security-mode mixed",
       {{"MODE", Option::Kind::kChoice, "the cluster security mode", true, false, {"nonsecure", "mixed"}},
        {"--dry-run", Option::Kind::kFlag, "say what would follow, and do nothing"},
        {"--anyway", Option::Kind::kFlag,
         "mixed without what secure phones need in their trust list: another system gives them theirs"},
        yes_option(),
        output_option()},
       set_security_mode},
      {"site recover",
       "Goes on from a database that was restored and is behind what this server has published or sealed",
       "capfctl site recover",
       {{"--clock-is-right", Option::Kind::kFlag, "a clock was ahead when the site signed something, and is right now"},
        yes_option(),
        output_option()},
       recover},
      {"site rekey-secrets",
       "Encrypts the secrets of the database under a new key; run it on a server, and again where it was interrupted",
       "capfctl site rekey-secrets",
       {{"--passphrase", Option::Kind::kText,
         "where it is: file:PATH, fd:N, env:NAME or credential:NAME (default: as capfd.toml says)"}},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("site rekey-secrets", {"--passphrase"}, arguments, server);
       }},
  };
}

}  // namespace capf::cli
