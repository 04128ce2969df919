#include "capf/files/signed_file.h"
#include "capf/files/trust_list.h"
#include "tests/support/phone_files.h"

using namespace capf;

namespace {

void check_parts(BytesView file, const files::Parts& parts) {
  constexpr std::size_t kHead = 3;
  CAPF_INVARIANT(parts.before.size() + kHead + parts.signature.size() + parts.behind.size() == file.size());
  CAPF_INVARIANT(parts.body.size() < parts.behind.size());
  CAPF_INVARIANT((file.size() - parts.body.size()) % 4 == 0);
  CAPF_INVARIANT(!parts.header.file_name.empty() && !parts.header.serial.empty());
  CAPF_INVARIANT((parts.header.kind == files::FileKind::kEncrypted) == parts.header.encryption.has_value());
}

void check_list(BytesView file, files::ListKind kind) {
  const auto list = files::read_trust_list(file, kind);
  if (!list) return;
  CAPF_INVARIANT(list->records.at(list->signer).role == TrustRole::kSast);
  CAPF_INVARIANT(list->records[list->signer].certificate->serial() == list->header.serial);
  CAPF_INVARIANT(files::follows(*list, *list));
  for (const files::Record& record : list->records) {
    if (!record.certificate) continue;
    CAPF_INVARIANT(files::Certificate::read(record.certificate->der())->subject() == record.certificate->subject());
    static_cast<void>(files::check_role(*record.certificate, record.role, test::files_now()));
  }
}

}  // namespace

// A trust list, a signed or an encrypted file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};
  static const files::Certificate kSigner = kData.certificate("tftp");
  const BytesView file(data, size);
  const auto parts = files::read_header(file);
  CAPF_INVARIANT(parts || parts.error().reason == Reason::kFileMalformed);
  if (!parts) return 0;
  check_parts(file, *parts);
  check_list(file, files::ListKind::kItl);
  check_list(file, files::ListKind::kCtl);
  const auto content = files::verify_signed(file, parts->header.file_name, kSigner);
  CAPF_INVARIANT(!content || content->size() == parts->body.size());
  static_cast<void>(files::verify_encrypted(file, parts->header.file_name, kSigner));
  return 0;
}
