#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"

namespace capf::rpc {

Result<TrustListKind> list_kind_from(const std::string& text) {
  if (const auto kind = parse_trust_list_kind(text)) return *kind;
  return fail(Reason::kInvalidRequest, "a trust list is itl or ctl");
}

Result<ListDigest> list_digest_from(const std::string& text) {
  if (text.empty()) return ListDigest::kSha512;
  if (const auto digest = parse_list_digest(text)) return *digest;
  return fail(Reason::kInvalidRequest, "the digest of a trust list is sha1 or sha512");
}

Result<service::SignerStep> signer_step_from(const std::string& text) {
  if (text == "begin") return service::SignerStep::kBegin;
  if (text == "finish") return service::SignerStep::kFinish;
  if (text == "cancel") return service::SignerStep::kCancel;
  return fail(Reason::kInvalidRequest, "a step is begin, finish or cancel");
}

void to_proto(const service::ListReach& reach, v1::ListReach& out) {
  out.set_kind(std::string(to_string(reach.kind)));
  out.set_generation(reach.generation);
  out.set_phones(reach.phones);
  out.set_fetched(reach.fetched);
}

void to_proto(TrustListKind kind, const ListGeneration& generation, v1::ListGeneration& out) {
  out.set_kind(std::string(to_string(kind)));
  out.set_generation(generation.generation);
  out.set_signer(to_hex(generation.signer));
  to_proto(generation.made_at, *out.mutable_made_at());
  out.set_made_by(generation.made_by);
  out.set_sha1(generation.sha512_sha1);
  out.set_md5(generation.sha512_md5);
  out.set_sha1_of_sha1(generation.sha1_sha1);
  out.set_md5_of_sha1(generation.sha1_md5);
}

void to_proto(const service::ListView& view, v1::PresentList& out) {
  const PublishedList& list = view.sha512;
  to_proto(list.kind,
           ListGeneration{list.generation, view.sha1.sha1, view.sha1.md5, list.sha1, list.md5, list.signer,
                          list.made_at, list.made_by},
           *out.mutable_list());
  to_proto(view.reach, *out.mutable_reach());
  for (const service::ListRecord& record : view.records) {
    v1::ListRecord& shown = *out.add_records();
    shown.set_role(std::string(to_string(record.role)));
    shown.set_name(record.name);
    shown.set_in_use(record.in_use);
    if (record.sha256) shown.set_sha256(to_hex(*record.sha256));
    shown.set_subject(to_utf8(record.subject));
    if (record.not_after) to_proto(*record.not_after, *shown.mutable_not_after());
    shown.set_dns(record.dns);
    shown.set_address(record.address);
    to_proto(record.reach, *shown.mutable_reach());
  }
}

void to_proto(const service::BuiltList& built, v1::BuiltList& out) {
  out.set_kind(std::string(to_string(built.list.kind)));
  out.set_generation(built.list.generation);
  out.set_signer(to_hex(built.list.signer));
  out.set_sha1(built.list.sha1);
  out.set_md5(built.list.md5);
  out.set_followed(built.followed);
  for (const std::string& warning : built.warnings) out.add_warnings(to_utf8(warning));
  out.set_octets(to_octets(built.list.octets));
}

}  // namespace capf::rpc
